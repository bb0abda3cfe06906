"""CIFAR-10 turned by any angle, with the corners filled by reflection."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from canonical_methods import TURNS
from cifar import CifarImages

from hf_equi.actions import PlaneAction
from hf_equi.groups import SO2

PLANE = PlaneAction(SO2())  # quarter turns move pixels, all other angles are resampled


@dataclass(frozen=True)
class TurnedImages(CifarImages):
    """Images, each turned by its own angle after it was normalised and shifted.

    Args:
        turns: A key of `TURNS`.
        degrees: The angle of each image `(N,)`, counter-clockwise. None draws it anew at every visit.
    """

    turns: str = "upright"
    degrees: torch.Tensor | None = None

    def batch(self, chosen: torch.Tensor) -> torch.Tensor:
        """Return the chosen images `(B,)` as the input of a model `(B, 3, 32, 32)`."""
        pixels = super().batch(chosen)
        if self.turns == "upright":
            return pixels
        degrees = draw(self.turns, len(chosen)) if self.degrees is None else self.degrees[chosen]
        return PLANE.apply(PLANE.group.exp(torch.deg2rad(degrees)[:, None]).to(pixels), pixels)

    def select(self, chosen: torch.Tensor) -> TurnedImages:
        """Return some of the images, turned by the same angles."""
        degrees = None if self.degrees is None else self.degrees[chosen]
        return turned(super().select(chosen), self.turns, degrees)


def draw(turns: str, count: int, generator: torch.Generator | None = None) -> torch.Tensor:
    """Draw uniform angles in degrees, `(count,)` float64."""
    steps = TURNS[turns]
    if steps is None:
        return 360 * torch.rand(count, generator=generator, dtype=torch.float64)
    return 360 / steps * torch.randint(steps, (count,), generator=generator).double()


def turned(images: CifarImages, turns: str, degrees: torch.Tensor | None = None) -> TurnedImages:
    """Return the same images, turned.

    Args:
        images: The images.
        turns: A key of `TURNS`.
        degrees: The angle of each image `(N,)`. None draws it anew at every visit, which is augmentation.
    """
    own = {field.name: getattr(images, field.name) for field in fields(CifarImages)}
    return TurnedImages(**own, turns=turns, degrees=degrees)


def turned_once(images: CifarImages, turns: str, seed: int) -> TurnedImages:
    """Return the same images, each turned by an angle that the seed and its number decide."""
    return turned(images, turns, draw(turns, len(images), torch.Generator().manual_seed(seed)))
