"""Run all stages of the experiment on canonicalization on shapes that a small network learns in seconds."""

from __future__ import annotations

import tempfile
from functools import cached_property
from pathlib import Path

from canonical_methods import GROUPS
from canonical_results import ALL_STAGES, CANONICALIZERS, write_page
from canonical_stages import CanonicalRun, CanonicalSizes
from cifar import CifarImages
from vision_records import Found, gather
from vision_smoke import draw_shapes, train_base

SIZES = CanonicalSizes(checked=20, weights=64, finetune=400, shown=0, steps=30, timed=4, repeats=1)


class ShapesRun(CanonicalRun):
    """A run on drawn shapes, with its own base."""

    @cached_property
    def parts(self) -> dict[str, CifarImages]:
        """Train and test, each drawn by its own seed."""
        return {"train": draw_shapes(400, 0), "test": draw_shapes(100, 1)}


def shapes_runs(folder: Path, sizes: CanonicalSizes = SIZES) -> list[ShapesRun]:
    """Return the canonicalizers and a base, both of which a folder holds."""
    return [ShapesRun(folder, folder, name, 0, sizes, folder) for name in (CANONICALIZERS, "resnet")]


def run_all(runs: list[ShapesRun]) -> Found:
    """Train a base, run all stages, write the page, and return the results."""
    train_base(runs[-1])
    for run in runs:
        for stage in run.stages:
            run.finish(stage)
    folder = runs[0].output
    write_page(folder / "page.md", runs, "the command")
    return gather(runs, folder / "none.json", stages=ALL_STAGES)


def show() -> None:
    """Run all stages, and print what is recognised upright and turned."""
    with tempfile.TemporaryDirectory() as folder:
        stages = run_all(shapes_runs(Path(folder)))["resnet/seed0"]
    accuracies = stages["frozen"]["accuracy"]
    base = accuracies["base, none"]
    print(f"base: {base['upright']:.0f} % upright, {base['C4']:.0f} % turned by 90°, {base['any']:.0f} % by any angle")
    for group in GROUPS:
        for name in ("prior only", "equizero"):
            own, forwards = accuracies[f"{name}, {group}"], stages["speed"]["forwards"][f"{name}, {group}"]
            print(
                f"{name}, {group}: {own['upright']:.0f} % upright, {own['C4']:.0f} % turned by 90°, {own['any']:.0f} "
                f"% by any angle; the base reads {forwards:.0f} a picture"
            )
