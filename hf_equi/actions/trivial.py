"""The action that moves nothing."""

from __future__ import annotations

from typing import Any

import torch

from hf_equi.actions._elements import read_elements
from hf_equi.actions.base import ColumnAction
from hf_equi.groups import ContinuousGroup, FiniteGroup

__all__ = ["TrivialAction"]


class TrivialAction(ColumnAction):
    r"""A group on data that it leaves as it is, such as the class of an image.

    $$ g y = y $$

    It is a `ColumnAction` that moves no column, however many there are.

    Args:
        group: The group. Of a continuous group no tables can be made, and those here have no rows.
        device: The device of the tables.

    Example:
        >>> from hf_equi.groups import ImageGroup
        >>> action = TrivialAction(ImageGroup.rotations(4))
        >>> action.apply(1, torch.tensor([0.1, 0.9])), action.images.shape
        (tensor([0.1000, 0.9000]), torch.Size([4, 0]))
    """

    group: Any

    def __init__(self, group: FiniteGroup | ContinuousGroup, device: torch.device | str | None = "cpu") -> None:
        self.group = group
        order = group.order if isinstance(group, FiniteGroup) else 0
        empty = torch.empty(order, 0, dtype=torch.long, device="cpu")  # a representation of any group
        self._set_tables(empty, torch.empty(0, dtype=torch.long, device="cpu"), device)

    def to(self, device: torch.device | str) -> TrivialAction:
        """Return the same action with its tables on a device."""
        return (
            self if device == self.device or torch.device(device) == self.device else TrivialAction(self.group, device)
        )

    def apply(self, elements: Any, x: Any, /) -> Any:
        """Return g x, which is x.

        Raises:
            ActionError: If the group has no such element, or there is not one for each sample.
        """
        read_elements(self.group, elements, x)
        return x

    def pull_back(self, elements: Any, scores: Any, /) -> Any:
        """Return g⁻¹y, which is y, for any elements."""
        return scores

    def __repr__(self) -> str:
        return f"TrivialAction({self.group!r})"
