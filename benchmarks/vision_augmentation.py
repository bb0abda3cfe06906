"""Time symmetrised image classifiers on a CPU against the best of three ways to average over turned images, as ratios.

python benchmarks/vision_augmentation.py --output docs/benchmarks.md

The rows of ttach need that package: pip install --no-deps ttach==0.0.3
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.util import find_spec

import torch
from command import Benchmark
from timing import Claim, timed
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForImageClassification, PreTrainedModel, set_seed
from vision_workload import FOUR

import hf_equi

DESCRIPTION = """\
The image classifiers have random weights and the shapes of MobileNetV2, ResNet-50, ConvNeXt-T and ViT-B/32. The images
are random, of 224 by 224 pixels. The group is that of the rotations by 90°. There are three other ways to compute the
mean of the logits of the four turned images, and each row shows the best of them. *ttach* is version 0.0.3 with
`Rotate90([0, 90, 180, 270])`. *a loop* calls the base once for each turn. *all at once* is one call with the images of
all turns. The library chooses how many images the base reads at once by the base's weights and the size of the images
(`hf_equi.bases.chunks.images_at_once`).
"""
SUMMARY = "Time symmetrised image classifiers on a CPU against the best of three ways to average over turned images."
SMALL = 64
"""The side of the images of a smoke run."""
SHAPES = {
    "mobilenet": ("mobilenet_v2", {"tf_padding": False}, {"depth_multiplier": 0.25, "min_depth": 4}),
    "resnet": ("resnet", {}, {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]}),
    "convnext": ("convnext", {}, {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2}),
    "vit": (
        "vit",
        {"patch_size": 32},
        {
            "image_size": SMALL,
            "hidden_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 24,
        },
    ),
}
"""For each name: the model type, its settings, and further settings for a tiny model."""
BATCHES = (1, 8)
NAMES = tuple(f"{name}-{batch}" for name in SHAPES for batch in BATCHES)
BOUND = 1.05


class Logits(nn.Module):
    """A classifier that returns only the tensor, as ttach needs it."""

    def __init__(self, base: PreTrainedModel) -> None:
        super().__init__()
        self.base = base

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.base(images).logits
        return logits


@dataclass(frozen=True)
class Augmented:
    """A classifier, and the ways to average it over four turns.

    Args:
        name: A key of `SHAPES`.
        seed: The seed of weights and images.
        small: Whether to make a tiny model, for smoke runs.
    """

    name: str
    seed: int
    small: bool

    @cached_property
    def base(self) -> PreTrainedModel:
        """The plain model."""
        set_seed(self.seed)
        kind, settings, sizes = SHAPES[self.name]
        config = AutoConfig.for_model(kind, num_labels=1000, **settings, **(sizes if self.small else {}))
        model: PreTrainedModel = AutoModelForImageClassification.from_config(config)
        return model.eval()

    def images(self, count: int) -> Tensor:
        """Return random images."""
        side = SMALL if self.small else 224
        return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(self.seed))

    def ours(self) -> Callable[[Tensor], Tensor]:
        """Return the model of the library, with its default settings."""
        model = hf_equi.symmetrize(self.base, FOUR).eval()
        return lambda images: model(images).logits

    def rivals(self) -> dict[str, Callable[[Tensor], Tensor]]:
        """Return the other ways by their names in the table, without ttach if it is not installed."""
        base = Logits(self.base)

        def at_once(images: Tensor) -> Tensor:
            return base(torch.cat([images.rot90(k, (2, 3)) for k in range(4)])).unflatten(0, (4, -1)).mean(0)

        def loop(images: Tensor) -> Tensor:
            return torch.stack([base(images.rot90(k, (2, 3))) for k in range(4)]).mean(0)

        found: dict[str, Callable[[Tensor], Tensor]] = {"a loop": loop, "all at once": at_once}
        if find_spec("ttach") is None:
            return found
        import ttach

        turns = ttach.Compose([ttach.Rotate90(angles=[0, 90, 180, 270])])
        return {"ttach": ttach.ClassificationTTAWrapper(base, turns), **found}

    def claims(self) -> Iterator[Claim]:
        """The claims, one for each batch."""
        ours, rivals = self.ours(), self.rivals()
        check(ours(self.images(1)), [rival(self.images(1)) for rival in rivals.values()])
        for batch in BATCHES[:1] if self.small else BATCHES:
            images = self.images(batch)
            others = {name: timed(partial(run, images)) for name, run in rivals.items()}
            text = f"{self.name}: {batch} {'image' if batch == 1 else 'images'}"
            yield Claim(f"{self.name}-{batch}", text, timed(partial(ours, images)), others, BOUND)


def check(ours: Tensor, others: list[Tensor]) -> None:
    """Refuse a ratio of two sides whose outputs differ."""
    for other in others:
        torch.testing.assert_close(ours, other, atol=1e-4, rtol=1e-4)


def claims(workloads: list[Augmented], smoke: bool) -> list[Claim]:
    """Return all claims, in the order of the table."""
    with torch.no_grad():
        return [claim for workload in workloads for claim in workload.claims()]


def create(arguments: argparse.Namespace) -> list[Augmented]:
    """Make the workloads of all shapes."""
    return [Augmented(name, arguments.seed, arguments.smoke) for name in SHAPES]


def main() -> None:
    """Measure and write the page."""
    Benchmark("Images beside test-time augmentation", DESCRIPTION, SUMMARY, NAMES, claims, create).run()


if __name__ == "__main__":
    main()
