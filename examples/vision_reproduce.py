"""Measure the stored weights of the image experiments on all test images, beside what the page states."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from cifar import CifarImages, load_cifar10
from cifar_bases import accuracy, load_base
from datasets import Dataset
from reproduce_rows import RESULTS, Row
from vision_methods import ARCHITECTURES, GROUPS, WEIGHED, finetune_stage
from vision_outputs import read_features, run_on, share_right
from vision_stages import Run, load_finetuned, load_weighed, measure_weights, measure_zero_shot
from vision_weights import KEPT
from weights import WEIGHTS

CACHE = Path("runs") / "reproduce"  # of the decoded images
ALLOWED = 0.3  # points; 30 of 10,000 images


class KeptRun(Run):
    """A run that reads stored weights, and writes nothing beside them."""

    @cached_property
    def parts(self) -> dict[str, CifarImages]:
        """Train, validation and test, all upright."""
        return load_cifar10(self.data, CACHE, self.seed)

    def test_features(self, transform: str) -> Dataset:
        """Return the base's features of the orbits of the moved test images."""
        if transform not in self._features:
            features = read_features(self.symmetrize(transform), self.moved_test(transform))
            self._features[transform] = features.with_format("torch")
        return self._features[transform]

    @cached_property
    def _features(self) -> dict[str, Dataset]:
        return {}


def rows(data: Path) -> Iterator[Row]:
    """Measure everything that is stored.

    Args:
        data: The folder with all data.
    """
    stated = json.loads((RESULTS / "vision" / "results.json").read_text(encoding="utf-8"))
    for architecture, title in ARCHITECTURES.items():
        run = KeptRun(data, WEIGHTS / "vision", architecture, 0)
        for name, one, other in _measure(run, stated[f"{architecture}/seed0"]):
            yield Row(f"{title}, {name}", one, other, ALLOWED)


def _measure(run: KeptRun, stated: dict[str, Any]) -> Iterator[tuple[str, float, float]]:
    """Return the name of each figure, what is stated, and what is obtained."""
    base = load_base(run.output, run.architecture, run.seed)
    yield "base, upright", stated["base"]["accuracy"]["upright"], accuracy(base, run.parts["test"])
    for transform in GROUPS:
        zero_shot, _ = measure_zero_shot(run, transform)
        for name, found in zero_shot.items():
            expected = stated["zero_shot"]["accuracy"][transform][name]["moved"]
            yield f"{transform}: {name}, zero-shot", expected, found["moved"]
        for name in WEIGHED:
            found = measure_weights(run, load_weighed(run, transform, name), transform)
            expected = stated["weights"]["accuracy"][transform][name]["moved"]
            yield f"{transform}: {name}, base frozen", expected, found["moved"]
        for name in KEPT[run.architecture][transform]:
            model, images = load_finetuned(run, transform, name), run.moved_test(transform)
            with torch.autocast("cpu", torch.bfloat16):  # as it was trained
                obtained = share_right(run_on(model, images)["logits"], images.labels)
            expected = stated[finetune_stage(transform)]["accuracy"][name]["moved"]
            yield f"{transform}: {name}, finetuned", expected, obtained
