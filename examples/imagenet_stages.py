"""The stages of the experiment on turned and mirrored ImageNet photos. Features are computed once for all methods."""

from __future__ import annotations

import csv
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from data import require, write_json
from machine import Clock, machine
from PIL import Image
from rich.progress import track
from safetensors.torch import load_file, save_file
from transformers import AutoImageProcessor, AutoModelForImageClassification, default_data_collator, set_seed
from vision_stages import fit

from hf_equi import EquiForImageClassification, ImageGroup, PixelAction, symmetric_processor, symmetrize
from hf_equi.fairness.resampling import Blocks, Resampling, ratio_interval
from hf_equi.training import Phase

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
BESIDE = ("equitune, features", "equitune, probabilities", "equizero", "equizero, entropy")
"""The methods that the trained ones are compared with, on the same photos."""
PHASE = Phase("lambda", "lambda", 1e-3, max_steps=300, batch_size=32, optimizer="adamw_torch")


@dataclass(frozen=True)
class Sizes:
    """How much is measured. Smaller sizes are for trials.

    Args:
        splits: The number of random halves that λ and attention are trained on.
        checked: The number of photos for the checks of what should agree.
        batches: The batch sizes that are timed.
        repeats: The number of times that each is timed.
        steps: The most steps of training.
    """

    splits: int = 5
    checked: int = 40
    batches: tuple[int, ...] = (1, 8, 32)
    repeats: int = 5
    steps: int = -1


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

    def finish(self, stage: str) -> None:
        """Run a stage, and write its results all at once."""
        clock = Clock()
        results = STAGES[stage](self)
        write_json(self.folder / f"{stage}.json", {**results, "machine": machine(), "seconds": clock.seconds})

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


def read_features(run: Experiment) -> dict[str, Any]:
    """Run the base once on each photo in each position."""
    model = run.symmetrize("equitune, features", WHOLE)
    run.folder.mkdir(parents=True, exist_ok=True)
    pieces = [run.rows[start : start + 10] for start in range(0, len(run.rows), 10)]
    with torch.no_grad():
        found = [
            model.get_orbit_features(run.pixels(piece))
            for piece in track(pieces, "Photos in eight positions", transient=True)
        ]
    save_file({"features": torch.cat(found)}, run.folder / "features.safetensors")
    parameters = sum(parameter.numel() for parameter in model.base.parameters())
    return {"photos": len(run.rows), "parameters": parameters, "classes": model.config.num_labels}


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


def zero_shot(run: Experiment) -> dict[str, Any]:
    """Measure the base alone and symmetrised, without training."""
    alone = base_right(run)
    found: dict[str, Any] = {"upright": share(alone[:, 0]), "positions": {}, "groups": {}}
    found["positions"] = {name: share(alone[:, place]) for place, name in enumerate(WHOLE.names)}
    for title, group in GROUPS.items():
        moved = alone[:, positions(group)].mean(1)
        entries = {"base": {"accuracy": share(moved)}}
        for name in ZERO_SHOT:
            hits, outputs = right(run, run.symmetrize(name, group), run.orbits(group))
            entries[name] = {"accuracy": share(hits), "over_base": share(hits - moved)}
            entries[name]["below_upright"] = share(hits - alone[:, 0])
            if name.startswith("equizero"):
                entries[name]["upright_taken"] = share((outputs.chosen_element == 0).double())
        found["groups"][title] = entries
    return found


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


def trained(run: Experiment) -> dict[str, Any]:
    """Train λ and attention on half of the photos, and test all methods on the other half."""
    alone, splits = base_right(run), halves(run)
    found: dict[str, Any] = {}
    for title, group in GROUPS.items():
        orbits, moved = run.orbits(group), alone[:, positions(group)].mean(1)
        hits = {name: right(run, run.symmetrize(name, group), orbits)[0] for name in BESIDE}
        entries = {"base": over_splits(moved, splits)}
        entries |= {name: over_splits(values, splits) for name, values in hits.items()}
        for name in TRAINED:
            per_split, kept = [], []
            for number, (train, _) in enumerate(splits):
                print(f"  {title}: {name}, split {number + 1}", file=sys.stderr, flush=True)
                model = run.symmetrize(name, group, run.seed + number)
                fit(run, model, PHASE, train_dataset=Photos(orbits[train], run.labels[train]),
                    data_collator=default_data_collator)  # fmt: skip
                values, outputs = right(run, model, orbits)
                per_split.append(values)
                kept.append(outputs.group_weights)
                if number == 0:
                    save_file(model.lambda_network.state_dict(), network_file(run, title, name))
            entries[name] = over_splits(torch.stack(per_split), splits)
            entries[name]["weight_upright"] = float(torch.stack(kept)[:, :, 0].mean())
        found[title] = entries
    return found


