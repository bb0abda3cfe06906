r"""Where a vision model is cut, so that an orbit can be combined in the middle of it.

$$ f \colon x \mapsto \text{pool}(\text{maps}(x)), \qquad M = \text{head} \circ f $$

A cut knows how a family of models goes from pixels to maps, from maps to features, and on to logits. It calls the
modules of a model by their names. It has no hooks and no state, so one cut serves all models of its family and several
threads.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn
from transformers import PreTrainedModel

from hf_equi.actions.images import GridAction, PixelAction
from hf_equi.bases.signatures import parameters
from hf_equi.errors import UnsupportedModelError
from hf_equi.groups.spatial import ImageGroup

__all__ = [
    "BodyCut",
    "Cut",
    "MapAction",
    "MapLayout",
    "PixelMaps",
    "TokenMaps",
    "merged_grid",
    "patch_grid",
    "taken_by",
]

MapAction = PixelAction | GridAction
"""The action on maps: on rows and columns as on pixels, on tokens through the grid of the patches."""

Pooling = Callable[[Any, Any, Tensor], Tensor]
"""Turns maps into features, given a base and its body; the place of the norms differs between families."""

Grid = Callable[[Any, tuple[int, int]], tuple[int, int]]
"""Turns the height and width of images into those of the grid of tokens, given the config of a body."""


class Cut(ABC):
    """The place where a model is cut: the features that its head turns into logits, and the maps they are pooled from.

    A model with unknown maps has only features, so it has no spatial level.

    Cost: `features` and `maps` are one base forward each. The rest costs what comes after the last layer of the body.
    """

    @property
    def has_maps(self) -> bool:
        """Return whether `maps`, `map_action` and `pool` are known."""
        return False

    @abstractmethod
    def features(self, base: PreTrainedModel, pixel_values: Tensor, **kwargs: Any) -> Tensor:
        """Return what the head of the base reads.

        Args:
            base: A model of the family.
            pixel_values: `(R, C, H, W)`.
            **kwargs: Further arguments, such as `interpolate_pos_encoding`; those that the base does not name are left
                out.

        Returns:
            Features, `(R, F)`.
        """

    def maps(self, base: PreTrainedModel, pixel_values: Tensor, **kwargs: Any) -> Tensor:
        """Return the maps before pooling, from the arguments of `features`.

        Returns:
            `(R, C, h, w)`, or tokens `(R, special + h·w, D)`, row by row after the special ones.

        Raises:
            UnsupportedModelError: If `has_maps` is false, as for all three methods about maps.
        """
        raise _no_maps(base)

    def map_action(self, group: ImageGroup, base: PreTrainedModel, image_size: tuple[int, int]) -> MapAction:
        """Return the group's action on the maps of images of a given height and width.

        Raises:
            UnsupportedModelError: If `has_maps` is false.
            ActionError: For tokens and a group that has to interpolate.
        """
        raise _no_maps(base)

    def pool(self, base: PreTrainedModel, maps: Tensor) -> Tensor:
        """Return the features of maps, `(R, F)`. No element of a group that moves the maps changes the features.

        Raises:
            UnsupportedModelError: If `has_maps` is false.
        """
        raise _no_maps(base)


class MapLayout(Protocol):
    """The meaning of the axes of maps."""

    def action(self, group: ImageGroup, config: Any, image_size: tuple[int, int]) -> MapAction:
        """Return the group's action on maps of this layout."""


@dataclass(frozen=True)
class PixelMaps:
    """Maps with rows and columns, `(R, C, h, w)`."""

    def action(self, group: ImageGroup, config: Any, image_size: tuple[int, int]) -> PixelAction:
        """Move maps as the image moves."""
        return PixelAction(group)


