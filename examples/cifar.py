"""CIFAR-10 in memory, upright or transformed, for the training and the measurements of the vision experiments."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from data import require
from datasets import Image, load_dataset
from torch.nn import functional as F
from torch.utils.data import Dataset

CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SIDE = 32
MEAN, STD = (0.4913, 0.4821, 0.4465), (0.2470, 0.2435, 0.2616)
TRANSFORMS = {"none": 1, "rot90": 4, "flip": 4}  # with the number of elements that each draws from
VALIDATION = 5000


def move(images: torch.Tensor, elements: torch.Tensor, transform: str) -> torch.Tensor:
    """Move each image `(B, C, H, H)` by its own element `(B,)`.

    Element k of "rot90" turns by k quarter turns, counter-clockwise. The elements of "flip" are the identity, the
    left-right mirror, the up-down mirror, and both.
    """
    if transform == "none":
        return images
    moved = images.clone()
    for k in range(1, TRANSFORMS[transform]):
        chosen = elements == k
        if transform == "rot90":
            moved[chosen] = images[chosen].rot90(k, (-2, -1))
        else:
            moved[chosen] = images[chosen].flip(((-1,), (-2,), (-2, -1))[k - 1])
    return moved


def shift(images: torch.Tensor, most: int) -> torch.Tensor:
    """Shift each image `(B, C, H, H)` at random by up to `most` pixels each way, and fill with zeros."""
    count, side = len(images), images.shape[-1]
    places = torch.randint(0, 2 * most + 1, (2, count, 1)) + torch.arange(side)
    samples, channels = torch.arange(count).view(-1, 1, 1, 1), torch.arange(images.shape[1]).view(1, -1, 1, 1)
    padded = F.pad(images, (most, most, most, most))
    return padded[samples, channels, places[0][:, None, :, None], places[1][:, None, None, :]]


@dataclass(frozen=True)
class CifarImages(Dataset[dict[str, Any]]):
    """Images as a torch dataset, normalised when they are read.

    A sample is `{"pixel_values": float32 (3, 32, 32), "labels": int}`.

    Args:
        images: uint8 `(N, 3, 32, 32)`, upright.
        labels: `(N,)`.
        transform: `"none"`, `"rot90"` or `"flip"`.
        elements: The element that moves each image `(N,)`. None draws it anew at every visit.
        most: The most pixels to shift images by, drawn anew at every visit.
        mean: The mean of the three channels.
        std: The standard deviation of the three channels.
    """

    images: torch.Tensor
    labels: torch.Tensor
    transform: str = "none"
    elements: torch.Tensor | None = None
    most: int = 0
    mean: tuple[float, ...] = MEAN
    std: tuple[float, ...] = STD

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return one sample."""
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: list[int]) -> list[dict[str, Any]]:
        """Return the samples of a batch, made together."""
        chosen = torch.as_tensor(indices)
        pixels, labels = self.batch(chosen), self.labels[chosen].tolist()
        return [{"pixel_values": image, "labels": label} for image, label in zip(pixels, labels, strict=True)]

    def batch(self, chosen: torch.Tensor) -> torch.Tensor:
        """Return the chosen images `(B,)` as the input of a model `(B, 3, 32, 32)`."""
        elements = torch.randint(TRANSFORMS[self.transform], (len(chosen),))
        if self.elements is not None:
            elements = self.elements[chosen]
        pixels = move(self.images[chosen], elements, self.transform).float() / 255
        mean, std = torch.tensor(self.mean).view(-1, 1, 1), torch.tensor(self.std).view(-1, 1, 1)
        pixels = (pixels - mean) / std
        return shift(pixels, self.most) if self.most else pixels

    def select(self, chosen: torch.Tensor) -> CifarImages:
        """Return some of the images, moved by the same elements."""
        elements = None if self.elements is None else self.elements[chosen]
        return replace(self, images=self.images[chosen], labels=self.labels[chosen], elements=elements)

    def moved(self, transform: str, seed: int | None) -> CifarImages:
        """Return the same images, each moved by its own element.

        Args:
            transform: `"none"`, `"rot90"` or `"flip"`. The elements are uniform.
            seed: The seed. With the number of an image it decides its element, so every method sees the same images.
                None draws anew at every visit, which is augmentation.
        """
        elements = None
        if seed is not None:
            generator = torch.Generator().manual_seed(seed)
            elements = torch.randint(TRANSFORMS[transform], (len(self),), generator=generator)
        return replace(self, transform=transform, elements=elements)

    def shifted(self, most: int = 4) -> CifarImages:
        """Return the same images, shifted anew at every visit."""
        return replace(self, most=most)

    def normalised(self, mean: tuple[float, ...], std: tuple[float, ...]) -> CifarImages:
        """Return the same images, normalised for another model."""
        return replace(self, mean=tuple(mean), std=tuple(std))


def load_cifar10(data: Path, cache: Path, seed: int = 0, validation: int = VALIDATION) -> dict[str, CifarImages]:
    """Load the parts "train", "validation" (drawn from the training images by the seed) and "test", upright.

    Args:
        data: The folder with all data, which holds `cifar10`.
        cache: The folder for the decoded images (184 MB).
        seed: The seed of the split.
        validation: The number of images to hold out.
    """
    if not (cache / "cifar10.npz").is_file():
        _decode(require(data, "cifar10")[0], cache)
    with np.load(cache / "cifar10.npz") as arrays:
        parts = {
            name: CifarImages(torch.from_numpy(arrays[f"{name}_images"]), torch.from_numpy(arrays[f"{name}_labels"]))
            for name in ("train", "test")
        }
    order = torch.randperm(len(parts["train"]), generator=torch.Generator().manual_seed(seed))
    return {
        "train": parts["train"].select(order[validation:]),
        "validation": parts["train"].select(order[:validation]),
        "test": parts["test"],
    }


def _decode(folder: Path, cache: Path) -> None:
    files = {name: str(folder / f"{name}.parquet") for name in ("train", "test")}
    parts = load_dataset("parquet", data_files=files, cache_dir=str(cache / "datasets"))
    arrays: dict[str, np.ndarray] = {}
    for name, part in parts.items():
        images = np.empty((len(part), 3, SIDE, SIDE), dtype=np.uint8)
        for i, row in enumerate(part.cast_column("img", Image())):
            images[i] = np.asarray(row["img"].convert("RGB")).transpose(2, 0, 1)
        arrays[f"{name}_images"], arrays[f"{name}_labels"] = images, np.asarray(part["label"], dtype=np.int64)
    cache.mkdir(parents=True, exist_ok=True)
    # Write under a separate name, then rename: two runs may decode side by side.
    draft = cache / f"cifar10.{os.getpid()}.part.npz"
    np.savez(draft, **arrays)
    draft.replace(cache / "cifar10.npz")


def load_prompts(data: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Load the class names and the 18 templates (with `{}` for the name) of Radford et al. 2021."""
    (folder,) = require(data, "clip_prompts")
    content = json.loads((folder / "cifar10.json").read_text(encoding="utf-8"))
    return tuple(content["classes"]), tuple(content["templates"])
