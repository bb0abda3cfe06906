"""Run all stages of the experiment on shapes that a small network learns in seconds, without data."""

from __future__ import annotations

import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from cifar import SIDE, CifarImages
from scan_training import write_json
from transformers import ResNetConfig, ResNetForImageClassification, set_seed
from vision_methods import finetune_stage
from vision_records import gather
from vision_results import MOVED, write_page
from vision_stages import STAGES, Run, Sizes

SHAPES = {
    "T": ("xxx", ".x.", ".x."),
    "L": ("x..", "x..", "xxx"),
    "U": ("x.x", "x.x", "xxx"),
    "F": ("xxx", "xx.", "x.."),
}
PIXELS = 6  # for each x, in height and width
SIZES = Sizes(checked=20, weights=64, finetune=200, shown=4, steps=8)


class ShapesRun(Run):
    """A run on drawn shapes, with its own base."""

    @cached_property
    def parts(self) -> dict[str, CifarImages]:
        """Train and test, each drawn by its own seed."""
        return {"train": draw_shapes(400, 0), "test": draw_shapes(100, 1)}


def draw_shapes(count: int, seed: int) -> CifarImages:
    """Draw upright grey shapes at random places, in noise."""
    generator = torch.Generator().manual_seed(seed)
    masks = torch.tensor([[[mark == "x" for mark in row] for row in rows] for rows in SHAPES.values()]).float()
    masks = masks.repeat_interleave(PIXELS, 1).repeat_interleave(PIXELS, 2)
    labels = torch.randint(len(SHAPES), (count,), generator=generator)
    images = torch.rand(count, 3, SIDE, SIDE, generator=generator) * 100
    size = masks.shape[-1]
    for image, label in zip(images, labels, strict=True):
        top, left = torch.randint(SIDE - size + 1, (2,), generator=generator).tolist()
        image[:, top : top + size, left : left + size] += 150 * masks[label]
    return CifarImages(images.to(torch.uint8), labels)


def train_base(run: Run) -> None:
    """Train a small network on upright shapes."""
    set_seed(run.seed)
    sizes = {"embedding_size": 16, "hidden_sizes": [16, 32], "depths": [1, 1], "layer_type": "basic"}
    base = ResNetForImageClassification(ResNetConfig(**sizes, num_labels=len(SHAPES))).train()
    optimizer = torch.optim.AdamW(base.parameters(), lr=3e-3)
    train = run.parts["train"]
    for step in range(60):
        chosen = torch.randint(len(train), (64,))
        loss = base(pixel_values=train.batch(chosen), labels=train.labels[chosen]).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 20 == 19:
            print(f"step {step + 1}: loss {loss.item():.4f}")
    base.eval().save_pretrained(run.folder / "base")
    write_json(run.folder / "base.json", {})


def show() -> None:
    """Train a base, run all stages, and print what the base and its symmetrised versions recognise."""
    with tempfile.TemporaryDirectory() as folder:
        found = _run_all(ShapesRun(Path(folder), Path(folder), "resnet", 0, SIZES))
    print(f"base, upright shapes: {found['zero_shot']['upright']:.0f} %")
    for transform, moved in MOVED.items():
        print(f"base, {moved} shapes: {found['zero_shot']['accuracy'][transform]['base']['moved']:.0f} %")
        for name in ("equitune", "equizero"):
            finetuned = found[finetune_stage(transform)]["accuracy"][name]
            print(f"{name}, finetuned, {moved} shapes: {finetuned['moved']:.0f} %")


def _run_all(run: Run) -> dict[str, Any]:
    """Run all stages, write the page, and return the results."""
    train_base(run)
    for stage in STAGES:
        run.finish(stage)
    write_page(run.folder / "page.md", [run], "the command")
    return gather([run], run.folder / "none.json")[f"{run.architecture}/seed{run.seed}"]
