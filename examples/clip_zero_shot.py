"""Zero-shot classification with a CLIP, plain and symmetrised: Figures 4 and 8 of arXiv 2305.09900.

    python examples/clip_zero_shot.py --data DIR --name small-clip --model runs/small_clip/seed0/model \\
        --model runs/small_clip/seed1/model --model runs/small_clip/seed2/model
    python examples/clip_zero_shot.py --data DIR --model openai/clip-vit-base-patch32 --dataset uoft-cs/cifar100 \\
        --image-column img --label-column fine_label --prompts cifar100
    python examples/clip_zero_shot.py --model NAME --dataset imagefolder --data-dir PHOTOS --prompts my_prompts.json
    python examples/clip_zero_shot.py --data DIR --model openai/clip-vit-base-patch32 --prompts imagenet \\
        --dataset imagefolder --data-dir IMAGENET_V2 --published imagenet-v2 --split train --lambda-images 0
    python examples/clip_zero_shot.py --output runs/clip_zero_shot --page docs/results/clip.md

The third line takes images in PHOTOS/test/CLASS and PHOTOS/train/CLASS, the latter for λ; the fourth takes them in
IMAGENET_V2/CLASS, which datasets calls the split train, and leaves λ-equitune out.

Every image is moved by an element drawn for it alone (the published code draws one for a whole batch, and its "flip"
is a half turn): --transform rot90 draws from the four rotations, flip from the mirrors and both. Classes and templates
are those of Radford et al. 2021 (cifar10, cifar100, imagenet in the data's clip_prompts), or a JSON file
{"classes": [...], "templates": [...]} with {} for the name. Labels find their classes by name, or by number where
they are named 0, 1, 2 and so on. The base reads every member of the orbits once; all methods go on from its features.
λ-equitune is trained on features of as many training images as --lambda-images says.

A killed run goes on after the last seed that it finished; a finished one is run anew. The published figures are
printed beside results of the same checkpoint and images: openai's ViT-B/32 and ViT-B/16, known by name, or by that of
their folder, on CIFAR-100 and ImageNet-V2, known by name or --published.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from cifar import TRANSFORMS, move
from clip_data import PROMPTS, ZeroShotData, first_line
from clip_results import PUBLISHED_DATA, print_table, write_page, write_plot
from data import add_data_argument, write_json
from datasets import Dataset
from tqdm import tqdm
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
    """What the base says of the orbits of images.

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
    """The features of the orbits of images, each moved by an element of its own."""
    elements = torch.randint(TRANSFORMS[transform], (len(images),), generator=torch.Generator().manual_seed(seed))
    features, labels = [], []
    for start in tqdm(range(0, len(images), batch_size), desc=f"images, {transform}"):
        batch = images[start : start + batch_size]
        pixels = processor.image_processor(batch["image"], return_tensors="pt")["pixel_values"]
        pixels = move(pixels, elements[start : start + batch_size], transform)
        features.append(model.get_orbit_features(pixels))
        labels.append(torch.tensor(batch["label"]))
    return Orbits(torch.cat(features), torch.cat(labels))


@torch.no_grad()
def accuracy(model: PreTrainedModel, orbits: Orbits, texts: torch.Tensor) -> float:
    """Top-1 accuracy in per cent."""
    right = 0
    for features, labels in zip(orbits.features.split(1000), orbits.labels.split(1000), strict=True):
        best = model(orbit_features=features, text_features=texts).logits_per_image.argmax(-1)
        right += int((best == labels).sum())
    return 100 * right / len(orbits.labels)


