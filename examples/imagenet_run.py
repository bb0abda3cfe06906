"""The experiment on turned and mirrored ImageNet photos: its photos, its groups and its figures."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from data import require
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoImageProcessor, AutoModelForImageClassification, set_seed

from hf_equi import EquiForImageClassification, ImageGroup, PixelAction, symmetric_processor, symmetrize
from hf_equi.fairness.resampling import Blocks, Resampling, ratio_interval

WHOLE = ImageGroup.dihedral(4)
GROUPS = {
    "turned": ImageGroup.rotations(4),
    "mirrored": ImageGroup.flips("vertical"),
    "turned and mirrored": WHOLE,
}
ZERO_SHOT: dict[str, dict[str, Any]] = {
    "equitune, features": {"method": "equitune", "level": "features"},
    "equitune, logits": {"method": "equitune", "level": "logits"},
    "equitune, probabilities": {"method": "equitune", "level": "probabilities"},
    "equizero": {"method": "equizero"},
    "equizero, entropy": {"method": "equizero", "loss": "entropy"},
}
TRAINED: dict[str, dict[str, Any]] = {"λ-equitune": {"method": "lambda"}, "attention": {"method": "attention"}}


@dataclass(frozen=True)
class Sizes:
    """How much is measured. Smaller sizes are for trials.

    Args:
        splits: The number of random halves that λ and attention are trained on.
        checked: The number of photos for the checks of what should agree.
        batches: The batch sizes that are timed.
        repeats: The number of times that each is timed.
        steps: The most steps of training.
        small: The number of images of CIFAR-10 that a canonicalizer is trained on.
    """

    splits: int = 5
    checked: int = 40
    batches: tuple[int, ...] = (1, 8, 32)
    repeats: int = 5
    steps: int = -1
    small: int = 50000


@dataclass
class Experiment:
    """A classifier, the photos, and the folder of results.

    Args:
        data: The folder of all data, with the photos in `imagenet_sample`.
        model: The folder of the classifier, or its name.
        output: The folder of the results.
        seed: The seed of the splits and of all training.
        sizes: How much is measured.
    """

    data: Path
    model: str
    output: Path
    seed: int = 0
    sizes: Sizes = Sizes()

    @property
    def folder(self) -> Path:
        """The folder of the results."""
        return self.output

    def results(self, stage: str) -> dict[str, Any] | None:
        """Return the results of a finished stage, or None."""
        path = self.folder / f"{stage}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None

    @cached_property
    def rows(self) -> list[tuple[Path, int]]:
        """The photos, each with the number of its class."""
        (folder,) = require(self.data, "imagenet_sample")
        with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
            return [(folder / row["file"], int(row["label"])) for row in csv.DictReader(file)]

    @property
    def labels(self) -> torch.Tensor:
        """The classes of the photos `(N,)`."""
        return torch.tensor([label for _, label in self.rows])

    @cached_property
    def processor(self) -> Any:
        """A processor that commutes with turns and mirrors, so turning photos or pixels gives the same."""
        return symmetric_processor(AutoImageProcessor.from_pretrained(self.model, backend="pil"))

    def pixels(self, rows: Sequence[tuple[Path, int]], turns: int = 0) -> torch.Tensor:
        """Return photos as the model reads them, `(B, 3, H, W)`, after turning each by `turns` quarter turns."""
        photos = [np.rot90(np.asarray(Image.open(path).convert("RGB")), turns) for path, _ in rows]
        read: torch.Tensor = self.processor(photos, return_tensors="pt").pixel_values
        return read

    @cached_property
    def base(self) -> Any:
        """The classifier as it is. No stage changes it."""
        base = AutoModelForImageClassification.from_pretrained(self.model, dtype=torch.float32, use_safetensors=True)
        return base.eval().requires_grad_(False)

    def symmetrize(self, name: str, group: ImageGroup, seed: int = 0) -> EquiForImageClassification:
        """Make the classifier invariant."""
        set_seed(seed)  # for the network that weights members
        model: EquiForImageClassification = symmetrize(self.base, group, **{**ZERO_SHOT, **TRAINED}[name])
        return model.eval()

    @cached_property
    def features(self) -> torch.Tensor:
        """The features of all photos in all eight positions, `(N, 8, F)`."""
        return load_file(self.folder / "features.safetensors")["features"]

    def orbits(self, group: ImageGroup, moved: int = 0) -> torch.Tensor:
        """Return the features of the orbits `(N, |G|, F)` of the photos, moved by an element of the largest group."""
        return self.features[:, WHOLE.product[positions(group), moved]]


def positions(group: ImageGroup) -> torch.Tensor:
    """Return which element of the largest group each element of a smaller group is, `(|G|,)`."""
    probe = torch.arange(9.0).view(1, 1, 3, 3)
    whole, small = PixelAction(WHOLE), PixelAction(group)
    every = [whole.apply(element, probe) for element in range(WHOLE.order)]
    return torch.tensor(
        [
            next(place for place, found in enumerate(every) if torch.equal(found, small.apply(element, probe)))
            for element in range(group.order)
        ]
    )


@torch.no_grad()
def right(run: Experiment, model: EquiForImageClassification, features: torch.Tensor) -> tuple[torch.Tensor, Any]:
    """Return which photos are recognised `(N,)`, and the outputs of the model."""
    outputs = model(orbit_features=features)
    return (outputs.logits.argmax(-1) == run.labels).double(), outputs


@torch.no_grad()
def base_right(run: Experiment) -> torch.Tensor:
    """Return which photos the base recognises in which position, `(N, 8)`."""
    alone = symmetrize(run.base, ImageGroup.trivial()).eval()
    every = [right(run, alone, run.features[:, place : place + 1])[0] for place in range(WHOLE.order)]
    return torch.stack(every, dim=1)


def share(values: torch.Tensor) -> dict[str, Any]:
    """Return the mean of a value for each photo, in per cent, with its 95 per cent interval over photos."""
    numbers = values.tolist()
    blocks = Blocks.read([""] * len(numbers), range(len(numbers)))
    interval = ratio_interval(blocks, numbers, None, Resampling(seed=0))
    return {"mean": 100 * values.mean().item(), "interval": [100 * bound for bound in interval or (0, 1)]}


def halves(run: Experiment) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Split the photos into random halves, to train on and to test on."""
    count = len(run.rows)
    orders = [
        torch.randperm(count, generator=torch.Generator().manual_seed(run.seed + k)) for k in range(run.sizes.splits)
    ]
    return [(order[: count // 2], order[count // 2 :]) for order in orders]


class Photos(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    """The features of orbits with their labels."""

    def __init__(self, features: torch.Tensor, labels: torch.Tensor) -> None:
        self.features, self.labels = features, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        """Return one photo."""
        return {"orbit_features": self.features[index], "labels": self.labels[index]}


def over_splits(values: torch.Tensor, splits: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> dict[str, Any]:
    """Return the mean of the test halves, with an interval over photos. A photo counts with the mean of its halves.

    Args:
        values: `(N,)`, or `(splits, N)` if each split has its own model.
        splits: The halves to train and to test on.
    """
    by_split = values if values.ndim == 2 else values.expand(len(splits), -1)
    tested = torch.zeros(by_split.shape, dtype=torch.float64)
    for row, (_, test) in zip(tested, splits, strict=True):
        row[test] = 1
    means = (by_split * tested).sum(1) / tested.sum(1)
    photos = tested.sum(0) > 0
    numbers, counts = (by_split * tested).sum(0)[photos], tested.sum(0)[photos]
    blocks = Blocks.read([""] * len(numbers), range(len(numbers)))
    interval = ratio_interval(blocks, numbers.tolist(), counts.tolist(), Resampling(seed=0))
    return {
        "mean": 100 * means.mean().item(),
        "splits": [100 * mean for mean in means.tolist()],
        "interval": [100 * bound for bound in interval or (0, 1)],
    }


def largest(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """Return the largest difference."""
    return (ours - theirs).abs().max().item()
