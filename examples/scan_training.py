"""Train one model on SCAN with `Trainer`, so that it can resume, and measure its exact-match accuracy."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from checkpoints import resume
from data import write_json
from datasets import Dataset, DatasetDict
from machine import Clock
from scan_data import COMMANDS, END, PAD, VALIDATION, make_tokenizer
from torch.utils.data import DataLoader, Sampler
from transformers import (
    DataCollatorForSeq2Seq,
    EvalPrediction,
    PreTrainedModel,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    TrainerCallback,
)

COLUMNS = ("input_ids", "attention_mask", "labels")
EPOCHS = 10_000
"""More than any run has, so that each pair of seed and epoch gives another order."""
CURVE_STEPS = (25, 50, 100, 200, 400, 800, 1200, 1600)


class Collator(DataCollatorForSeq2Seq):
    """Pads commands and actions, and drops the lengths that the sampler sorts by."""

    def __init__(self) -> None:
        super().__init__(make_tokenizer(COMMANDS), return_tensors="pt")

    def __call__(self, features: list[dict[str, Any]], return_tensors: str | None = None) -> Any:
        """Make a batch."""
        return super().__call__([{name: row[name] for name in COLUMNS} for row in features], return_tensors)


class AccuracyCurve(TrainerCallback):
    """Measures a model while its shared base is trained. A file keeps the points for a run that resumes.

    Args:
        name: The name of the curve.
        model: The model to measure.
        part: The data to measure it on.
    """

    def __init__(self, name: str, model: PreTrainedModel, part: Dataset) -> None:
        self.name = name
        self.model = model
        self.part = part

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Measure the model before the first step."""
        if state.global_step == 0:
            self._note(Path(args.output_dir), 0)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Measure the model at the steps of the curve."""
        if state.global_step in CURVE_STEPS:
            self._note(Path(args.output_dir), state.global_step)

    def _note(self, folder: Path, step: int) -> None:
        training = self.model.training
        points = {**self.read(folder), str(step): accuracy(self.model.eval(), self.part)}
        self.model.train(training)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / f"{self.name}.curve", points)

    def read(self, folder: Path) -> dict[str, float]:
        """Return the accuracy in per cent by step, as far as it was measured."""
        path = folder / f"{self.name}.curve"
        points: dict[str, float] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return points


class LengthSampler(Sampler[int]):
    """Puts sentences of similar length together, so that little is padded, and batches in random order.

    Args:
        lengths: The lengths of the sentences.
        batch_size: The number of sentences in a batch.
        pool: The number of batches that are drawn and sorted together.
        seed: The seed of the order. Each epoch has its own order, whatever else was drawn before it. So a run that
            resumes reads the same batches as one that was never stopped.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, pool: int = 16, seed: int = 0) -> None:
        self.lengths = lengths
        self.batch_size = batch_size
        self.pool = pool
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch is read next. `Trainer` calls it."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * EPOCHS + self.epoch)
        order = torch.randperm(len(self.lengths), generator=generator).tolist()
        size = self.batch_size * self.pool
        drawn = [sorted(order[i : i + size], key=self.lengths.__getitem__) for i in range(0, len(order), size)]
        batches = [part[i : i + self.batch_size] for part in drawn for i in range(0, len(part), self.batch_size)]
        # The very last batch may be short, so it has to come last.
        shuffled = [batches[i] for i in torch.randperm(len(batches) - 1, generator=generator).tolist()] + batches[-1:]
        return iter([index for batch in shuffled for index in batch])


class SentenceTrainer(Seq2SeqTrainer):
    """Trains on batches of similar length, in which each token counts alike, as in the published sum over sentences.

    A mean over the tokens of each batch would make a token of a short sentence count more.
    """

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> LengthSampler:
        return LengthSampler(self.train_dataset["length"], self.args.train_batch_size, seed=self.args.seed)

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Return the loss of a batch, weighted by its number of tokens relative to an average batch."""
        loss = super().compute_loss(model, inputs, *args, **kwargs)
        if not self.model.training:
            return loss
        share = float((inputs["labels"] != -100).sum()) / (len(inputs["labels"]) * self.tokens_a_sentence)
        return loss * share

    @cached_property
    def tokens_a_sentence(self) -> float:
        """The mean length of the training sentences."""
        return mean(self.train_dataset["length"])


def train(
    model: PreTrainedModel,
    data: DatasetDict,
    folder: Path,
    callbacks: list[AccuracyCurve] | None = None,
    keep_best: bool = True,
    **settings: Any,
) -> Clock:
    """Train a model, resuming at the last checkpoint in `folder`. A resumed run takes the steps of one never stopped.

    Args:
        model: The model, with `teacher_forcing_ratio` in its config.
        data: Train and validation.
        folder: The folder of the checkpoints.
        callbacks: Curves to measure during training.
        keep_best: Whether to leave the model at its best on validation, measured every `eval_steps`.
        **settings: Arguments of `Seq2SeqTrainingArguments`: steps, batch, learning rate.

    Returns:
        The clock of the training, which goes on. It counts the time before the last checkpoint, too.
    """
    last, keep_record = resume(folder, validation=VALIDATION)
    arguments = Seq2SeqTrainingArguments(
        output_dir=str(folder),
        use_cpu=True,
        optim="adamw_torch",  # the same as Adam, because weight decay is 0
        max_grad_norm=5.0,
        remove_unused_columns=False,
        per_device_eval_batch_size=256,
        eval_strategy="steps" if keep_best else "no",
        save_strategy="steps",
        save_steps=settings["eval_steps"],
        save_total_limit=1,
        load_best_model_at_end=keep_best,
        metric_for_best_model="exact_match",
        predict_with_generate=True,
        logging_steps=100,
        report_to=[],
        disable_tqdm=True,
        **settings,
    )
    trainer = SentenceTrainer(
        model,
        arguments,
        data_collator=Collator(),
        train_dataset=data["train"].select_columns([*COLUMNS, "length"]),
        eval_dataset=data["validation"].select_columns(list(COLUMNS)),
        compute_metrics=_exact_match,
        callbacks=[*(callbacks or []), keep_record],
    )
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    model.eval()
    return keep_record.clock


def _exact_match(prediction: EvalPrediction) -> dict[str, float]:
    found, wanted = torch.as_tensor(prediction.predictions)[:, 1:], torch.as_tensor(prediction.label_ids)
    return {"exact_match": matches(found, wanted).double().mean().item()}


def matches(found: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Whether each answer `(B, T)`, up to its first end, equals the label `(B, T')`, which is padded with −100."""
    width = max(found.shape[1], labels.shape[1])
    found = torch.nn.functional.pad(found.masked_fill(found == -100, PAD), (0, width - found.shape[1]), value=PAD)
    labels = torch.nn.functional.pad(labels.masked_fill(labels == -100, PAD), (0, width - labels.shape[1]), value=PAD)
    after_end = (found == END).cumsum(1) - (found == END).long() > 0
    return (found.masked_fill(after_end, PAD) == labels).all(1)


@torch.no_grad()
def accuracy(model: PreTrainedModel, part: Dataset, batch_size: int = 256) -> float:
    """Return the exact-match accuracy in per cent."""
    right = 0
    # A loader without a generator of its own would draw from the one that training uses.
    generator, rows = torch.Generator(), part.select_columns(list(COLUMNS))
    for batch in DataLoader(rows, batch_size=batch_size, collate_fn=Collator(), generator=generator):
        labels = batch.pop("labels")
        right += int(matches(model.generate(**batch)[:, 1:], labels).sum())
    return 100 * right / len(part)
