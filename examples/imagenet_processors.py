"""How far a processor is from commuting with turns: photos that are turned before it reads them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from imagenet_run import GROUPS, Experiment
from machine import progress
from PIL import Image
from transformers import AutoImageProcessor

SHAPES = ((364, 364), (375, 500))
"""Heights and widths of photos, in pixels. The usual crop of the first has the same margins, that of the second lies
between pixels."""


@torch.no_grad()
def processors(run: Experiment) -> dict[str, Any]:
    """Compare the logits of photos with those of the same photos turned by 90°, with both processors."""
    model = run.symmetrize("equitune, features", GROUPS["turned"])
    both = {"usual": AutoImageProcessor.from_pretrained(run.model, backend="pil"), "symmetric": run.processor}
    found: dict[str, Any] = {"photos": run.sizes.checked}
    for height, width in SHAPES:
        photos = [
            np.asarray(Image.open(path).convert("RGB").resize((width, height), Image.Resampling.BICUBIC))
            for path, _ in run.rows[: run.sizes.checked]
        ]
        turned = [np.rot90(photo).copy() for photo in photos]
        entry, upright = {}, {}
        for name, processor in progress(both.items(), f"Photos of {width} × {height}"):
            upright[name], seconds = _logits(model, processor, photos)
            apart = (upright[name] - _logits(model, processor, turned)[0]).abs().amax(1)
            entry[name] = {"median": float(apart.median()), "largest": float(apart.max())}
            entry[name]["milliseconds"] = seconds * 1e3
        moved = (upright["usual"] - upright["symmetric"]).abs().amax(1)
        found[f"{width} × {height}"] = {**entry, "between": float(moved.median())}
    return found


def _logits(model: Any, processor: Any, photos: Sequence[np.ndarray]) -> tuple[torch.Tensor, float]:
    """Return the logits `(N, C)`, and the median of the processor's CPU seconds for a photo."""
    logits, seconds = [], []
    for photo in photos:
        start = time.process_time()
        pixels = processor(photo, return_tensors="pt").pixel_values
        seconds.append(time.process_time() - start)
        logits.append(model(pixel_values=pixels).logits)
    return torch.cat(logits), float(np.median(seconds))
