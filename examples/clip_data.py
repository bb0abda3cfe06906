"""The images with labels, and the classes and templates that a CLIP classifies them by."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data import require
from datasets import ClassLabel, Dataset, Image, load_dataset
from datasets.exceptions import DatasetsError

PROMPTS = ("cifar10", "cifar100", "imagenet")
FORMAT = '{"classes": [...], "templates": [...]} of texts, where templates have {} for the name'
ARTICLES = ("a", "an", "the")


@dataclass(frozen=True)
class ZeroShotData:
    """The images to classify, and the classes.

    Args:
        classes: The names of the classes.
        templates: The sentences that the names are put into.
        images: The images to classify. A label is the position of its class in `classes`.
        training: The images to train λ on, or None for no λ.
    """

    classes: list[str]
    templates: list[str]
    images: Dataset
    training: Dataset | None

    @classmethod
    def load(cls, arguments: argparse.Namespace) -> ZeroShotData:
        """Load everything that a command line asks for. An error is one line, before anything is measured."""
        classes, templates = load_prompts(arguments.prompts, arguments.data)
        if arguments.dataset == "imagefolder" and arguments.data_dir is None:
            raise SystemExit("--dataset imagefolder needs --data-dir DIR, with a folder of images for each class")
        images = load_images(arguments, arguments.split, arguments.limit, classes)
        if not arguments.lambda_images:
            return cls(classes, templates, images, None)
        if arguments.training_split == arguments.split:
            raise SystemExit(
                f"λ would be trained on the images that are classified, from {arguments.split!r}: pass another "
                "--training-split, or --lambda-images 0 to leave λ-equitune out"
            )
        training = load_images(arguments, arguments.training_split, arguments.lambda_images, classes)
        return cls(classes, templates, images, training)


def load_prompts(name: str, data: Path) -> tuple[list[str], list[str]]:
    """Load class names and templates, by a name in the data or from a file."""
    path = Path(name)
    if name in PROMPTS:
        (folder,) = require(data, "clip_prompts")
        path = folder / f"{name}.json"
    if name == "imagenet":
        parts = ("classes", "templates")
        content = {part: _read_json(folder / f"imagenet_{part}.json") for part in parts}
    else:
        content = _read_json(path)
    found = [content.get(part) for part in ("classes", "templates")] if isinstance(content, dict) else [None]
    if not all(isinstance(texts, list) and texts and all(isinstance(text, str) for text in texts) for texts in found):
        raise SystemExit(f"--prompts: {path} is not an object {FORMAT}")
    classes, templates = found
    without = [template for template in templates if "{}" not in template]
    if without:
        raise SystemExit(f"--prompts: the template {without[0]!r} of {path} has no {{}} for the name of a class")
    return classes, templates


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise SystemExit(
            f"--prompts: the file {path} does not exist; pass {', '.join(PROMPTS)}, or a file {FORMAT}"
        ) from None
    except ValueError as error:  # from JSON or from its encoding
        raise SystemExit(f"--prompts: {path} is not JSON ({error}), but should be {FORMAT}") from None


def load_images(arguments: argparse.Namespace, split: str, limit: int | None, classes: Sequence[str]) -> Dataset:
    """Load images as column "image", and the positions of their classes as column "label"."""
    names = {arguments.image_column: "image", arguments.label_column: "label"}
    if arguments.dataset == "cifar10":
        names = {"img": "image", "label": "label"}
    images = _open(arguments, split)
    missing = sorted(set(names) - set(images.column_names))
    if missing:
        raise SystemExit(
            f"{arguments.dataset} has no column {', '.join(missing)}, only {', '.join(images.column_names)}: pass "
            "--image-column and --label-column"
        )
    images = images.select_columns(list(names)).rename_columns({a: b for a, b in names.items() if a != b})
    if not len(images):
        raise SystemExit(f"{arguments.dataset} has no images in {split!r}: pass another split")
    places = place_labels(images, classes, arguments.labels_in_order)
    images = images.remove_columns("label").add_column("label", places)
    count = len(images) if limit is None else min(limit, len(images))
    return images.shuffle(seed=0).select(range(count)).cast_column("image", Image(mode="RGB"))


def _open(arguments: argparse.Namespace, split: str) -> Dataset:
    try:
        if arguments.dataset == "cifar10":
            (folder,) = require(arguments.data, "cifar10")
            return load_dataset("parquet", data_files={split: str(folder / f"{split}.parquet")}, split=split)
        return load_dataset(arguments.dataset, data_dir=arguments.data_dir, split=split)
    except (DatasetsError, OSError, ValueError) as error:
        # An unknown or malformed split is a ValueError, whose message names the known ones.
        way = " Pass --split NAME and --training-split NAME, or --lambda-images 0 to leave λ-equitune out."
        way = way if isinstance(error, ValueError) else ""
        raise SystemExit(f"{arguments.dataset}: {first_line(error)}{way}") from None


def first_line(error: Exception) -> str:
    """Return the first line of an error, without its advice."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def place_labels(images: Dataset, classes: Sequence[str], in_order: bool) -> list[int]:
    """Return the position of the class of every image among the classes of the prompts.

    Args:
        images: The images, with a column "label" of names, or of numbers with or without names.
        classes: The classes of the prompts.
        in_order: Whether label k is class k, whatever its name.

    Raises:
        SystemExit: If the names of the labels are not those of the classes, or if a label is missing.
    """
    feature, labels = images.features["label"], images.select_columns("label")["label"][:]
    missing = sum(label is None or label == -1 for label in labels)  # -1 in test splits without answers
    if missing:
        raise SystemExit(f"{missing} of {len(labels)} images have no label: pass another split")
    if not isinstance(labels[0], int | str):
        raise SystemExit(f"A label is {labels[0]!r}, not a number or a name: pass --label-column")
    names = feature.names if isinstance(feature, ClassLabel) else sorted(set(labels))
    named = isinstance(names[0], str)
    numbers = {name: k for k, name in enumerate(names)} if named else {}
    found = [numbers.get(label, label) for label in labels]  # those of a ClassLabel are numbers already
    count = len(names) if named else max(found) + 1
    if count > len(classes) or (count < len(classes) and not in_order):
        raise SystemExit(
            f"The images have {count} classes and the prompts have {len(classes)}: pass --prompts FILE with a class "
            "for each label"
        )
    order = range(count) if in_order or not named else find_order(names, classes)
    return [order[label] for label in found]


