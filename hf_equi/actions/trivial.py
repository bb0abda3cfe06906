"""The action that moves nothing."""

from __future__ import annotations

import torch

from hf_equi.actions._elements import checked_element, checked_elements
from hf_equi.groups import FiniteGroup

__all__ = ["TrivialAction"]


class TrivialAction:
    r"""A group on outputs that it leaves as they are, such as the class of an image.

    $$ g y = y $$

    It has the tables of a `TokenAction` that moves no token, so scores over classes fold as scores over a vocabulary.

    Args:
        group: The group.
        device: Where the tables are.

    Attributes:
        moved: `(0,)` int64.
        images: `(group, 0)` int64.
        general: `None`, as no class is left out of the symmetry.

    Example:
        >>> from hf_equi.groups import ImageGroup
        >>> action = TrivialAction(ImageGroup.rotations(4))
        >>> action.apply(1, torch.tensor([0.1, 0.9])), action.images.shape
        (tensor([0.1000, 0.9000]), torch.Size([4, 0]))
    """

    general: None = None

    def __init__(self, group: FiniteGroup, device: torch.device | str | None = "cpu") -> None:
        self.group = group
        self.device = torch.device(device or "cpu")
        self.moved = torch.empty(0, dtype=torch.long, device=self.device)
        self.images = torch.empty(group.order, 0, dtype=torch.long, device=self.device)

    def to(self, device: torch.device | str) -> TrivialAction:
        """The same action with its tables on a device."""
        return self if torch.device(device) == self.device else TrivialAction(self.group, device)

    def apply(self, g: int, x: torch.Tensor) -> torch.Tensor:
        """`g x`, which is x.

        Raises:
            ActionError: If the group has no such element.
        """
        checked_element(self.group, g)
        return x

    def invert(self, g: int, x: torch.Tensor) -> torch.Tensor:
        """`g⁻¹x`, which is x."""
        return self.apply(g, x)

    def apply_each(self, elements: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """`gx` for samples `(R, ...)` and one element each, `(R,)`: the samples.

        Raises:
            ActionError: If the elements are not one of the group for each sample.
        """
        checked_elements(self.group, elements, x)
        return x

    def invert_each(self, elements: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """`g⁻¹x` for samples and one element each: the samples."""
        return self.apply_each(elements, x)

    def pull_back(self, elements: int | torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """`g⁻¹y` for scores over classes, for whichever elements: the scores."""
        return x

    def __repr__(self) -> str:
        return f"TrivialAction({self.group!r})"
