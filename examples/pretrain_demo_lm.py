"""Pretrain the embedded demo language model: GPT-2's architecture, 2.6M parameters, and its own 8k byte-level BPE.

    python examples/pretrain_demo_lm.py --data DIR --output runs/demo_lm

There are four stages. A stage is skipped if its output exists, and resumes at its last checkpoint if it was killed:

1. a tokenizer, trained on the text and the training generations;
2. pretraining on plain English text;
3. finetuning on what GPT-2 wrote about demographic groups (Sheng et al. 2019, and the equinlg samples), so that the
   model has GPT-2's differences between them; the epoch with the lowest validation loss is kept;
4. export: bf16 safetensors, tokenizer, and `training.json` with the perplexities on the held-out generations.

Held-out perplexity is exp of the mean cross-entropy of every token of a line after its first. The end of text counts
if the line ends in a full sentence. Neither training nor the choice of the epoch has seen these lines.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import random
from pathlib import Path
from typing import Any

import torch
from checkpoints import record, resume
from data import add_data_argument, require, write_json
from datasets import Dataset
from machine import add_threads_argument, fix_arithmetic, machine
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    DataCollatorForSeq2Seq,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
    set_seed,
)

END, PAD = "<|endoftext|>", "<|pad|>"
BLOCK = 128
DROPOUTS = ("resid_pdrop", "embd_pdrop", "attn_pdrop")
SENTENCE_ENDS = (".", "!", "?", '."', '!"', '?"', ".'", ".)")


def read_text(folder: Path) -> list[str]:
    """Return every non-empty line of the text corpus."""
    lines = []
    for path in sorted(folder.glob("*.txt.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            lines += [line.strip() for line in file if line.strip()]
    return lines


def read_generations(nlg_bias: Path, equinlg: Path) -> dict[str, list[str]]:
    """Return GPT-2's distinct generations, split at random: 85 % train, 5 % validation, 10 % held out."""
    lines = (nlg_bias / "small_gpt2_generated_samples.tsv").read_text(encoding="utf-8").splitlines()
    for path in sorted(equinlg.glob("*.txt")):
        # "The MAN was known for" names the same group as the other file's "The man was known for".
        shouted = path.read_text(encoding="utf-8").replace("The WOMAN ", "The woman ").replace("The MAN ", "The man ")
        lines += shouted.splitlines()
    lines = sorted({line.strip() for line in lines if line.strip()})
    random.Random(0).shuffle(lines)
    held_out, validation = len(lines) // 10, len(lines) // 20
    return {
        "held_out": lines[:held_out],
        "validation": lines[held_out : held_out + validation],
        "train": lines[held_out + validation :],
    }


def train_tokenizer(corpus: list[str], path: Path, vocabulary: int) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE like GPT-2's, with a separate padding token."""
    if not (path / "tokenizer.json").exists():
        bpe = Tokenizer(models.BPE())
        bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        bpe.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=[END, PAD], initial_alphabet=alphabet)
        bpe.train_from_iterator(corpus, trainer, length=len(corpus))
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=bpe,
            bos_token=END,
            eos_token=END,
            pad_token=PAD,
            model_max_length=BLOCK,
            padding_side="left",
        )
        tokenizer.save_pretrained(path)
    return PreTrainedTokenizerFast.from_pretrained(path)


def pack(lines: list[str], tokenizer: PreTrainedTokenizerFast) -> Dataset:
    """Join the lines in order, with an end of text after each, and cut them into blocks."""
    tokens = Dataset.from_dict({"text": lines}).map(
        lambda batch: {"input_ids": [[*ids, tokenizer.eos_token_id] for ids in tokenizer(batch["text"])["input_ids"]]},
        batched=True,
        remove_columns="text",
        desc="tokenising the text",
    )
    flat = [token for ids in tokens["input_ids"] for token in ids]
    blocks = [flat[start : start + BLOCK] for start in range(0, len(flat) - BLOCK + 1, BLOCK)]
    return Dataset.from_dict({"input_ids": blocks, "labels": blocks})


def separate(lines: list[str], tokenizer: PreTrainedTokenizerFast) -> Dataset:
    """Put each line into a row, with an end of text unless the line was cut off within a sentence."""
    rows = []
    for line in lines:
        ids = tokenizer(line)["input_ids"] + [tokenizer.eos_token_id] * line.endswith(SENTENCE_ENDS)
        rows.append(ids[:BLOCK])
    return Dataset.from_dict({"input_ids": rows, "labels": rows})


def train(
    model: GPT2LMHeadModel,
    output: Path,
    datasets: dict[str, Dataset],
    tokenizer: PreTrainedTokenizerFast,
    **settings: object,
) -> GPT2LMHeadModel:
    """Train with `Trainer`, or load the model of an earlier run."""
    done = output / "done.json"
    if done.exists():
        return GPT2LMHeadModel.from_pretrained(output)
    arguments = TrainingArguments(
        output_dir=str(output),
        bf16=True,
        use_cpu=not torch.cuda.is_available(),
        adam_beta2=0.98,
        lr_scheduler_type="cosine_with_min_lr",
        lr_scheduler_kwargs={"min_lr_rate": 0.05},
        logging_steps=50,
        save_total_limit=2,
        report_to="none",
        **settings,
    )
    origin = {"settings": {name: str(value) for name, value in settings.items()}, "lines": len(datasets["train"])}
    output.mkdir(parents=True, exist_ok=True)
    last, keep_record = resume(output, **origin)
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=datasets["train"],
        eval_dataset=datasets["validation"],
        data_collator=DataCollatorForSeq2Seq(tokenizer),
        callbacks=[keep_record],
    )
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    trainer.save_model(str(output))
    write_json(done, record(keep_record.clock, **origin))
    return trainer.model


