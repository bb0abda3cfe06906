"""Zero-shot classification with a CLIP, plain and symmetrised: Figures 4 and 8 of arXiv 2305.09900.

    python examples/clip_zero_shot.py --data DIR --model runs/small_clip/seed0/model
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


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Every method on images upright and moved, over the seeds."""
    processor, base = AutoProcessor.from_pretrained(arguments.model), AutoModel.from_pretrained(arguments.model).eval()
    classes, templates = load_prompts(arguments.prompts, arguments.data)
    images = load_images(arguments, arguments.split, arguments.limit)
    check_classes(images, classes)
    group, texts = GROUPS[arguments.transform], class_text_features(base, processor, classes, templates)
    reader = hf_equi.symmetrize(base, group, "equitune", processor=processor)
    upright = read_orbits(reader, processor, images, "none", 0, arguments.batch_size)
    results: dict[str, Any] = {"upright": {}, "moved": {name: [] for name in METHODS}}
    results["upright"]["base"] = accuracy(symmetrized(base, group, "base"), upright, texts)
    for seed in arguments.seed or (0, 1, 2):
        set_seed(seed)
        moved = read_orbits(reader, processor, images, arguments.transform, seed, arguments.batch_size)
        for name in METHODS:
            if name == "λ-equitune" and not arguments.lambda_images:
                continue
            model = symmetrized(base, group, name)
            if name == "λ-equitune":
                training = load_images(arguments, arguments.training_split, arguments.lambda_images)
                known = read_orbits(
                    reader, processor, training, arguments.transform, 1000 + seed, arguments.batch_size
                )
                train_weights(model, known, texts, arguments, seed)
            results["moved"][name].append(accuracy(model, moved, texts))
    return {
        **results,
        "images": len(images),
        "seeds": list(arguments.seed or (0, 1, 2)),
        "transform": arguments.transform,
        "dataset": arguments.dataset,
        "model": Path(arguments.model).name if Path(arguments.model).exists() else arguments.model,
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
    add("--model", metavar="NAME", help="a CLIP: a folder, or a name on the Hub")
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
    if arguments.model is None:
        raise SystemExit("--model NAME is needed: a folder of a CLIP, or its name on the Hub")
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
