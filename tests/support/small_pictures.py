"""Names of four classes, two of which are alike, and a folder of small pictures of the first two."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

NAMES = {0: "tench, Tinca tinca", 1: "tiger shark", 2: "crane", 3: "crane"}


def write_pictures(folder: Path, count: int = 6) -> None:
    """Write pictures of noise, none of them square, in a subfolder a class."""
    noise = np.random.default_rng(0)
    for number in range(count):
        place = folder / ("tench", "tiger_shark")[number % 2] / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise.integers(0, 256, (40, 41 + number, 3), dtype=np.uint8)).save(place)
