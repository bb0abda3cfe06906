"""Groups of the image plane on heat maps of key points, some of which come in a left and a right one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from hf_equi.actions.base import Action
from hf_equi.actions.images import PixelAction
from hf_equi.actions.plane import PlaneAction
from hf_equi.errors import ActionError

__all__ = ["HeatMapAction"]


class HeatMapAction(Action):
    r"""A group on maps whose channels have a left and a right side: pixels move, and mirrors exchange the channels.

    $$ (g y)_{\sigma_g(c)}(p) = y_c(g^{-1} p), \qquad \sigma_g = \sigma \text{ if g mirrors, else the identity} $$

    for channels c and points p of the plane. A left hand in a mirrored image is a right one. A half turn is not a
    mirror: it exchanges nothing.

    Args:
        pixels: How the group moves pixels.
        pairs: The pairs of channels that σ exchanges.
        channels: The number of channels.

    Raises:
        ActionError: For pairs that are not two different channels, or a channel in two pairs.

    Cost: that of `pixels`. Guarantee: that of `pixels`.

    Example:
        >>> from hf_equi.groups import ImageGroup
        >>> action = HeatMapAction(PixelAction(ImageGroup.flips("horizontal")), [(0, 1)], channels=2)
        >>> action.apply(1, torch.tensor([[[[1, 2]], [[3, 4]]]])).tolist()
        [[[[4, 3]], [[2, 1]]]]
    """

    def __init__(self, pixels: PixelAction | PlaneAction, pairs: Iterable[Iterable[int]], channels: int) -> None:
        self.pixels = pixels
        self.group = pixels.group
        self.resamples = pixels.resamples
        self.pairs = [tuple(pair) for pair in pairs]
        self._order = _exchanged(self.pairs, channels)

    def apply(self, elements: Any, x: torch.Tensor, /) -> torch.Tensor:
        """Return g x.

        Args:
            elements: One element, or one for each map.
            x: `(..., C, H, W)` maps, or `(R, C, H, W)` with one element per map.

        Raises:
            ActionError: For another number of channels, and as the action on pixels does.
        """
        if x.shape[-3:-2] != self._order.shape:
            raise ActionError(
                f"These maps need {len(self._order)} channels, (..., {len(self._order)}, H, W); received the shape "
                f"{tuple(x.shape)}."
            )
        moved: torch.Tensor = self.pixels.apply(elements, x)
        mirrored = self._mirrors(elements, x.device)
        if mirrored.dim():
            mirrored = mirrored.view(-1, 1, 1, 1)
        return torch.where(mirrored, moved.index_select(-3, self._order.to(x.device)), moved)

    def _mirrors(self, elements: Any, device: torch.device) -> torch.Tensor:
        """Return which elements mirror: `()`, or `(R,)`."""
        if isinstance(self.pixels, PixelAction):
            mirrored = torch.tensor([one[0] for one in self.pixels.group.motions], device=device)
        else:
            mirrored, elements = torch.linalg.det(elements) < 0, ...
        found: torch.Tensor = mirrored[elements]
        return found

    def __repr__(self) -> str:
        return f"HeatMapAction({self.pixels!r}, {self.pairs}, channels={len(self._order)})"


def _exchanged(pairs: list[tuple[int, ...]], channels: int) -> torch.Tensor:
    """Return the channel that each channel is exchanged with, `(C,)`."""
    order, taken = torch.arange(channels, device="cpu"), set[int]()
    for pair in pairs:
        whole = len(pair) == 2 and {*pair} <= {*range(channels)}
        if not whole or pair[0] == pair[1] or taken & {*pair}:
            raise ActionError(
                f"The pair {pair} does not exchange two channels: name two different numbers from 0 to "
                f"{channels - 1}, each in one pair only."
            )
        taken |= {*pair}
        order[list(pair)] = torch.tensor(pair[::-1], device="cpu")
    return order
