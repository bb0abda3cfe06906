"""The embeddings of the members of orbits of images: made once, then asked by any number of prompts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch

from hf_equi.actions import Action, PixelAction
from hf_equi.groups import ImageGroup
from hf_equi.symmetrizers import Selection

__all__ = ["ReadImages", "SamEmbeddings"]


@dataclass(frozen=True)
class SamEmbeddings:
    r"""What the encoder of a SAM says of the members of the orbits of images, $E(gx)$.

    `EquiSamModel.get_image_embeddings` makes it, and `forward` takes it as `image_embeddings`, as often as there are
    prompts. Row b · K + k of each tensor is member k of image b, in the frame of that member. K is the order of the
    group, in the order of its elements, or 1 for methods that read one member.

    Args:
        maps: `(B · K, C, H, W)` each, as the base's `get_image_embeddings` returns them: one map for SAM and SAM-HQ,
            three from high to low resolution for its successors.
        action: The group on maps.
        selection: The members, `(B, K)` elements.
        keys: `(B, G)` the keys of the images' members, by which they are put in order; `None` for one member.
        intermediate: `(B · K, H, W, C)` each, the maps of earlier layers that SAM-HQ reads.

    Example:
        >>> action, map_ = PixelAction(ImageGroup.rotations(4)), torch.rand(2 * 4, 3, 5, 5)
        >>> found = SamEmbeddings((map_,), action, Selection(torch.arange(4).expand(2, -1)))
        >>> len(found), found.pulled_back()[0].shape
        (2, torch.Size([2, 4, 3, 5, 5]))
    """

    maps: tuple[torch.Tensor, ...]
    action: PixelAction
    selection: Selection
    keys: torch.Tensor | None = None
    intermediate: tuple[torch.Tensor, ...] = ()

    @property
    def elements(self) -> torch.Tensor:
        """The elements of the members, `(B, K)`."""
        return self.selection.elements

    def __len__(self) -> int:
        """Return the number of images B."""
        return len(self.elements)

    def pulled_back(self) -> tuple[torch.Tensor, ...]:
        r"""Return the maps in the frame of the given images, $g^{-1}E(gx)$: they move with the images.

        Returns:
            `(B, K, C, H, W)` each. Their mean over K is an equivariant map.
        """
        each, shape = self.elements.flatten(), self.elements.shape
        return tuple(self.action.invert(each, map_).view(*shape, *map_.shape[1:]) for map_ in self.maps)

    def features(self) -> torch.Tensor:
        """Return one vector for each member, `(B, K, C)`: the mean of its last map."""
        return self.maps[-1].mean((-2, -1)).view(*self.elements.shape, -1)

    def to(self, *args: Any, **kwargs: Any) -> SamEmbeddings:
        """Return the same embeddings on a device, or with floating numbers of another type, as `torch.Tensor.to`."""
        maps, intermediate = (tuple(x.to(*args, **kwargs) for x in each) for each in (self.maps, self.intermediate))
        device, chosen = maps[0].device, self.selection
        weights = None if chosen.log_weights is None else chosen.log_weights.to(device)
        selection = Selection(chosen.elements.to(device), said=chosen.said, log_weights=weights)
        keys = None if self.keys is None else self.keys.to(device)
        return replace(self, maps=maps, selection=selection, keys=keys, intermediate=intermediate)


class ReadImages(Action):
    """A group on images that were read already and are known by their numbers: gx is the row of that member.

    Args:
        embeddings: The embeddings.
    """

    def __init__(self, embeddings: SamEmbeddings) -> None:
        self.group: ImageGroup = embeddings.action.group
        self.embeddings = embeddings

    def apply(self, elements: Any, x: torch.Tensor, /) -> torch.Tensor:
        """Return the rows that hold members of images.

        Args:
            elements: `(R,)` one element for each row, each one that was read.
            x: `(R,)` numbers of images.
        """
        known = self.embeddings.elements
        rows: torch.Tensor = x * known.shape[1] + (known[x] == elements[:, None]).int().argmax(1)
        return rows

    def keys(self, x: torch.Tensor, /) -> torch.Tensor:
        """Return the keys of the images' members, `(B, G)`."""
        keys = self.embeddings.keys
        return x.new_zeros(len(x), self.group.order) if keys is None else keys[x]