def patch_grid(config: Any, image_size: tuple[int, int]) -> tuple[int, int]:
    """Return the grid with one token for each patch.

    Example:
        >>> from transformers import ViTConfig
        >>> patch_grid(ViTConfig(patch_size=16), (224, 160))
        (14, 10)
    """
    height, width = _sides(config.patch_size)
    return image_size[0] // height, image_size[1] // width


def merged_grid(config: Any, image_size: tuple[int, int]) -> tuple[int, int]:
    """Return the grid if every stage but the first merges tokens two by two, with padding at the edges.

    Example:
        >>> from transformers import SwinConfig
        >>> merged_grid(SwinConfig(patch_size=4, depths=[2, 2, 6, 2]), (224, 100))
        (7, 4)
    """
    height, width = (side * 2 ** (len(config.depths) - 1) for side in _sides(config.patch_size))
    return -(-image_size[0] // height), -(-image_size[1] // width)


@dataclass(frozen=True)
class TokenMaps:
    """Maps as tokens, `(R, special + h·w, D)`.

    Args:
        special: The number of tokens before those of the image: class and distillation tokens.
        registers: The config entry that counts further ones.
        grid: Gives the height and width of the grid.
    """

    special: int = 0
    registers: str | None = None
    grid: Grid = patch_grid

    def action(self, group: ImageGroup, config: Any, image_size: tuple[int, int]) -> GridAction:
        """Move tokens of the image as their patches move; special ones stay."""
        special = self.special + (getattr(config, self.registers) if self.registers else 0)
        return GridAction(group, special=special, size=self.grid(config, image_size))


@dataclass(frozen=True)
class BodyCut(Cut):
    """A cut after the body of a model, a module whose `last_hidden_state` holds the maps.

    Args:
        body: Its name in the base.
        pooling: Turns maps into features, given the base and its body.
        layout: The meaning of the axes of its maps.
    """

    body: str
    pooling: Pooling
    layout: MapLayout = PixelMaps()

    @property
    def has_maps(self) -> bool:
        """Always."""
        return True

    def features(self, base: PreTrainedModel, pixel_values: Tensor, **kwargs: Any) -> Tensor:
        """Return the pooled maps, `(R, F)`."""
        return self.pool(base, self.maps(base, pixel_values, **kwargs))

    def maps(self, base: PreTrainedModel, pixel_values: Tensor, **kwargs: Any) -> Tensor:
        """Return the last hidden state of the body."""
        body = self.body_of(base)
        maps: Tensor = body(pixel_values, return_dict=True, **taken_by(body.forward, kwargs)).last_hidden_state
        return maps

    def map_action(self, group: ImageGroup, base: PreTrainedModel, image_size: tuple[int, int]) -> MapAction:
        """Return the action of the layout."""
        return self.layout.action(group, self.body_of(base).config, image_size)

    def pool(self, base: PreTrainedModel, maps: Tensor) -> Tensor:
        """Pool as the base does."""
        return self.pooling(base, self.body_of(base), maps)

    def body_of(self, base: nn.Module) -> Any:
        """Return the module of the base that gives the maps."""
        return base.get_submodule(self.body)


def taken_by(function: Callable[..., Any], arguments: dict[str, Any]) -> dict[str, Any]:
    """Return those arguments that a function names; many modules accept any others and ignore them.

    Example:
        >>> taken_by(lambda images, interpolate=False, **others: None, {"interpolate": True, "position": 1})
        {'interpolate': True}
    """
    # For a method, its function alone: the cache of `parameters` would keep its model alive.
    names = parameters(getattr(function, "__func__", function))
    return {name: value for name, value in arguments.items() if name in names}


def _sides(patch_size: int | tuple[int, int] | list[int]) -> tuple[int, int]:
    """Return height and width; a config may give a single side."""
    height, width = (patch_size, patch_size) if isinstance(patch_size, int) else patch_size
    return height, width


def _no_maps(base: nn.Module) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"{type(base).__name__}: it is unknown which of its layers holds maps and how it pools them, so there is no "
        "spatial level. Use level='features'."
    )
