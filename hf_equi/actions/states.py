"""The action of an environment's symmetries on its states, whatever they are: numbers or images."""

from __future__ import annotations

from hf_equi.actions.base import Action
from hf_equi.actions.images import PixelAction
from hf_equi.actions.matrices import VectorAction
from hf_equi.groups import EnvironmentGroup

__all__ = ["state_action"]


def state_action(group: EnvironmentGroup) -> Action:
    """Return how the symmetries of an environment move its states.

    Args:
        group (`EnvironmentGroup`):
            The symmetries.

    Returns:
        A `PixelAction` of `group.images` for states that are images, `(B, C, H, W)`. Otherwise a `VectorAction` of
        `group.states`, for `(B, S)`. Elements are numbered as in the group.

    Example:
        ```python
        >>> import torch
        >>> from hf_equi.actions import state_action
        >>> from hf_equi.groups import CARTPOLE
        >>> state_action(CARTPOLE).apply(1, torch.tensor([[0.1, 0.2, 0.3, 0.4]]))
        tensor([[-0.1000, -0.2000, -0.3000, -0.4000]])

        ```
    """
    return VectorAction(group, group.states) if group.images is None else PixelAction(group.images)