def find_order(names: Sequence[str], classes: Sequence[str]) -> Sequence[int]:
    """Return the position of each name among the classes: by name in any order, or by number.

    Case, punctuation and articles do not count. A name may be cut short if the order is that of the classes (CIFAR-100
    on the Hub has "cra" for "crab").

    Raises:
        SystemExit: If the names do not identify the classes.
    """
    ours, theirs = [plain(name) for name in names], [plain(name) for name in classes]
    if ours == theirs:
        return range(len(ours))
    if sorted(ours) == sorted(theirs) and len(set(theirs)) == len(theirs):
        return [theirs.index(name) for name in ours]
    # Folders are sorted as text: 0, 1, 10, 11, 2.
    if all(name.isdecimal() for name in names) and sorted(map(int, names)) == list(range(len(classes))):
        return [int(name) for name in names]
    differing = [k for k, (name, other) in enumerate(zip(ours, theirs, strict=True)) if name != other]
    shown = [f"{names[k]!r} for {classes[k]!r}" for k in differing]
    elsewhere = {ours[k] for k in differing} & set(theirs) or {theirs[k] for k in differing} & set(ours)
    if not elsewhere and all(ours[k].startswith(theirs[k]) or theirs[k].startswith(ours[k]) for k in differing):
        print(f"some label names differ slightly from those of the prompts: {', '.join(shown)}", file=sys.stderr)
        return range(len(ours))
    raise SystemExit(
        f"The names of the labels differ from the classes of the prompts in {len(differing)} places: "
        f"{', '.join(shown[:3])}{', ...' * (len(shown) > 3)}. Pass --prompts FILE with these names (or numbers from 0 "
        "on), or pass --labels-in-order if label k is class k anyway"
    )


def plain(name: str) -> str:
    """Return the letters and digits of a name, without case, punctuation, spaces and articles."""
    words = re.findall(r"[^\W_]+", name.casefold())
    return "".join([word for word in words if word not in ARTICLES] or words) or name
