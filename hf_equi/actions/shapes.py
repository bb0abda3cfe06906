"""Groups of the image plane on what is drawn on an image: points and boxes."""

from __future__ import annotations

from typing import Any

import torch

from hf_equi.actions._elements import read_elements
from hf_equi.actions.base import Action
from hf_equi.checks import check_choice
from hf_equi.errors import ActionError
from hf_equi.groups import ImageGroup

__all__ = ["BOX_FORMS", "ImageBoxAction", "ImagePointAction", "pixel_matrices"]

BOX_FORMS = ("xyxy", "xywh", "cxcywh")
"""Two corners; the upper left corner and the size; the middle and the size."""


def pixel_matrices(group: ImageGroup) -> torch.Tensor:
    """Return how each element moves places of an image about its middle, `(G, 2, 2)` float64.

    The matrices act on (x, y), where x points right and y points down, as rows are numbered.

    Example:
        >>> pixel_matrices(ImageGroup.rotations(4))[1].tolist()
        [[0.0, 1.0], [-1.0, 0.0]]
    """
    signs = torch.tensor([[1.0, -1.0], [-1.0, 1.0]], dtype=torch.float64, device="cpu")
    return group.matrices * signs + 0.0  # without -0.0


class ImagePointAction(Action):
    r"""A group on points of an image, which move with its pixels.

    $$ g p = m + R_g (p - m) $$

    with m the middle of the image. Points are (x, y): x from 0 at the left edge to the width, y from 0 at the upper
    edge to the height. For numbers of pixels, whose first is 0, give the size less one.

    Args:
        group: The group.
        size: Height and width of the image.

    Raises:
        ActionError: For a group that turns images onto their sides, if the image is not square.

    Example:
        >>> action = ImagePointAction(ImageGroup.rotations(4), size=(10, 10))
        >>> action.apply(1, torch.tensor([[[1.0, 0.0]]]))  # near the upper left corner: it comes to the lower left
        tensor([[[0., 9.]]])
    """

    def __init__(self, group: ImageGroup, size: tuple[float, float]) -> None:
        height, width = size
        if group.needs_square and height != width:
            raise ActionError(
                f"{group!r} turns images onto their sides, so they must be square; received size={size}, that is "
                "height and width. Crop or pad them to a square, or use ImageGroup.flips(...)."
            )
        self.group = group
        self.size = size
        self._matrices = pixel_matrices(group)
        middle = torch.tensor([width / 2, height / 2], dtype=torch.float64, device="cpu")
        # So a quarter turn or a mirror rounds at most once, and the identity not at all.
        self._shifts = middle - self._matrices @ middle

    def apply(self, elements: Any, x: torch.Tensor, /) -> torch.Tensor:
        """Return g x.

        Args:
            elements: One element, or `(R,)` with one per sample.
            x: `(R, ..., 2)` floating points.

        Raises:
            ActionError: If the group has no such element, if there is not one for each sample, or for points of
                another shape.
        """
        _check_floating(x, 2, "Points are (x, y)")
        g = read_elements(self.group, elements, x)
        return self.move(g, x)

    def move(self, g: Any, x: torch.Tensor) -> torch.Tensor:
        """Do `apply` for checked elements."""
        matrices = self._matrices.to(x.device, x.dtype)[g]  # (2, 2), or (R, 2, 2)
        shifts = self._shifts.to(x.device, x.dtype)[g]  # (2,), or (R, 2)
        if matrices.dim() == 3:
            matrices = matrices.view(len(matrices), *[1] * (x.dim() - 2), 2, 2)
            shifts = shifts.view(len(shifts), *[1] * (x.dim() - 2), 2)
        return (matrices * x.unsqueeze(-2)).sum(-1) + shifts

    def __repr__(self) -> str:
        return f"ImagePointAction({self.group!r}, size={self.size})"


class ImageBoxAction(Action):
    r"""A group on boxes of an image, whose sides stay parallel to those of the image: quarter turns and mirrors.

    A box moves with the pixels in it. Its corners move as points do, and are put in order again.

    Args:
        group: The group.
        size: Height and width of the image; `(1, 1)` for boxes in shares of it.
        form: `"xyxy"` (two corners), `"xywh"` (the upper left corner and the size) or `"cxcywh"` (the middle and the
            size).

    Raises:
        ActionError: For a group with other angles, whose turned boxes would not be boxes; for an unknown form; as in
            `ImagePointAction`.

    Example:
        >>> action = ImageBoxAction(ImageGroup.flips("horizontal"), size=(10, 20))
        >>> action.apply(1, torch.tensor([[[0.0, 1.0, 5.0, 3.0]]]))
        tensor([[[15.,  1., 20.,  3.]]])
    """

    def __init__(self, group: ImageGroup, size: tuple[float, float], form: str = "xyxy") -> None:
        check_choice("form", form, BOX_FORMS, error=ActionError)
        if not group.exact:
            raise ActionError(
                f"{group!r} turns boxes by angles other than quarter turns, and a turned box is not a box: move its "
                "corners as points, with ImagePointAction."
            )
        self.group = group
        self.form = form
        self.points = ImagePointAction(group, size)

    def apply(self, elements: Any, x: torch.Tensor, /) -> torch.Tensor:
        """Return g x.

        Args:
            elements: One element, or `(R,)` with one per sample.
            x: `(R, ..., 4)` floating boxes.

        Raises:
            ActionError: If the group has no such element, if there is not one for each sample, or for boxes of another
                shape.
        """
        _check_floating(x, 4, f"Boxes are {self.form}")
        g = read_elements(self.group, elements, x)
        first, second = x[..., :2], x[..., 2:]
        if self.form == "cxcywh":
            first, second = first - second / 2, first + second / 2
        elif self.form == "xywh":
            second = first + second
        corners = self.points.move(g, torch.stack([first, second], -2))  # (R, ..., 2, 2)
        least, most = corners.amin(-2), corners.amax(-2)
        if self.form == "cxcywh":
            return torch.cat([(least + most) / 2, most - least], -1)
        return torch.cat([least, most if self.form == "xyxy" else most - least], -1)

    def __repr__(self) -> str:
        return f"ImageBoxAction({self.group!r}, size={self.points.size}, form={self.form!r})"


def _check_floating(x: torch.Tensor, numbers: int, what: str) -> None:
    if not x.is_floating_point() or x.dim() < 2 or x.shape[-1] != numbers:
        raise ActionError(
            f"{what}: floating numbers of the shape (R, ..., {numbers}); received {x.dtype} {tuple(x.shape)}."
        )