@torch.no_grad()
def perplexity(model: GPT2LMHeadModel, rows: Dataset, skip: int = 1) -> float:
    """Return exp of the mean cross-entropy of all tokens of the rows from position `skip` on."""
    model.eval()
    loss, count = 0.0, 0
    for row in rows["input_ids"]:
        ids = torch.tensor([row])
        logits = model(input_ids=ids).logits[0, skip - 1 : -1].float()
        loss += torch.nn.functional.cross_entropy(logits, ids[0, skip:], reduction="sum").item()
        count += ids.shape[1] - skip
    return math.exp(loss / count)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_argument(parser)
    parser.add_argument("--output", type=Path, default=Path("runs/demo_lm"), help="checkpoints and the exported model")
    parser.add_argument("--epochs", type=float, default=4, help="epochs of pretraining")
    parser.add_argument("--finetune-epochs", type=float, default=12)
    parser.add_argument("--finetune-lr", type=float, default=1e-3)
    parser.add_argument("--dropout", type=float, default=0.2, help="dropout of finetuning")
    parser.add_argument("--seed", type=int, default=0)
    add_threads_argument(parser)
    parser.add_argument(
        "--smoke", action="store_true", help="run for a minute on a little of the data, to show that it works"
    )
    return parser.parse_args()


def pretrain(
    options: argparse.Namespace, tokenizer: PreTrainedTokenizerFast, text: list[str], validation: Dataset
) -> GPT2LMHeadModel:
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=BLOCK,
        n_embd=160,
        n_layer=4,
        n_head=5,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **dict.fromkeys(DROPOUTS, 0.0),
    )
    return train(
        GPT2LMHeadModel(config),
        options.output / "pretrained",
        {"train": pack(text, tokenizer), "validation": validation},
        tokenizer,
        num_train_epochs=options.epochs,
        per_device_train_batch_size=32,
        learning_rate=2e-3,
        weight_decay=0.1,
        warmup_steps=200,
        eval_strategy="steps",
        eval_steps=1000,
        save_steps=400,
        seed=options.seed,
    )


def finetune(
    options: argparse.Namespace, tokenizer: PreTrainedTokenizerFast, generations: list[str], validation: Dataset
) -> GPT2LMHeadModel:
    model = GPT2LMHeadModel.from_pretrained(options.output / "pretrained", **dict.fromkeys(DROPOUTS, options.dropout))
    return train(
        model,
        options.output / "finetuned",
        {"train": separate(generations, tokenizer), "validation": validation},
        tokenizer,
        num_train_epochs=options.finetune_epochs,
        per_device_train_batch_size=32,
        learning_rate=options.finetune_lr,
        weight_decay=0.1,
        warmup_steps=100,
        eval_strategy="epoch",
        save_strategy="epoch",
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        seed=options.seed,
    )


def export(
    options: argparse.Namespace, model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, held_out: Dataset
) -> None:
    """Save the model in bf16, and measure the saved model."""
    folder = options.output / "model"
    for name in DROPOUTS:
        setattr(model.config, name, 0.0)
    model.config.use_cache = True  # Trainer turns it off
    model.to(device="cpu", dtype=torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    stored = GPT2LMHeadModel.from_pretrained(folder, dtype=torch.float32)
    pretrained = GPT2LMHeadModel.from_pretrained(options.output / "pretrained", dtype=torch.float32)
    longer = held_out.filter(lambda row: len(row["input_ids"]) > 6)
    report = {
        "parameters": stored.num_parameters(),
        "held_out_lines": len(held_out),
        "held_out_perplexity": perplexity(stored, held_out),
        "held_out_perplexity_after_six_tokens": perplexity(stored, longer, 6),
        "held_out_perplexity_before_finetuning": perplexity(pretrained, held_out),
        "settings": {name: str(value) for name, value in vars(options).items() if name not in ("data", "output")},
        "machine": machine(),
        "seconds": {stage: _record(options, stage)["seconds"] for stage in ("pretrained", "finetuned")},
    }
    write_json(folder / "training.json", report)
    print(json.dumps(report, indent=2))


def _record(options: argparse.Namespace, stage: str) -> dict[str, Any]:
    """Return the record of a finished stage."""
    found: dict[str, Any] = json.loads((options.output / stage / "done.json").read_text(encoding="utf-8"))
    return found


def main() -> None:
    options = read_options()
    fix_arithmetic(options.threads)
    set_seed(options.seed)
    text_folder, nlg_bias, equinlg = require(
        options.data, "text", "gpt2_generations/nlg_bias", "gpt2_generations/equinlg/GPT2"
    )
    text, generations = read_text(text_folder), read_generations(nlg_bias, equinlg)
    if options.smoke:
        text, options.epochs, options.finetune_epochs = text[:4000], 1, 1
        generations = {name: lines[:300] for name, lines in generations.items()}
    tokenizer = train_tokenizer(text + 4 * generations["train"], options.output / "tokenizer", 8192)
    validation = separate(generations["validation"], tokenizer)
    pretrain(options, tokenizer, text, validation)
    model = finetune(options, tokenizer, generations["train"], validation)
    export(options, model, tokenizer, separate(generations["held_out"], tokenizer))


if __name__ == "__main__":
    main()
