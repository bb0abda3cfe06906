"""What models answer to images: features of orbits, logits, accuracies, and how much the base reads for them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from cifar import CifarImages
from cifar_bases import collate
from datasets import Dataset
from torch.utils.data import DataLoader

from hf_equi import EquiForImageClassification
from hf_equi.training import cache_features

BATCH = 250  # images, of four members each


class InMemory(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    """The rows of a dataset, read once, because λ trains faster than rows are read from disk."""

    def __init__(self, dataset: Dataset) -> None:
        self.columns: dict[str, torch.Tensor] = dataset[:]
        self.rows = len(dataset)

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        """Return one row."""
        return {name: column[index] for name, column in self.columns.items()}


def read_features(model: EquiForImageClassification, images: CifarImages) -> Dataset:
    """Return features of the orbits of images, with their labels."""
    numbers = Dataset.from_dict({"number": list(range(len(images))), "labels": images.labels.tolist()})

    def load(rows: dict[str, list[int]]) -> dict[str, Any]:
        pixels = images.batch(torch.as_tensor(rows["number"])).contiguous(memory_format=torch.channels_last)
        return {**rows, "pixel_values": list(pixels)}

    model.base.requires_grad_(False)
    features = cache_features(model, numbers.with_transform(load), batch_size=BATCH)
    return features.remove_columns("number")


def read_out(model: EquiForImageClassification, features: Dataset) -> dict[str, torch.Tensor]:
    """Return the outputs of a model for features of the orbits of images."""
    batches = (features[start : start + 500]["orbit_features"] for start in range(0, len(features), 500))
    return _outputs(model, ({"orbit_features": batch} for batch in batches))


def run_on(model: EquiForImageClassification, images: CifarImages) -> dict[str, torch.Tensor]:
    """Return the outputs of a model for images."""
    batches = DataLoader(images, batch_size=BATCH, collate_fn=collate)
    return _outputs(model, ({"pixel_values": batch["pixel_values"]} for batch in batches))


@torch.no_grad()
def _outputs(model: EquiForImageClassification, batches: Iterable[dict[str, Any]]) -> dict[str, torch.Tensor]:
    parts = [model.eval()(**batch) for batch in batches]
    # What has one number a batch, as the share of upright images, cannot be joined.
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0] if parts[0][name].dim()}


@torch.no_grad()
def rows_read(model: EquiForImageClassification, images: torch.Tensor) -> int:
    """Count the images that reach the first layer of the base while a model reads images."""
    rows: list[int] = []
    first = next(layer for layer in model.base.modules() if isinstance(layer, torch.nn.Conv2d))
    hook = first.register_forward_hook(lambda layer, given, out: rows.append(len(given[0])))
    model(images)
    hook.remove()
    return sum(rows)


def share_right(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the accuracy in per cent."""
    return 100 * (logits.argmax(-1) == labels).double().mean().item()
