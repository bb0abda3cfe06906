"""All rotations and mirrors of the plane on images, by any angle."""

from __future__ import annotations

import torch

from hf_equi.actions._elements import read_elements
from hf_equi.actions._resampling import check_padding, resample
from hf_equi.actions.base import Action
from hf_equi.errors import ActionError
from hf_equi.groups import O2, SO2

__all__ = ["PlaneAction"]

_EXACT_BELOW = 1e-6
"""Radians that count as rounding. They move the corners of an image of 224 × 224 pixels by less than 0.0002 pixels."""


class PlaneAction(Action):
    r"""SO(2) or O(2) on images and on feature maps.

    $$ (g x)(p) = x(g^{-1} p) $$

    for points p of the plane, with y upwards and the origin in the middle of the image. Each element mirrors the image
    left-right or not, turns it by whole quarter turns, and then by the remaining angle, from -45° to 45°. Mirrors and
    quarter turns move pixels and change no number, so the numbers of gr x and g(r x) are the same for every r that is
    exact. The remaining angle is resampled bilinearly, as in `PixelAction`, which has finite groups. So for all other
    elements the equations hold approximately. The table gives $|g^{-1} g x - x|$ as `PixelAction` does, but for the
    turns by 5°, 10°, ..., 85°:

    | image | size | within the disc, at most | in the whole image, at most |
    |---|---|---|---|
    | smooth | 32 × 32 | 0.014 / 0.0036 | 0.79 / 0.041 |
    | smooth | 224 × 224 | 0.0003 / 0.000073 | 0.78 / 0.033 |
    | noise | 32 × 32 | 0.56 / 0.16 | 0.92 / 0.18 |
    | noise | 224 × 224 | 0.65 / 0.15 | 0.95 / 0.17 |

    Gradients flow to elements. Exact elements get the gradient of resampling there.

    Args:
        group (`SO2` or `O2`):
            The group.
        padding (`str`, *optional*, defaults to `"reflect"`):
            How images continue beyond their edges where they are resampled: `"reflect"` or `"circular"`.

    Raises:
        ActionError: For another group, or an unknown padding.

    Cost: a few copies of the images; unless all elements are exact, one `grid_sample` of about twice their pixels.
    Guarantee: approximate; exact for quarter turns and mirrors.

    Example:
        ```python
        >>> import torch
        >>> from hf_equi.actions import PlaneAction
        >>> from hf_equi.groups import SO2
        >>> group = SO2()
        >>> quarter_turn = group.exp(torch.tensor([torch.pi / 2]))
        >>> PlaneAction(group).apply(quarter_turn, torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]))
        tensor([[[2., 4.],
                 [1., 3.]]])

        ```
    """

    resamples = True

    def __init__(self, group: SO2 | O2, padding: str = "reflect") -> None:
        if not isinstance(group, (SO2, O2)):
            raise ActionError(
                f"{group!r} does not act on images by any angle: use SO2() or O2(), or PixelAction with an ImageGroup."
            )
        check_padding(padding)
        self.group = group
        self.padding = padding

    def apply(self, elements: torch.Tensor, x: torch.Tensor, /) -> torch.Tensor:
        """Return g x.

        Args:
            elements (`torch.Tensor` of shape `(2, 2)` or `(R, 2, 2)`):
                One element for images of any number of leading axes, or one per sample.
            x (`torch.Tensor` of shape `(..., C, S, S)`, or `(R, C, S, S)` with one element per sample):
                Square images or feature maps, of floating numbers.

        Returns:
            `torch.Tensor` of the same shape and dtype, contiguous. Gradients flow to `x` and to `elements`.

        Raises:
            ActionError: If the group has no such element, or there is not one for each sample; for images that are not
                square, have too few axes or are integers; if kornia is needed but not installed.
        """
        g = read_elements(self.group, elements, x)
        self._check(x, each=g.dim() == 3)
        images = x.reshape(-1, *x.shape[-3:])  # (R, C, S, S)
        mirrored, quarters, rest = _motions(g.expand(images.shape[0], 2, 2))
        images = torch.where(_per_image(mirrored), images.flip(-1), images)
        images = torch.where(_per_image(quarters % 2 == 1), images.rot90(1, (-2, -1)), images)
        images = torch.where(_per_image(quarters >= 2), images.rot90(2, (-2, -1)), images)
        return self._turned(images, rest).reshape(x.shape).contiguous()

    def _turned(self, images: torch.Tensor, rest: torch.Tensor) -> torch.Tensor:
        """Turn by what remains of the angles, `(R,)` in radians. Where nothing does, leave the numbers as they are."""
        exact = rest.detach().abs() <= _EXACT_BELOW
        differentiable = torch.is_grad_enabled() and rest.requires_grad
        if not torch.compiler.is_compiling() and not differentiable and bool(exact.all()):
            return images
        turned = resample(images, torch.rad2deg(rest), self.padding)
        kept = images.detach() + (turned - turned.detach()) if differentiable else images
        return torch.where(_per_image(exact), kept, turned)

    def _check(self, x: torch.Tensor, each: bool) -> None:
        if x.dim() < 3 or (each and x.dim() != 4):
            wanted = "four axes, (R, C, S, S)" if each else "at least three axes, (..., C, S, S)"
            raise ActionError(f"Images need {wanted}; received shape {tuple(x.shape)}. Add the missing axes.")
        if x.shape[-2] != x.shape[-1]:
            raise ActionError(
                f"{self.group!r} turns images onto their sides, so they must be square; received H = {x.shape[-2]}, "
                f"W = {x.shape[-1]}. Crop or pad them to a square."
            )
        if not x.is_floating_point():
            raise ActionError(
                f"{self.group!r} resamples images, which needs floating numbers; received {x.dtype}. Convert them, "
                "for example with x.float()."
            )

    def __repr__(self) -> str:
        return f"PlaneAction({self.group!r}, padding={self.padding!r})"


def _motions(g: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return whether matrices `(R, 2, 2)` mirror, their quarter turns, and the rest in radians: each `(R,)`."""
    mirrored = torch.linalg.det(g.detach()) < 0
    sign = torch.where(mirrored, -1.0, 1.0).to(g)  # the mirror comes first, so it changes the first column
    cosine, sine = (sign * g[:, 0, 0] + g[:, 1, 1]) / 2, (sign * g[:, 1, 0] - g[:, 0, 1]) / 2
    # Those of the angle less 0, 1, 2 and 3 quarter turns. One of the four is above -45° and at most 45°. They are the
    # same numbers, so angles that differ by quarter turns have the same rest, to the bit.
    cosines = torch.stack([cosine, sine, -cosine, -sine], -1)
    sines = torch.stack([sine, -cosine, -sine, cosine], -1)
    quarters = ((-cosines < sines) & (sines <= cosines)).long().argmax(-1, keepdim=True)
    rest = torch.atan2(sines.gather(-1, quarters), cosines.gather(-1, quarters)).squeeze(-1)
    return mirrored, quarters.squeeze(-1), rest


def _per_image(each: torch.Tensor) -> torch.Tensor:
    return each.view(-1, 1, 1, 1)
