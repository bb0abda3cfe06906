"""Zero-shot classification with a CLIP, plain and symmetrised: Figures 4 and 8 of arXiv 2305.09900.

    python examples/clip_zero_shot.py --data DIR --name small-clip --model runs/small_clip/seed0/model \\
        --model runs/small_clip/seed1/model --model runs/small_clip/seed2/model
    python examples/clip_zero_shot.py --data DIR --model openai/clip-vit-base-patch32 --dataset uoft-cs/cifar100 \\
        --image-column img --label-column fine_label --prompts cifar100
    python examples/clip_zero_shot.py --model NAME --dataset imagefolder --data-dir PHOTOS --prompts my_prompts.json
    python examples/clip_zero_shot.py --output runs/clip_zero_shot --page docs/results/clip.md

Every image is moved by an element drawn for it alone (the published code draws one for a whole batch, and its "flip"
is a half turn): --transform rot90 draws from the four rotations, flip from the mirrors and both. Classes and templates
are those of Radford et al. 2021 (cifar10, cifar100, imagenet in the data's clip_prompts), or a JSON file
{"classes": [...], "templates": [...]} with {} for the name. The base reads every member of the orbits once; all
methods go on from its features. λ-equitune is trained on features of as many training images as --lambda-images says.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from cifar import TRANSFORMS, move
from clip_results import print_table, write_page, write_plot
from data import add_data_argument, require, write_json
from datasets import ClassLabel, Dataset, Image, load_dataset
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
PROMPTS = ("cifar10", "cifar100", "imagenet")


@dataclass(frozen=True)
class Orbits:
    """What the base says of the orbits of images.

    Args:
        features: `(N, group, dim)`.
        labels: `(N,)`.
    """

    features: torch.Tensor
    labels: torch.Tensor


def load_prompts(name: str, data: Path) -> tuple[list[str], list[str]]:
    """Class names and templates, by a name of the data or from a file."""
    if name not in PROMPTS:
        content = json.loads(Path(name).read_text(encoding="utf-8"))
        return content["classes"], content["templates"]
    (folder,) = require(data, "clip_prompts")
    if name != "imagenet":
        content = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        return content["classes"], content["templates"]
    parts = (json.loads((folder / f"imagenet_{part}.json").read_text("utf-8")) for part in ("classes", "templates"))
    classes, templates = parts
    return classes, templates


def load_images(arguments: argparse.Namespace, split: str, limit: int | None) -> Dataset:
    """Images with their labels, as columns "image" and "label"."""
    if arguments.dataset == "cifar10":
        (folder,) = require(arguments.data, "cifar10")
        images = load_dataset("parquet", data_files={split: str(folder / f"{split}.parquet")}, split=split)
        names = {"img": "image", "label": "label"}
    else:
        images = load_dataset(arguments.dataset, data_dir=arguments.data_dir, split=split)
        names = {arguments.image_column: "image", arguments.label_column: "label"}
    missing = sorted(set(names) - set(images.column_names))
    if missing:
        raise SystemExit(f"The dataset has no column {', '.join(missing)}, but {', '.join(images.column_names)}")
    images = images.select_columns(list(names)).rename_columns({a: b for a, b in names.items() if a != b})
    count = len(images) if limit is None else min(limit, len(images))
    return images.shuffle(seed=0).select(range(count)).cast_column("image", Image(mode="RGB"))


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
        images: That are classified.
        texts: The features of the texts of the classes.
        arguments: The command line.
    """

    base: PreTrainedModel
    processor: Any
    images: Dataset
    texts: torch.Tensor
    arguments: argparse.Namespace

    @classmethod
    def load(cls, name: str, arguments: argparse.Namespace) -> Setting:
        """A base by its name."""
        processor, base = AutoProcessor.from_pretrained(name), AutoModel.from_pretrained(name).eval()
        classes, templates = load_prompts(arguments.prompts, arguments.data)
        images = load_images(arguments, arguments.split, arguments.limit)
        check_classes(images, classes)
        return cls(base, processor, images, class_text_features(base, processor, classes, templates), arguments)

    @property
    def group(self) -> ImageGroup:
        """That the images are moved by."""
        return GROUPS[self.arguments.transform]

    def read(self, images: Dataset, transform: str, seed: int) -> Orbits:
        """The features of the orbits of images, each moved by an element of its own."""
        reader = hf_equi.symmetrize(self.base, self.group, "equitune", processor=self.processor)
        return read_orbits(reader, self.processor, images, transform, seed, self.arguments.batch_size)

    def upright(self) -> float:
        """The accuracy of the base on images that are not moved."""
        return accuracy(symmetrized(self.base, self.group, "base"), self.read(self.images, "none", 0), self.texts)

    def moved(self, seed: int) -> dict[str, float]:
        """The accuracy of every method on images that are moved."""
        transform = self.arguments.transform
        set_seed(seed)
        orbits, found = self.read(self.images, transform, seed), {}
        for name in METHODS:
            if name == "λ-equitune" and not self.arguments.lambda_images:
                continue
            model = symmetrized(self.base, self.group, name)
            if name == "λ-equitune":
                training = load_images(self.arguments, self.arguments.training_split, self.arguments.lambda_images)
                known = self.read(training, transform, 1000 + seed)
                train_weights(model, known, self.texts, self.arguments, seed)
            found[name] = accuracy(model, orbits, self.texts)
        return found


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Every method on images upright and moved, over the seeds: of one base, or of a base each."""
    settings = [Setting.load(name, arguments) for name in arguments.model]
    of_seed = settings * (len(arguments.seed) if len(settings) == 1 else 1)
    moved: dict[str, list[float]] = {name: [] for name in METHODS}
    for seed, setting in zip(arguments.seed, of_seed, strict=True):
        for name, value in setting.moved(seed).items():
            moved[name].append(value)
    first = arguments.model[0]
    return {
        "upright": {"base": [setting.upright() for setting in settings]},
        "moved": moved,
        "images": len(settings[0].images),
        "seeds": list(arguments.seed),
        "transform": arguments.transform,
        "dataset": arguments.dataset,
        "model": arguments.name or (Path(first).name if Path(first).exists() else first),
        "lambda": {"images": arguments.lambda_images, "steps": arguments.lambda_steps, "rate": arguments.lambda_rate},
    }


def symmetrized(base: PreTrainedModel, group: ImageGroup, name: str) -> PreTrainedModel:
    """The base by a method of the table."""
    model: PreTrainedModel = hf_equi.symmetrize(base, group, **METHODS[name])
    return model.eval()


def check_classes(images: Dataset, classes: list[str]) -> None:
    """Refuse prompts that have not a class for each label."""
    label = images.features["label"]
    count = label.num_classes if isinstance(label, ClassLabel) else max(images["label"]) + 1
    if count != len(classes):
        raise SystemExit(f"The dataset has {count} classes and the prompts have {len(classes)}: pass --prompts FILE")


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
    add("--split", default="test", help="that is classified (default: test)")
    add("--training-split", default="train", help="that λ is trained on (default: train)")
    add("--image-column", default="image", metavar="NAME")
    add("--label-column", default="label", metavar="NAME")
    add("--prompts", default="cifar10", metavar="NAME", help=f"{', '.join(PROMPTS)}, or a JSON file")
    add("--transform", choices=sorted(GROUPS), default="rot90", help="how images are moved (default: rot90)")
    add("--limit", type=int, metavar="N", help="images that are classified (default: all)")
    add("--lambda-images", type=int, default=5000, metavar="N", help="that train λ; 0 for none (default: 5000)")
    add("--lambda-steps", type=int, default=1000, metavar="N", help="batches of 32 (default: 1000)")
    add("--lambda-rate", type=float, default=1e-3, help="learning rate of λ (default: 1e-3; published: 0.3)")
    add("--batch-size", type=int, default=250, metavar="N")
    add("--seed", type=int, action="append", metavar="N", help="of moves and λ (default: 0, 1 and 2)")
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
    begin = time.process_time()
    results = measure(arguments)
    results["seconds"] = round(time.process_time() - begin)
    arguments.output.mkdir(parents=True, exist_ok=True)
    name = f"{Path(results['model']).name}-{Path(results['dataset']).name}-{results['transform']}"
    write_json(arguments.output / f"{name}.json", results)
    write_plot(arguments.output / f"{name}.png", results)
    print_table(results)
    print(f"results and plot: {arguments.output / name}.*", file=sys.stderr)


if __name__ == "__main__":
    main()
