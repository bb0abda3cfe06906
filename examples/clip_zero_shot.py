"""Zero-shot classification with a CLIP, plain and symmetrised: Figures 4 and 8 of arXiv 2305.09900.

    python examples/clip_zero_shot.py --data DIR --name small-clip --model runs/small_clip/seed0/model \\
        --model runs/small_clip/seed1/model --model runs/small_clip/seed2/model
    python examples/clip_zero_shot.py --data DIR --model openai/clip-vit-base-patch32 --dataset uoft-cs/cifar100 \\
        --image-column img --label-column fine_label --prompts cifar100
    python examples/clip_zero_shot.py --model NAME --dataset imagefolder --data-dir PHOTOS --prompts my_prompts.json
    python examples/clip_zero_shot.py --data DIR --model openai/clip-vit-base-patch32 --prompts imagenet \\
        --dataset imagefolder --data-dir IMAGENET_V2 --published imagenet-v2 --split train --lambda-images 0
    python examples/clip_zero_shot.py --output runs/clip_zero_shot --page docs/results/clip.md
    python examples/clip_zero_shot.py --output runs/clip_zero_shot --keep examples/weights/clip

The third line takes images from PHOTOS/test/CLASS, and from PHOTOS/train/CLASS to train λ. The fourth line takes them
from IMAGENET_V2/CLASS, which datasets calls the split train, and leaves λ-equitune out.

Every image is moved by an element drawn for it alone: --transform rot90 draws from the four rotations, and flip from
the two mirrors, both and none. (The published code draws one element a batch, and its "flip" is a half turn.)
Classes and templates are those of Radford et al. 2021 (cifar10, cifar100, imagenet in the data's clip_prompts), or
come from a JSON file {"classes": [...], "templates": [...]} with {} for the name. Labels find their classes by name,
or by number if they are named 0, 1, 2 and so on. The base reads every member of the orbits once, and all methods use
its features. λ-equitune is trained on the features of --lambda-images training images.

The last line stores every λ that was trained with the first seed, in half precision.

A killed run resumes after the last seed that it finished. A finished run starts again. The published figures are
printed beside results of the same checkpoint and images. The checkpoints are openai's ViT-B/32 and ViT-B/16, found by
name or by the name of the folder. The images are CIFAR-100 and ImageNet-V2, found by name or by --published.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from cifar import TRANSFORMS, move
from clip_data import PROMPTS, ZeroShotData, first_line
from clip_results import PUBLISHED_DATA, keep_networks, print_table, write_page, write_plot
from data import add_data_argument, require_model, write_json
from datasets import Dataset
from machine import Clock, add_threads_argument, fix_arithmetic, machine, progress
from safetensors.torch import save_file
from transformers import AutoModel, AutoProcessor, PreTrainedModel, Trainer, set_seed

import hf_equi
from hf_equi import ImageGroup
from hf_equi.training import ClassTexts, Phase, class_text_features

GROUPS = {"rot90": ImageGroup.rotations(4), "flip": ImageGroup.flips("both")}
METHODS: dict[str, dict[str, Any]] = {
    "base": {"method": "identity"},
    "equitune": {"method": "equitune"},
    "equizero": {"method": "equizero"},
    "equizero, by class (published)": {"method": "equizero", "selection": "class"},
    "λ-equitune": {"method": "lambda"},
}


@dataclass(frozen=True)
class Orbits:
    """The features of the orbits of images under the base.

    Args:
        features: `(N, group, dim)`.
        labels: `(N,)`.
    """

    features: torch.Tensor
    labels: torch.Tensor


@torch.no_grad()
def read_orbits(
    model: PreTrainedModel, processor: Any, images: Dataset, transform: str, seed: int, batch_size: int
) -> Orbits:
    """Return the features of the orbits of images, each moved by its own element."""
    elements = torch.randint(TRANSFORMS[transform], (len(images),), generator=torch.Generator().manual_seed(seed))
    features, labels = [], []
    for start in progress(range(0, len(images), batch_size), f"Images, {transform}"):
        batch = images[start : start + batch_size]
        pixels = processor.image_processor(batch["image"], return_tensors="pt")["pixel_values"]
        pixels = move(pixels, elements[start : start + batch_size], transform)
        features.append(model.get_orbit_features(pixels))
        labels.append(torch.tensor(batch["label"]))
    return Orbits(torch.cat(features), torch.cat(labels))


@torch.no_grad()
def accuracy(model: PreTrainedModel, orbits: Orbits, texts: torch.Tensor) -> float:
    """Return the top-1 accuracy in per cent."""
    right = 0
    for features, labels in zip(orbits.features.split(1000), orbits.labels.split(1000), strict=True):
        best = model(orbit_features=features, text_features=texts).logits_per_image.argmax(-1)
        right += int((best == labels).sum())
    return 100 * right / len(orbits.labels)


def train_weights(
    model: PreTrainedModel, orbits: Orbits, texts: torch.Tensor, arguments: argparse.Namespace, seed: int
) -> None:
    """Train only λ, on features that the base computed once. The base does not run again."""
    phase = Phase("lambda", "lambda", arguments.lambda_rate, max_steps=arguments.lambda_steps, optimizer="adamw_torch")
    rows = [
        {"orbit_features": features, "labels": int(label)}
        for features, label in zip(orbits.features, orbits.labels, strict=True)
    ]
    quiet = {"use_cpu": True, "save_strategy": "no", "report_to": [], "logging_steps": 100, "seed": seed}
    with phase.applied(model.train()):
        Trainer(
            model,
            phase.arguments(arguments.output, **quiet),
            train_dataset=rows,
            data_collator=ClassTexts(texts),
        ).train()
    model.eval()


@dataclass(frozen=True)
class Setting:
    """A base with its images and texts.

    Args:
        base: The base.
        processor: The processor of the base.
        data: The images.
        texts: The features of the texts of the classes.
        arguments: The command line.
        group: The group that moves the images.
        training: The machine and the seconds that trained the base, if examples/pretrain_small_clip.py did.
    """

    base: PreTrainedModel
    processor: Any
    data: ZeroShotData
    texts: torch.Tensor
    arguments: argparse.Namespace
    group: ImageGroup
    training: dict[str, Any]

    @classmethod
    def load(cls, name: str, data: ZeroShotData, arguments: argparse.Namespace) -> Setting:
        """Load a base by its name."""
        try:
            processor, base = AutoProcessor.from_pretrained(name), AutoModel.from_pretrained(name).eval()
            hf_equi.symmetrize(base, GROUPS[arguments.transform], task="clip")
        except (OSError, ValueError) as error:
            raise SystemExit(f"--model {name}: {first_line(error)}") from None
        if not all(hasattr(processor, part) for part in ("image_processor", "tokenizer")):
            raise SystemExit(f"--model {name}: the folder has no processor of images and texts")
        texts = class_text_features(base, processor, data.classes, data.templates)
        path = Path(name).parent / "model.json"
        record = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        training = {part: record[part] for part in ("machine", "seconds") if part in record}
        return cls(base, processor, data, texts, arguments, GROUPS[arguments.transform], training)

    @property
    def checksum(self) -> float:
        """A checksum of the weights and the prompts, to recognise them."""
        weights = sum(float(weight.detach().double().abs().sum()) for weight in self.base.parameters())
        return weights + float(self.texts.double().abs().sum())

    def read(self, images: Dataset, transform: str, seed: int) -> Orbits:
        """Return the features of the orbits of images, each moved by its own element."""
        reader = hf_equi.symmetrize(self.base, self.group, "equitune", processor=self.processor)
        return read_orbits(reader, self.processor, images, transform, seed, self.arguments.batch_size)

    def upright(self) -> float:
        """Return the accuracy of the base on images that are not moved."""
        alone = replace(self, group=ImageGroup.rotations(1))  # reads each image once
        orbits = alone.read(self.data.images, "none", 0)
        return accuracy(symmetrized(self.base, alone.group, "base"), orbits, self.texts)

    def moved(self, seed: int) -> dict[str, float]:
        """Return the accuracy of every method on moved images."""
        transform = self.arguments.transform
        set_seed(seed)
        orbits, found = self.read(self.data.images, transform, seed), {}
        for name in METHODS:
            if name == "λ-equitune" and self.data.training is None:
                continue
            model = symmetrized(self.base, self.group, name)
            if name == "λ-equitune":
                known = self.read(self.data.training, transform, 1000 + seed)
                train_weights(model, known, self.texts, self.arguments, seed)
                save_file(model.lambda_network.state_dict(), network_file(self.arguments, seed))
            found[name] = accuracy(model, orbits, self.texts)
        return found


def symmetrized(base: PreTrainedModel, group: ImageGroup, name: str) -> PreTrainedModel:
    """Symmetrise the base by a method of the table."""
    model: PreTrainedModel = hf_equi.symmetrize(base, group, **METHODS[name])
    return model.eval()


def describe(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return results without any measurements."""
    first, folder = arguments.model[0], arguments.data_dir if arguments.dataset == "imagefolder" else None
    return {
        "upright": {"base": []},
        "moved": {name: [] for name in METHODS},
        "seeds": [],
        "runs": [],
        "transform": arguments.transform,
        "dataset": Path(folder).resolve().name if folder else arguments.dataset,
        "published": arguments.published,
        "model": arguments.name or (Path(first).resolve().name if Path(first).exists() else first),
        "lambda": {"images": arguments.lambda_images, "steps": arguments.lambda_steps, "rate": arguments.lambda_rate},
    }


