"""How a group of symmetries of an environment acts on states, and on the scores of actions."""

from __future__ import annotations

from hf_equi.actions import ColumnAction, PixelAction, VectorAction
from hf_equi.groups import EnvironmentGroup

__all__ = ["state_action", "values_action"]


def state_action(group: EnvironmentGroup) -> VectorAction | PixelAction:
    """Return the group's action on states: on their numbers, or on the pixels of images.

    The action on images is that of `group.images`, whose elements are numbered like those of `group`.

    Example:
        >>> from hf_equi.groups import CARTPOLE, GRIDWORLD
        >>> type(state_action(CARTPOLE)).__name__, state_action(GRIDWORLD)
        ('VectorAction', PixelAction(ImageGroup.rotations(4), padding='reflect'))
    """
    return VectorAction(group, group.states) if group.images is None else PixelAction(group.images)


def values_action(group: EnvironmentGroup) -> ColumnAction:
    """Return the group's action on the scores of actions, which it permutes.

    Example:
        >>> import torch
        >>> from hf_equi.groups import CARTPOLE
        >>> values_action(CARTPOLE).apply(1, torch.tensor([[0.25, 0.75]]))
        tensor([[0.7500, 0.2500]])
    """
    return ColumnAction(group, group.permutations)
