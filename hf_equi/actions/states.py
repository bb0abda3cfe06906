"""How the symmetries of an environment act on its states, whatever they are, and on the scores of its actions."""

from __future__ import annotations

from hf_equi.actions.base import ColumnAction
from hf_equi.actions.images import PixelAction
from hf_equi.actions.matrices import VectorAction
from hf_equi.groups import EnvironmentGroup

__all__ = ["state_action", "values_action"]


def state_action(group: EnvironmentGroup) -> VectorAction | PixelAction:
    """Return how the symmetries of an environment move its states: their numbers, or the pixels of images.

    Args:
        group (`EnvironmentGroup`):
            The symmetries.

    Returns:
        A `PixelAction` of `group.images` for states that are images, `(B, C, H, W)`; its elements are numbered like
        those of `group`. Otherwise a `VectorAction` of `group.states`, for `(B, S)`.

    Example:
        ```python
        >>> import torch
        >>> from hf_equi.actions import state_action
        >>> from hf_equi.groups import CARTPOLE, GRIDWORLD
        >>> state_action(CARTPOLE).apply(1, torch.tensor([[0.1, 0.2, 0.3, 0.4]]))
        tensor([[-0.1000, -0.2000, -0.3000, -0.4000]])
        >>> state_action(GRIDWORLD)
        PixelAction(ImageGroup.rotations(4), padding='reflect')

        ```
    """
    return VectorAction(group, group.states) if group.images is None else PixelAction(group.images)


def values_action(group: EnvironmentGroup) -> ColumnAction:
    """Return how the symmetries of an environment permute the scores of its actions, or the actions themselves.

    Args:
        group (`EnvironmentGroup`):
            The symmetries.

    Example:
        ```python
        >>> import torch
        >>> from hf_equi.actions import values_action
        >>> from hf_equi.groups import CARTPOLE
        >>> values_action(CARTPOLE).apply(1, torch.tensor([[0.25, 0.75]]))
        tensor([[0.7500, 0.2500]])

        ```
    """
    return ColumnAction(group, group.permutations)