def network_file(run: Experiment, title: str, name: str) -> Path:
    """Return the file of the network of the first split."""
    return run.folder / f"{title.replace(' ', '_')}_{TRAINED[name]['method']}.safetensors"


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


@torch.no_grad()
def checks(run: Experiment) -> dict[str, Any]:
    """Check what should agree, on some photos: turned with upright photos, the spatial with the features level."""
    rows, group = run.rows[: run.sizes.checked], GROUPS["turned"]
    plain = AutoImageProcessor.from_pretrained(run.model, backend="pil")
    upright, turned = run.pixels(rows), run.pixels(rows, turns=1)
    features = run.symmetrize("equitune, features", group)
    spatial = symmetrize(run.base, group, "equitune", level="spatial").eval()
    said = {name: model(pixel_values=upright).logits for name, model in (("f", features), ("s", spatial))}
    found = {
        "photos": len(rows),
        "turned_photo": largest(features(pixel_values=turned).logits, said["f"]),
        "turned_photo_spatial": largest(spatial(pixel_values=turned).logits, said["s"]),
        "spatial_and_features": largest(said["s"], said["f"]),
        "spatial_right": 100 * (said["s"].argmax(-1) == run.labels[: len(rows)]).double().mean().item(),
        "features_right": 100 * (said["f"].argmax(-1) == run.labels[: len(rows)]).double().mean().item(),
    }
    run.processor, kept = plain, run.processor
    usual = [features(pixel_values=run.pixels(rows, turns=turns)).logits for turns in (0, 1)]
    run.processor = kept
    return {**found, "turned_photo_usual_processor": largest(*usual)}


def largest(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """Return the largest difference."""
    return (ours - theirs).abs().max().item()


@torch.no_grad()
def speed(run: Experiment) -> dict[str, Any]:
    """Measure images per CPU second, and compare with a loop over the turns and with all turns at once."""
    group, base = GROUPS["turned"], run.base
    models = {name: run.symmetrize(name, group) for name in ("equitune, features", "equizero", *TRAINED)}
    ways: dict[str, Callable[[torch.Tensor], Any]] = {
        "base, upright alone": lambda images: base(pixel_values=images).logits,
        "a loop over four turns": lambda images: torch.stack(
            [base(pixel_values=images.rot90(k, (2, 3))).logits for k in range(4)]
        ).mean(0),
        "four turns at once": lambda images: base(
            pixel_values=torch.cat([images.rot90(k, (2, 3)) for k in range(4)])
        ).logits.unflatten(0, (4, -1)).mean(0),
        **{
            name: lambda images, model=model: model(pixel_values=images).logits  # type: ignore[misc]
            for name, model in models.items()
        },
    }  # fmt: skip
    found: dict[str, Any] = {name: {} for name in ways}
    for batch in run.sizes.batches:
        images = run.pixels(run.rows[:batch])
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in track(range(run.sizes.repeats), f"Batches of {batch}", transient=True):
            for name, way in ways.items():  # taking turns, so that a busy machine slows all alike
                begin = time.process_time()
                way(images)
                seconds[name].append(time.process_time() - begin)
        for name, all_seconds in seconds.items():
            rates = sorted(len(images) / taken for taken in all_seconds)
            found[name][str(batch)] = {"median": rates[len(rates) // 2], "least": rates[0], "most": rates[-1]}
    return {"threads": torch.get_num_threads(), "ways": found}


STAGES: dict[str, Callable[[Experiment], dict[str, Any]]] = {
    "features": read_features,
    "zero_shot": zero_shot,
    "checks": checks,
    "trained": trained,
    "speed": speed,
}
