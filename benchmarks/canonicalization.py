"""Time canonicalized image classifiers against plain ones, against equitune and beside equiadapt, as ratios.

python benchmarks/canonicalization.py --equiadapt DIR --output docs/benchmarks.md

`equiadapt_worker.py` says how to make the environment DIR. Without it, the rows beside equiadapt are left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from textwrap import fill
from typing import Any

import torch
from canonical_errors import errors
from command import Benchmark
from other_environment import OtherEnvironment
from timing import Claim, Measure, timed
from torch import Tensor
from vision_augmentation import Augmented
from vision_workload import EIGHT, FOUR

import hf_equi
from hf_equi import ImageGroup, PixelAction
from hf_equi.canonicalization import GroupConvolution

DESCRIPTION = """\
The base is an image classifier of the shape of ViT-B/32 with random weights. It reads 32 random images of 224 by 224
pixels. *canonical* is `symmetrize(base, group, "canonical")`. Its network has the default sizes (four layers of 10
channels, filters of 3 by 3) and sees the middle 80% of an image, shrunk to 96 pixels, as in equiadapt. C4 is the
group of the rotations by 90°, and D4 has the mirrors too.

*equiadapt* is version 0.1.2 in an environment of its own, with its `GroupEquivariantImageCanonicalization`, the same
images, crop and sizes. Both sides take turns in one run, and each one counts the CPU time of its own process. A
*canonicalizer* is what runs before the base: the network, the choice of an element, and turning the images. The *e2cnn
network* of equiadapt (`ESCNNEquivariantNetwork`) has as many layers and channels as that of the library, and filters
of the same side. The library halves feature maps between layers, equiadapt does not. The network of equiadapt's *own
layers* (`CustomEquivariantNetwork`) is smaller: after the first layer, its filters are 1 by 1. The *large* network is
that of equiadapt's example for classification: three layers of 32 channels, with filters of 5 by 5.

To make the environment, which takes releases of torch and torchvision that belong together:

    python -m venv DIR
    DIR/bin/python -m pip install torch==2.13.0 'numpy<2' scipy kornia hydra-core pillow transformers
    DIR/bin/python -m pip install --no-deps equiadapt==0.1.2 e2cnn==0.2.3 torchvision==0.28.0