def train_weights(
    model: PreTrainedModel, orbits: Orbits, texts: torch.Tensor, arguments: argparse.Namespace, seed: int
) -> None:
    """Train λ alone, on features that the base has given once: no base forward."""
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
        processor: Its processor.
        data: The images.
        texts: The features of the texts of the classes.
        arguments: The command line.
    """

    base: PreTrainedModel
    processor: Any
    data: ZeroShotData
    texts: torch.Tensor
    arguments: argparse.Namespace

    @classmethod
    def load(cls, name: str, data: ZeroShotData, arguments: argparse.Namespace) -> Setting:
        """A base by its name."""
        try:
            processor, base = AutoProcessor.from_pretrained(name), AutoModel.from_pretrained(name).eval()
            hf_equi.symmetrize(base, GROUPS[arguments.transform], task="clip")
        except (OSError, ValueError) as error:
            raise SystemExit(f"--model {name}: {first_line(error)}") from None
        if not all(hasattr(processor, part) for part in ("image_processor", "tokenizer")):
            raise SystemExit(f"--model {name}: there is no processor of images and texts beside the weights")
        texts = class_text_features(base, processor, data.classes, data.templates)
        return cls(base, processor, data, texts, arguments)

    @property
    def group(self) -> ImageGroup:
        """That the images are moved by."""
        return GROUPS[self.arguments.transform]

    @property
    def checksum(self) -> float:
        """Of the weights and the prompts, to know them by."""
        weights = sum(float(weight.detach().double().abs().sum()) for weight in self.base.parameters())
        return weights + float(self.texts.double().abs().sum())

    def read(self, images: Dataset, transform: str, seed: int) -> Orbits:
        """The features of the orbits of images, each moved by an element of its own."""
        reader = hf_equi.symmetrize(self.base, self.group, "equitune", processor=self.processor)
        return read_orbits(reader, self.processor, images, transform, seed, self.arguments.batch_size)

    def upright(self) -> float:
        """The accuracy of the base on images that are not moved."""
        orbits = self.read(self.data.images, "none", 0)
        return accuracy(symmetrized(self.base, self.group, "base"), orbits, self.texts)

    def moved(self, seed: int) -> dict[str, float]:
        """The accuracy of every method on images that are moved."""
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
            found[name] = accuracy(model, orbits, self.texts)
        return found


def symmetrized(base: PreTrainedModel, group: ImageGroup, name: str) -> PreTrainedModel:
    """The base by a method of the table."""
    model: PreTrainedModel = hf_equi.symmetrize(base, group, **METHODS[name])
    return model.eval()


def describe(arguments: argparse.Namespace) -> dict[str, Any]:
    """Results in which nothing is measured yet."""
    first, folder = arguments.model[0], arguments.data_dir if arguments.dataset == "imagefolder" else None
    return {
        "upright": {"base": []},
        "moved": {name: [] for name in METHODS},
        "seeds": [],
        "seconds": 0,
        "threads": torch.get_num_threads(),
        "transform": arguments.transform,
        "dataset": Path(folder).resolve().name if folder else arguments.dataset,
        "published": arguments.published,
        "model": arguments.name or (Path(first).resolve().name if Path(first).exists() else first),
        "lambda": {"images": arguments.lambda_images, "steps": arguments.lambda_steps, "rate": arguments.lambda_rate},
    }


def measure(arguments: argparse.Namespace, results: dict[str, Any], draft: Path) -> None:
    """Every method on images upright and moved, over the seeds: of one base, or of a base each.

    Args:
        arguments: The command line.
        results: From `describe`; what is found is added.
        draft: Where results lie after each seed, to go on from.
    """
    begin = time.process_time()
    data = ZeroShotData.load(arguments)
    settings = [Setting.load(name, data, arguments) for name in arguments.model]
    results["images"] = len(data.images)
    # A draft of other settings, weights or prompts is not gone on from.
    known = {name: str(value) for name, value in vars(arguments).items() if name != "output"}
    known |= {"images": len(data.images), "checksums": [setting.checksum for setting in settings]}
    before = json.loads(draft.read_text(encoding="utf-8")) if draft.is_file() else {}
    if before.get("known") == known:
        results.update(before["results"])
        print(f"goes on after {len(results['seeds'])} of {len(arguments.seed)} seeds", file=sys.stderr)
    spent = results["seconds"]
    of_seed = settings * (len(arguments.seed) if len(settings) == 1 else 1)
    for k, (seed, setting) in enumerate(zip(arguments.seed, of_seed, strict=True)):
        if k < len(results["seeds"]):
            continue
        found, upright = setting.moved(seed), [setting.upright()] if k < len(settings) else []
        results["upright"]["base"] += upright
        for name, value in found.items():
            results["moved"][name].append(value)
        results["seeds"].append(seed)
        results["seconds"] = round(spent + time.process_time() - begin)
        write_json(draft, {"known": known, "results": results})


def at_least(least: int) -> Callable[[str], int]:
    """What reads an integer of the command line, from `least` on."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not an integer from {least} on")
        return int(text)

    return read


