"""Time symmetrised vision models against plain ones, and measure their memory, as ratios.

python benchmarks/vision.py --output docs/benchmarks.md
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import memory
import torch
from command import Benchmark
from timing import Claim, Measure, timed
from vision_workload import EIGHT, FOUR, MODELS, VisionWorkload

from hf_equi import ImageGroup, PixelAction

DESCRIPTION = """\
The models have the shapes of known models and random weights. The images are random, of 224 by 224 pixels, in batches
of 4. *vit* is a CLIP with the image tower of ViT-B/32 and a small text tower, which reads ten texts. *resnet* is an
image classifier of the shape of RN50. The group of order 4 holds the rotations by 90°, and the group of order 8 the
mirrored ones too. Without the library there are two ways to read all members of the orbits, and each row shows the
better one: *all at once* calls the unwrapped base with the images of all turns, *a loop* calls it once for each turn.
Both turn the images as a part of the work, and take the mean of the logits. *lambda* and *attention* read the features
of the same pass. The actions are what the library does to pixels: it tells the members of an orbit apart, and rotates
them or mirrors them by the four flips. Memory is what a pass of 32 images needs besides program and weights. *plain*
is the base, which reads these 32 images at once. The library, as always when it evaluates on a CPU, reads a few
members at a time (`hf_equi.bases.chunks.images_at_once`). That is why it can take less.
"""
SUMMARY = "Time symmetrised vision models against plain ones, and measure their memory, as ratios."
FLIPS = ImageGroup.flips("both")
CLAIMS = ("equitune", "equizero", "lambda", "attention", "order-8", "actions", "flips", "memory")
NAMES = tuple(f"{model}-{claim}" for model in MODELS for claim in CLAIMS)


def model_claims(workload: VisionWorkload, smoke: bool, threads: int) -> Iterator[Claim]:
    """The claims about one model."""
    name, batch = workload.model, workload.batch
    images = workload.images(batch)
    for method in ("equitune", "equizero"):
        text = f"{name}: {method}, {batch} images and 4 elements"
        yield Claim(f"{name}-{method}", text, passes(workload, method, images), by_hand(workload, images), 1.05)
    equitune = {"equitune": passes(workload, "equitune", images)}
    for method in ("lambda", "attention"):
        yield Claim(f"{name}-{method}", f"{name}: {method}", passes(workload, method, images), equitune, 1.05)
    eight = timed(lambda: larger(pixel_values=images, **workload.texts))
    larger = workload.symmetrize("equitune", EIGHT)
    yield Claim(f"{name}-order-8", f"{name}: equitune, 8 elements", eight, {"4 elements": equitune["equitune"]}, 2.05)
    for claim, what, group in (("actions", "actions", FOUR), ("flips", "actions of flips", FLIPS)):
        text, whole = f"{name}: the {what} alone", {"all of equitune": equitune["equitune"]}
        yield Claim(f"{name}-{claim}", text, actions(group, images), whole, 0.02)
    if memory.is_available():
        yield memory_claim(workload, smoke, threads)


def by_hand(workload: VisionWorkload, images: torch.Tensor) -> dict[str, Measure]:
    """Measure the two ways to average the logits of the turned images without the library."""

    def read(pixels: torch.Tensor) -> torch.Tensor:
        out = workload.base(pixel_values=pixels, **workload.texts)
        return out.logits_per_image if workload.texts else out.logits

    def at_once() -> torch.Tensor:
        return read(torch.cat([images.rot90(k, (2, 3)) for k in range(4)])).unflatten(0, (4, -1)).mean(0)

    def loop() -> torch.Tensor:
        return torch.stack([read(images.rot90(k, (2, 3))) for k in range(4)]).mean(0)

    return {"all at once": timed(at_once), "a loop": timed(loop)}


def passes(workload: VisionWorkload, method: str, images: torch.Tensor) -> Measure:
    """Measure the seconds of a symmetrised model for a batch."""
    model = workload.symmetrize(method)
    return timed(lambda: model(pixel_values=images, **workload.texts))


def actions(group: ImageGroup, images: torch.Tensor) -> Measure:
    """Measure the seconds to tell members apart and to move them."""
    action = PixelAction(group)
    elements = torch.arange(group.order).repeat(len(images))

    def run() -> None:
        action.keys(images)
        action.apply(elements, images.repeat_interleave(group.order, 0))

    return timed(run)


def memory_claim(workload: VisionWorkload, smoke: bool, threads: int) -> Claim:
    """A pass in chunks of one member against a pass of the base."""
    script = str(Path(__file__).with_name("vision_memory.py"))
    options = ["--threads", str(threads), "--seed", str(workload.seed), *(["--smoke"] if smoke else [])]
    chunked = ("--method", "equitune", "--chunk", "1")
    return Claim(
        f"{workload.model}-memory",
        f"{workload.model}: peak memory of equitune with orbit_chunk_size=1, {workload.large_batch} images",
        lambda: memory.peak_of(script, workload.model, *chunked, *options),
        {"plain": lambda: memory.peak_of(script, workload.model, *options)},
        1.2,
        unit="MiB",
    )


def create(arguments: argparse.Namespace) -> list[VisionWorkload]:
    """Make the workloads of both models."""
    return [VisionWorkload.of_arguments(model, arguments) for model in MODELS]


def claims(workloads: list[VisionWorkload], smoke: bool) -> list[Claim]:
    """Return all claims, in the order of the table."""
    threads = torch.get_num_threads()
    return [claim for workload in workloads for claim in model_claims(workload, smoke, threads)]


def main() -> None:
    """Measure and write the page."""
    Benchmark("Images", DESCRIPTION, SUMMARY, NAMES, claims, create).run()


if __name__ == "__main__":
    main()
