"""Small base models of the vision experiments: a ResNet and a ViT, trained on upright CIFAR-10.

    python examples/cifar_bases.py --data DIR --output runs/cifar
    python examples/cifar_bases.py --data DIR --output runs/cifar --architecture resnet --seed 0

The first line trains both architectures with three seeds. Each takes about eight minutes on one core. The second line
trains one of them, so that several can run side by side. A killed run resumes at its last checkpoint, and finished
bases are not trained again. Each base is in OUTPUT/ARCHITECTURE/seedN/base. Its accuracies on upright, randomly
rotated and randomly flipped test images are in OUTPUT/ARCHITECTURE/seedN/base.json.

The images are shifted at random and never mirrored. A base that has seen mirror images would already be invariant to
left-right flips, and a symmetrised one would have nothing left to mend.

With `--smoke` each trains for a few steps on a little of the data, to show that everything runs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from checkpoints import resume
from cifar import CLASS_NAMES, SIDE, CifarImages, load_cifar10
from data import add_data_argument, write_json
from machine import add_threads_argument, fix_arithmetic, machine
from torch.utils.data import DataLoader
from transformers import (
    AutoModelForImageClassification,
    EvalPrediction,
    PreTrainedConfig,
    PreTrainedModel,
    ResNetConfig,
    Trainer,
    TrainingArguments,
    ViTConfig,
    set_seed,
)

LABELS = {"id2label": dict(enumerate(CLASS_NAMES)), "label2id": {name: i for i, name in enumerate(CLASS_NAMES)}}
TRAINING: dict[str, Any] = {
    "bf16": True,
    "lr_scheduler_type": "cosine",
    "warmup_steps": 200,
    "remove_unused_columns": False,
    "per_device_eval_batch_size": 500,
    "eval_strategy": "epoch",
    "save_strategy": "epoch",
    "save_total_limit": 1,
    "logging_steps": 100,
    "report_to": [],
    "disable_tqdm": True,
}
TEST_SEED = 0  # for the rotations and flips of the test images, the same for every base and method


@dataclass(frozen=True)
class Recipe:
    """An architecture and how it is trained."""

    config: PreTrainedConfig
    training: dict[str, Any]


# The stem of transformers' ResNet turns 32 × 32 images into 8 × 8 maps, so there are three stages instead of four.
RECIPES = {
    "resnet": Recipe(
        ResNetConfig(embedding_size=64, hidden_sizes=[64, 128, 256], depths=[2, 2, 2], layer_type="basic", **LABELS),
        {"num_train_epochs": 8, "per_device_train_batch_size": 128, "learning_rate": 2e-3, "weight_decay": 0.05},
    ),
    "vit": Recipe(
        ViTConfig(
            image_size=SIDE,
            patch_size=4,
            hidden_size=96,
            num_hidden_layers=4,
            num_attention_heads=3,
            intermediate_size=192,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            **LABELS,
        ),
        {"num_train_epochs": 8, "per_device_train_batch_size": 64, "learning_rate": 1e-3, "weight_decay": 0.05},
    ),
}


def base_folder(output: Path, architecture: str, seed: int) -> Path:
    """Return the folder of a base."""
    return output / architecture / f"seed{seed}"


def load_base(output: Path, architecture: str, seed: int) -> PreTrainedModel:
    """Load a trained base."""
    folder = base_folder(output, architecture, seed) / "base"
    if not folder.is_dir():
        raise SystemExit(f"{folder} is missing: run examples/cifar_bases.py first")
    model: PreTrainedModel = AutoModelForImageClassification.from_pretrained(folder)
    return model.eval()


def collate(samples: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """Make a batch, in the memory format in which convolutions are fast on a CPU."""
    pixels = torch.stack([sample["pixel_values"] for sample in samples])
    labels = torch.tensor([sample["labels"] for sample in samples])
    return {"pixel_values": pixels.contiguous(memory_format=torch.channels_last), "labels": labels}


@torch.no_grad()
def accuracy(model: PreTrainedModel, images: CifarImages, batch_size: int = 500) -> float:
    """Return the accuracy in per cent."""
    right = 0
    for batch in DataLoader(images, batch_size=batch_size, collate_fn=collate):
        labels = batch.pop("labels")
        right += int((model(**batch).logits.argmax(-1) == labels).sum())
    return 100 * right / len(images)


def train(
    model: PreTrainedModel,
    parts: dict[str, CifarImages],
    folder: Path,
    trainer: Callable[..., Trainer] = Trainer,
    **settings: Any,
) -> dict[str, int]:
    """Train a model, resuming at the last checkpoint in `folder`.

    A resumed training ends with the same weights as one that was not killed.

    Args:
        model: The model. It is left at its last step.
        parts: Train and validation.
        folder: The folder of the checkpoints.
        trainer: The trainer class.
        **settings: Arguments of `TrainingArguments`: epochs, batch, learning rate, seed.

    Returns:
        The seconds of the training, those before the last checkpoint included.
    """
    arguments = TrainingArguments(output_dir=str(folder), use_cpu=True, **{**TRAINING, **settings})
    last, keep_record = resume(folder)
    if last is not None:
        # Trainer looks for the names that tensors have in memory. It leaves as they are those that are stored under
        # other names, as all layers of a ViT are.
        model.load_state_dict(type(model).from_pretrained(last).state_dict())
    trainer(
        model=model,
        args=arguments,
        data_collator=collate,
        train_dataset=parts["train"].shifted(),
        eval_dataset=parts["validation"],
        compute_metrics=_share_right,
        callbacks=[keep_record],
    ).train(resume_from_checkpoint=str(last) if last else None)
    model.eval()
    return keep_record.clock.seconds


def _share_right(prediction: EvalPrediction) -> dict[str, float]:
    return {"accuracy": float((prediction.predictions.argmax(-1) == prediction.label_ids).mean())}


def measure(folder: Path, parts: dict[str, CifarImages]) -> dict[str, float]:
    """Return the accuracies of the stored base, in per cent. `Trainer` leaves the one in memory in bfloat16."""
    model = AutoModelForImageClassification.from_pretrained(folder).eval()
    tests = {name: parts["test"].moved(name, TEST_SEED) for name in ("rot90", "flip")}
    shown = {"validation": parts["validation"], "upright": parts["test"], **tests}
    return {name: accuracy(model, images) for name, images in shown.items()}


def pretrain(parts: dict[str, CifarImages], folder: Path, architecture: str, seed: int, **settings: Any) -> None:
    """Train a base on upright images, and measure it.

    Args:
        parts: The parts from `load_cifar10`.
        folder: The folder of this base.
        architecture: A key of `RECIPES`.
        seed: The seed of the initial weights, the order of the batches and the shifts.
        **settings: Settings that replace those of the recipe.
    """
    set_seed(seed)
    recipe = RECIPES[architecture]
    # On a CPU with 65 tokens, eager attention trains twice as fast as fused attention. The checkpoint is the same.
    model = AutoModelForImageClassification.from_config(
        recipe.config, **({"attn_implementation": "eager"} if architecture == "vit" else {})
    ).to(memory_format=torch.channels_last)
    seconds = train(model, parts, folder / "checkpoints", seed=seed, **{**recipe.training, **settings})
    model.to(memory_format=torch.contiguous_format).save_pretrained(folder / "base")
    results = {
        "parameters": model.num_parameters(),
        "training": {**recipe.training, **settings, "images": len(parts["train"])},
        "seconds": seconds,
        "machine": machine(),
        "accuracy": measure(folder / "base", parts),
    }
    write_json(folder / "base.json", results)
    print(f"{folder}: {results['accuracy']}, {results['seconds']}", flush=True)


def shorten(parts: dict[str, CifarImages], count: int) -> dict[str, CifarImages]:
    """Return the first images of each part."""
    return {name: part.select(torch.arange(count)) for name, part in parts.items()}


def parse() -> argparse.Namespace:
    """Read the command line."""
    summary, _, details = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data_argument(parser)
    parser.add_argument("--output", type=Path, default=Path("runs/cifar"), metavar="DIR", help="folder of all runs")
    parser.add_argument(
        "--architecture", choices=list(RECIPES), action="append", help="run only this base (default: both)"
    )
    parser.add_argument(
        "--seed", type=int, action="append", metavar="N", help="seed; repeat for more (default: 0, 1 and 2)"
    )
    add_threads_argument(parser)
    parser.add_argument("--smoke", action="store_true", help="run a few steps, to show that it works")
    return parser.parse_args()


def main() -> None:
    """Train the bases that are not finished."""
    arguments = parse()
    fix_arithmetic(arguments.threads)
    output, settings = arguments.output, {}
    if arguments.smoke:
        output, settings = output / "smoke", {"num_train_epochs": 1}
    for seed in arguments.seed or (0, 1, 2):
        parts = load_cifar10(arguments.data, arguments.output, seed)
        if arguments.smoke:
            parts = shorten(parts, 640)
        for architecture in arguments.architecture or RECIPES:
            folder = base_folder(output, architecture, seed)
            if not (folder / "base.json").is_file():
                print(f"{architecture}, seed {seed}", file=sys.stderr, flush=True)
                pretrain(parts, folder, architecture, seed, **settings)


if __name__ == "__main__":
    main()