def parse() -> argparse.Namespace:
    """The command line."""
    summary, _, details = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data_argument(parser)
    add = parser.add_argument
    add("--model", action="append", metavar="NAME", help="a CLIP: a folder, or a name on the Hub; one for each seed")
    add("--name", metavar="NAME", help="of the model in results (default: that of --model)")
    add("--dataset", default="cifar10", metavar="NAME", help="cifar10 of the data, or what load_dataset takes")
    add("--data-dir", metavar="DIR", help="of load_dataset, as for imagefolder")
    add("--published", choices=sorted(PUBLISHED_DATA), help="what the images are of, for the published figures")
    add("--split", metavar="NAME", default="test", help="that is classified (default: test)")
    add("--training-split", metavar="NAME", default="train", help="that λ is trained on (default: train)")
    add("--image-column", default="image", metavar="NAME", help="of the images (default: image)")
    add("--label-column", default="label", metavar="NAME", help="of their classes (default: label)")
    add("--prompts", default="cifar10", metavar="NAME", help=f"{', '.join(PROMPTS)}, or a JSON file")
    add("--labels-in-order", action="store_true", help="label k is class k of the prompts, whatever its name")
    add("--transform", choices=sorted(GROUPS), default="rot90", help="how images are moved (default: rot90)")
    positive = at_least(1)
    add("--limit", type=positive, metavar="N", help="images that are classified (default: all)")
    add("--lambda-images", type=at_least(0), default=5000, metavar="N", help="that train λ; 0: none (default: 5000)")
    add("--lambda-steps", type=positive, default=1000, metavar="N", help="batches of 32 (default: 1000)")
    add(
        "--lambda-rate",
        metavar="RATE",
        type=float,
        default=1e-3,
        help="learning rate of λ (default: 1e-3; published: 0.3)",
    )
    add("--batch-size", type=positive, default=250, metavar="N", help="images at a time (default: 250)")
    add("--seed", type=at_least(0), action="append", metavar="N", help="of moves and λ (default: 0, 1 and 2)")
    add("--output", type=Path, default=Path("runs/clip_zero_shot"), metavar="DIR", help="for results and the plot")
    add("--page", type=Path, metavar="FILE", help="write the results in --output into a page, and run nothing")
    return parser.parse_args()


def main() -> None:
    """Measure, print and plot."""
    arguments = parse()
    if arguments.page is not None:
        write_page(arguments.page, arguments.output)
        return
    arguments.seed = arguments.seed or [0, 1, 2]
    if arguments.model is None:
        raise SystemExit("--model NAME is needed: a folder of a CLIP, or its name on the Hub")
    if len(arguments.model) not in (1, len(arguments.seed)):
        raise SystemExit(f"There are {len(arguments.model)} of --model and {len(arguments.seed)} seeds: one for each")
    results = describe(arguments)
    arguments.output.mkdir(parents=True, exist_ok=True)
    name = f"{Path(results['model']).name}-{Path(results['dataset']).name}-{results['transform']}"
    draft = arguments.output / f"{name}.unfinished"
    measure(arguments, results, draft)
    write_json(arguments.output / f"{name}.json", results)
    draft.unlink()
    write_plot(arguments.output / f"{name}.png", results)
    print_table(results)
    print(f"results and plot: {arguments.output / name}.*", file=sys.stderr)


if __name__ == "__main__":
    main()