The errors below the table are the largest over all elements of the group and all pixels. The pixels are standard
normal, and the networks are untrained, which does not matter for equivariance. *read*: how much the canonical image
changes if the given image is turned or mirrored. *back*: how much an image changes if it is made canonical and moved
back. *map*: how far a 3 by 3 convolution on canonical images, moved back, is from following the given image. For C4,
the errors of equiadapt come from its turns, which resample. For D4, there are two more causes. Its way back mirrors
exactly those images that were not mirrored before. And its e2cnn network numbers mirrored elements in another order
than its canonicalizer reads them, so turned images have other canonical images.
"""
SUMMARY = "Time canonicalized image classifiers against plain ones, against equitune and beside equiadapt."
WORKER = Path(__file__).with_name("equiadapt_worker.py")
CROP, RESIZE = 0.8, 96
"""What networks see of an image, in both libraries: the defaults of `GroupConvolution`."""
SMALL = {"channels": 10, "layers": 4, "kernel": 3}
LARGE = {"channels": 32, "layers": 3, "kernel": 5}
GROUPS = {"C4": FOUR, "D4": EIGHT}
KINDS = {"e2cnn": "equiadapt, e2cnn network", "own": "equiadapt, own layers"}
BESIDE = ("equiadapt-c4", "equiadapt-d4", "equiadapt-large", "equiadapt-model")
NAMES = ("base", "base-d4", "equitune", *BESIDE)
CHECKED = 8
"""The images on which errors are measured."""


@dataclass(frozen=True)
class Canonicalized:
    """A classifier, its canonicalized forms, and equiadapt beside them.

    Args:
        plain: The classifier, and its images.
        folder: The environment with equiadapt; `None` to do without.
        threads: Threads of torch.
        batch: The number of images.
    """

    plain: Augmented
    folder: Path | None
    threads: int
    batch: int

    @cached_property
    def images(self) -> Tensor:
        """The images."""
        return self.plain.images(self.batch)

    @cached_property
    def equiadapt(self) -> OtherEnvironment | None:
        """The process with equiadapt."""
        if self.folder is None:
            return None
        settings = {
            "threads": self.threads,
            "seed": self.plain.seed,
            "batch": self.batch,
            "side": self.images.shape[-1],
            "config": self.plain.base.config.to_dict(),
            "crop": CROP,
            "resize": RESIZE,
        }
        return OtherEnvironment(self.folder, WORKER, settings)

    def canonical(self, group: ImageGroup, **sizes: int) -> Any:
        """Return the canonicalized model; all models share the base."""
        torch.manual_seed(self.plain.seed)
        network = GroupConvolution(group, crop=CROP, resize=RESIZE, **sizes)
        return hf_equi.symmetrize(self.plain.base, group, "canonical", canonicalizer=network).eval()

    def claims(self) -> Iterator[Claim]:
        """The claims, in the order of the table."""
        run, plain = self._pass(self.canonical(FOUR, **SMALL)), {"the base alone": self._pass(self.plain.base)}
        equitune = {"equitune": self._pass(hf_equi.symmetrize(self.plain.base, FOUR).eval())}
        yield Claim("base", f"canonical, C4, {self.batch} images", run, plain, 1.10)
        yield Claim("base-d4", "canonical, D4", self._pass(self.canonical(EIGHT, **SMALL)), plain, None)
        yield Claim("equitune", "canonical, C4, and equitune", run, equitune, 0.35)
        if self.equiadapt is not None:
            yield from self._claims_beside(self.equiadapt, run)

    def _claims_beside(self, other: OtherEnvironment, run: Measure) -> Iterator[Claim]:
        """The claims that compare with equiadapt."""
        for name, group in GROUPS.items():
            rivals = {
                said: other.measure("seconds", base=False, kind=kind, mirrors=group is EIGHT, **SMALL)
                for kind, said in KINDS.items()
            }
            yield Claim(
                f"equiadapt-{name.lower()}", f"{name}: canonicalizer", self._choice(group, **SMALL), rivals, 1.0
            )
        kind, said = next(iter(KINDS.items()))
        large = {said: other.measure("seconds", base=False, kind=kind, mirrors=False, **LARGE)}
        yield Claim("equiadapt-large", "C4: canonicalizer, large network", self._choice(FOUR, **LARGE), large, 1.0)
        whole = {said: other.measure("seconds", base=True, kind=kind, mirrors=False, **SMALL)}
        yield Claim("equiadapt-model", "C4: canonicalizer and base", run, whole, 1.0)

    def _pass(self, model: Any) -> Measure:
        """Measure the seconds of a model for the images."""
        return timed(lambda: model(pixel_values=self.images))

    def _choice(self, group: ImageGroup, **sizes: int) -> Measure:
        """Measure the seconds of a canonicalizer alone."""
        return timed(partial(canonical_images(self.canonical(group, **sizes)), self.images))

    def errors(self) -> str:
        """Return a list of the errors of both sides, and what equiadapt ran with."""
        if self.equiadapt is None:
            return ""
        images, lines = self.images[:CHECKED], []
        for name, group in GROUPS.items():
            ours = self.canonical(group, **SMALL)
            weights = sum(weight.numel() for weight in ours.method.select.network.parameters())
            lines.append(_line(name, "hf_equi", weights, errors(canonical_images(ours), images, group is EIGHT)))
            for kind, said in KINDS.items():
                network = {"kind": kind, "mirrors": group is EIGHT, **SMALL}
                weights = self.equiadapt.ask("weights", **network)
                lines.append(_line(name, said, weights, self.equiadapt.ask("errors", count=CHECKED, **network)))
        releases = ", ".join(f"{name} {release}" for name, release in self.equiadapt.ask("versions").items())
        run = fill(f"equiadapt ran with {releases}. The time of its process is not counted below.", 119)
        return f"Largest errors, {len(images)} images:\n\n" + "\n".join(lines) + f"\n\n{run}"


def canonical_images(model: Any) -> Callable[[Tensor], tuple[Tensor, Callable[[Tensor], Tensor]]]:
    """Return what a model does before its base runs: the choice of elements, and the images that they move."""
    action = PixelAction(model.group)

    def canonical(images: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        elements = model.method.select(action, images, base=model.base).only
        return action.apply(elements, images), partial(action.invert, elements)

    return canonical


def _line(group: str, side: str, weights: int, found: dict[str, float]) -> str:
    """Return a line of the list of errors."""
    sizes = ", ".join(f"{name} {size:.2g}" for name, size in found.items())
    return f"- {group}, {side}, {weights:,} weights: {sizes}"


def create(arguments: argparse.Namespace) -> Canonicalized:
    """Make the workload of a command line."""
    asked = sorted(set(arguments.only or ()).intersection(BESIDE))
    if asked and arguments.equiadapt is None:
        raise SystemExit(
            f"{', '.join(asked)}: pass --equiadapt DIR, an environment with equiadapt 0.1.2. {WORKER.name} says at "
            "its beginning how to make it."
        )
    plain = Augmented("vit", arguments.seed, arguments.smoke)
    return Canonicalized(plain, arguments.equiadapt, arguments.threads, 2 if arguments.smoke else 32)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--equiadapt DIR`."""
    parser.add_argument(
        "--equiadapt",
        type=Path,
        metavar="DIR",
        help=f"an environment with equiadapt 0.1.2, made as {WORKER.name} says (default: no rows beside it)",
    )


def claims(workload: Canonicalized, smoke: bool) -> list[Claim]:
    """Return all claims, in the order of the table."""
    return list(workload.claims())


def main() -> None:
    """Measure and write the page."""
    Benchmark(
        "Canonicalization", DESCRIPTION, SUMMARY, NAMES, claims, create, add_arguments, Canonicalized.errors
    ).run()


if __name__ == "__main__":
    main()