def stem(arguments: argparse.Namespace) -> str:
    """Return how the names of the files of a run begin."""
    results = describe(arguments)
    return f"{Path(results['model']).name}-{Path(results['dataset']).name}-{results['transform']}"


def network_file(arguments: argparse.Namespace, seed: int) -> Path:
    """Return the file of the λ that was trained with a seed."""
    output: Path = arguments.output
    return output / f"{stem(arguments)}-lambda-seed{seed}.safetensors"


def measure(arguments: argparse.Namespace, results: dict[str, Any], draft: Path) -> None:
    """Measure every method on upright and moved images over the seeds, with one base or one for each seed.

    Args:
        arguments: The command line.
        results: The results of `describe`. The measurements are added to them.
        draft: The file that holds the results after each seed, to resume from.
    """
    data = ZeroShotData.load(arguments)
    settings = [Setting.load(name, data, arguments) for name in arguments.model]
    results["images"] = len(data.images)
    # A draft with other settings, weights or prompts, or of another machine, is not resumed.
    known = {name: str(value) for name, value in vars(arguments).items() if name != "output"}
    known |= {"images": len(data.images), "checksums": [setting.checksum for setting in settings]}
    known |= {"machine": machine()}
    before = json.loads(draft.read_text(encoding="utf-8")) if draft.is_file() else {}
    if before.get("known") == known:
        results.update(before["results"])
        print(f"resuming after {len(results['seeds'])} of {len(arguments.seed)} seeds", file=sys.stderr)
    of_seed = settings * (len(arguments.seed) if len(settings) == 1 else 1)
    for k, (seed, setting) in enumerate(zip(arguments.seed, of_seed, strict=True)):
        if k < len(results["seeds"]):
            continue
        clock = Clock()
        found, upright = setting.moved(seed), [setting.upright()] if k < len(settings) else []
        results["upright"]["base"] += upright
        for name, value in found.items():
            results["moved"][name].append(value)
        results["seeds"].append(seed)
        results["runs"].append({"machine": machine(), "seconds": clock.seconds, "base": setting.training})
        write_json(draft, {"known": known, "results": results})


