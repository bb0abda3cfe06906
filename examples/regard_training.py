"""Train a regard classifier with `Trainer`, from probabilities. What an earlier run left is used only if it fits."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from checkpoints import record, require_origin, resume
from data import write_json
from datasets import Dataset
from machine import Clock, machine
from regard_data import LABELS
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot
from transformers import (
    AutoModelForSequenceClassification,
    DataCollatorWithPadding,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainingArguments,
)

LENGTH = 128
DONE = "done.json"  # beside a trained model: what it was made from, on which machine, and how long it took


def digest(content: Any) -> str:
    """Return the beginning of the sha256 of plain data."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def digest_weights(model: PreTrainedModel) -> str:
    """Return the beginning of the sha256 of the names and weights of a model."""
    found = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        found.update(name.encode() + tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()[:16]


def rows_of(texts: Sequence[str], targets: Tensor, tokenizer: PreTrainedTokenizerBase) -> Dataset:
    """Return one row for each text: its tokens, and the probabilities to learn."""
    tokens = tokenizer(list(texts), truncation=True, max_length=LENGTH, return_token_type_ids=False)
    return Dataset.from_dict({**tokens, "labels": targets.tolist()})


def smooth(labels: Sequence[int], amount: float) -> Tensor:
    """Return labels as probabilities with `amount` spread over all classes, because many labels are disputable."""
    return (1 - amount) * one_hot(torch.tensor(labels), len(LABELS)).float() + amount / len(LABELS)


def soft_loss(outputs: Any, labels: Tensor, num_items_in_batch: Any = None) -> Tensor:
    """Return the cross-entropy with probabilities as the target."""
    return cross_entropy(outputs.logits.float(), labels)


def fit(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Dataset,
    output: Path,
    made_from: Mapping[str, str],
    head_rate: float | None = None,
    **settings: Any,
) -> tuple[PreTrainedModel, dict[str, Any]]:
    """Train with `Trainer`, or load the model of an earlier run.

    Args:
        model: The model to train.
        tokenizer: Its tokenizer, which is saved beside it.
        rows: What it learns, from `rows_of`.
        output: The folder of checkpoints and of the trained model.
        made_from: Digests of the weights that `model` starts from, by name.
        head_rate: The learning rate of the head. By default it is that of the rest.
        **settings: Arguments of `TrainingArguments`: epochs, batch, learning rate, seed.

    Returns:
        The trained model, and its machine and seconds, those before the last checkpoint included.

    Raises:
        SystemExit: If the folder holds a training from other texts, settings or weights, or one that was killed on
            another machine.
    """
    origin = {
        "texts": digest(rows.to_dict()),
        "settings": {"head_rate": head_rate, "parameters": model.num_parameters(), **settings},
        **made_from,
    }
    done = output / DONE
    if done.exists():
        earlier = json.loads(done.read_text(encoding="utf-8"))
        require_origin({**earlier, "machine": machine()}, done, **origin)  # a finished one may be of any machine
    else:
        output.mkdir(parents=True, exist_ok=True)
        earlier = _train(model, tokenizer, rows, output, origin)
        write_json(done, earlier)
    trained = AutoModelForSequenceClassification.from_pretrained(output, dtype=torch.float32)
    return trained, {name: earlier[name] for name in ("machine", "seconds")}


def _train(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Dataset,
    output: Path,
    origin: Mapping[str, Any],
) -> dict[str, Any]:
    """Train, save, and return the record."""
    settings = {name: value for name, value in origin["settings"].items() if name not in ("head_rate", "parameters")}
    arguments = TrainingArguments(
        output_dir=str(output),
        bf16=True,
        use_cpu=not torch.cuda.is_available(),
        warmup_steps=0.1,
        lr_scheduler_type="cosine",
        save_strategy="epoch",
        save_total_limit=1,
        train_sampling_strategy="group_by_length",
        logging_steps=50,
        report_to="none",
        **settings,
    )
    last, keep_record = resume(output, **origin)
    head_rate = origin["settings"]["head_rate"] or arguments.learning_rate
    groups = [{"params": model.classifier.parameters(), "lr": head_rate}]
    groups += [{"params": [p for n, p in model.named_parameters() if not n.startswith("classifier.")]}]
    trainer = Trainer(
        model,
        arguments,
        DataCollatorWithPadding(tokenizer),
        rows,
        compute_loss_func=soft_loss,
        callbacks=[keep_record],
        optimizers=(torch.optim.AdamW(groups, lr=arguments.learning_rate, weight_decay=0.01), None),
    )
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    trainer.save_model(str(output))
    tokenizer.save_pretrained(output)
    return record(keep_record.clock, **origin)


@torch.inference_mode()
def probabilities(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> Tensor:
    """Return probabilities in the order of LABELS, `(texts, 3)`."""
    model.eval()
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    found = torch.empty(len(texts), 3)
    for start in range(0, len(texts), 64):
        places = order[start : start + 64]
        batch = tokenizer(
            [texts[i] for i in places], padding=True, truncation=True, max_length=LENGTH, return_tensors="pt"
        )
        found[places] = model(**batch).logits.float().softmax(-1)
    return found


def teacher_outputs(
    path: Path, teacher: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], clock: Clock
) -> dict[str, Any]:
    """Return the probabilities that a teacher gives to texts, or those of an earlier run.

    Args:
        path: The file that keeps them.
        teacher: The teacher.
        tokenizer: Its tokenizer.
        texts: The texts.
        clock: Counts the time so far. A resumed run goes on from the time that the file holds.

    Returns:
        `"targets"` `(texts, 3)`, `"texts"` and `"teacher"` (digests), `"machine"` and `"seconds"`.

    Raises:
        SystemExit: If the file is of another machine, of other texts or of another teacher.
    """
    origin = {
        "texts": digest([list(texts), sorted(tokenizer.get_vocab().items())]),
        "teacher": digest_weights(teacher),
    }
    if path.exists():
        found = torch.load(path, weights_only=True)
        # Earlier releases kept the tensor alone.
        require_origin(found if isinstance(found, dict) else {}, path, **origin)
        return found
    with torch.autocast("cpu", torch.bfloat16):
        targets = probabilities(teacher, tokenizer, texts)
    found = {"targets": targets, **record(clock, **origin)}
    draft = path.with_suffix(".part")
    torch.save(found, draft)
    draft.replace(path)
    return found