def at_least(least: int) -> Callable[[str], int]:
    """Return a function that reads an integer of the command line, `least` or more."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not an integer of {least} or more")
        return int(text)

    return read


def parse(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line, or what is given."""
    summary, _, details = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data_argument(parser)
    add = parser.add_argument
    add("--model", action="append", metavar="NAME", help="a CLIP: a folder, or a name on the Hub; one for each seed")
    add("--name", metavar="NAME", help="name of the model in the results (default: that of --model)")
    add("--dataset", default="cifar10", metavar="NAME", help="cifar10 (from the data), or a name for load_dataset")
    add("--data-dir", metavar="DIR", help="data_dir of load_dataset, needed for imagefolder")
    add("--published", choices=sorted(PUBLISHED_DATA), help="data set of the images, to print the published figures")
    add("--split", metavar="NAME", default="test", help="split to classify (default: test)")
    add("--training-split", metavar="NAME", default="train", help="split to train λ on (default: train)")
    add("--image-column", default="image", metavar="NAME", help="column of the images (default: image)")
    add("--label-column", default="label", metavar="NAME", help="column of their classes (default: label)")
    add(
        "--prompts", default="cifar10", metavar="NAME", help=f"{', '.join(PROMPTS)}, or a JSON file (default: cifar10)"
    )
    add("--labels-in-order", action="store_true", help="take label k for class k of the prompts, whatever its name")
    add("--transform", choices=sorted(GROUPS), default="rot90", help="how images are moved (default: rot90)")
    positive = at_least(1)
    add("--limit", type=positive, metavar="N", help="number of images to classify (default: all)")
    add(
        "--lambda-images",
        type=at_least(0),
        default=5000,
        metavar="N",
        help="images to train λ on; 0: no λ (default: 5000)",
    )
    add("--lambda-steps", type=positive, default=1000, metavar="N", help="training steps of 32 images (default: 1000)")
    add(
        "--lambda-rate",
        metavar="RATE",
        type=float,
        default=1e-3,
        help="learning rate of λ (default: 1e-3; published: 0.3)",
    )
    add("--batch-size", type=positive, default=250, metavar="N", help="images at a time (default: 250)")
    add(
        "--seed",
        type=at_least(0),
        action="append",
        metavar="N",
        help="seed of moves and λ; repeat for more (default: 0, 1 and 2)",
    )
    add(
        "--output",
        type=Path,
        default=Path("runs/clip_zero_shot"),
        metavar="DIR",
        help="folder for the results and the plot",
    )
    add_threads_argument(parser)
    add("--keep", type=Path, metavar="DIR", help="only store the λ of the first seed in --output, for readers")
    add("--page", type=Path, metavar="FILE", help="only write the results in --output into a page")
    return parser.parse_args(given)


def main() -> None:
    """Measure, print and plot."""
    arguments = parse()
    if arguments.page is not None:
        write_page(arguments.page, arguments.output)
        return
    fix_arithmetic(arguments.threads)
    arguments.seed = arguments.seed or [0, 1, 2]
    if arguments.keep is not None:
        keep_networks(arguments.output, arguments.keep, arguments.seed[0])
        return
    if arguments.model is None:
        raise SystemExit("--model NAME is required: a CLIP model's folder, or its name on the Hub")
    if len(arguments.model) not in (1, len(arguments.seed)):
        raise SystemExit(
            f"{len(arguments.model)} --model and {len(arguments.seed)} seeds: pass one model, or one for each seed"
        )
    for name in arguments.model:
        require_model(name)
    results = describe(arguments)
    arguments.output.mkdir(parents=True, exist_ok=True)
    name = stem(arguments)
    draft = arguments.output / f"{name}.unfinished"
    measure(arguments, results, draft)
    write_json(arguments.output / f"{name}.json", results)
    draft.unlink()
    write_plot(arguments.output / f"{name}.png", results)
    print_table(results)
    print(f"results and plot: {arguments.output / name}.*", file=sys.stderr)


if __name__ == "__main__":
    main()
