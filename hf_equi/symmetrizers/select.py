"""Which members of an orbit a method asks for: its first part."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from hf_equi.errors import ConfigurationError

__all__ = ["DrawnMember", "Draws", "IdentityMember", "Select", "Selection", "SmallestMember", "WholeGroup"]


@dataclass(frozen=True)
class Selection:
    """The members that were selected.

    Args:
        elements: `(B, K)` int64 group elements.
        penalty: `(B,)` what the loss of each sample gets beside the task's own, such as a prior; `None` for nothing.
    """

    elements: torch.Tensor
    penalty: torch.Tensor | None = None

    @property
    def only(self) -> torch.Tensor | None:
        """The one element of each sample, `(B,)`, where one was selected."""
        return self.elements[:, 0] if self.elements.shape[1] == 1 else None


class Draws:
    """A source of random group elements: the global generator of torch.

    `hf_equi.generation.CoupledDraws` draws the same elements for equal seeds and prompts instead.
    """

    def elements(self, action: Any, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """One uniform element a sample, `(B,)`."""
        return torch.randint(action.group.order, (len(x),)).to(x.device)


@dataclass(frozen=True)
class Asked:
    """What members are selected for.

    Args:
        action: How the group acts on the inputs.
        x: `(B, ...)` inputs: token ids, images, states.
        mask: `(B, T)`, 0 where a text is padded; `None` for no padding.
        draws: Where random elements come from.
        network: What `create_network` made, with its trained weights; `None` for a part without one.
    """

    action: Any
    x: torch.Tensor
    mask: torch.Tensor | None = None
    draws: Draws = field(default_factory=Draws)
    network: Any = None


class Select(ABC):
    """Which elements the base is asked about, given an input.

    Letters: B batch, G group, K members asked for.
    """

    selects_one = False
    """Whether it selects one member of each orbit: then a text costs one row of the base."""

    @abstractmethod
    def members(self, asked: Asked) -> Selection:
        """Select the members to make an output with."""

    def members_to_score(self, asked: Asked) -> Selection:
        """Select the members to score an output with that is known; by default those that it would be made with."""
        return self.members(asked)

    def __call__(
        self,
        action: Any,
        x: torch.Tensor,
        mask: torch.Tensor | None = None,
        draws: Draws | None = None,
        network: Any = None,
        *,
        to_score: bool = False,
    ) -> Selection:
        """Select the members, with the entries of `Asked`; with `to_score` those to score a known output with."""
        if self.has_network and network is None:
            raise ConfigurationError(
                f"{type(self).__name__} selects members by a network, and this model has none: config.method was "
                "changed after the model was made. Symmetrize the base anew: "
                "hf_equi.symmetrize(model.unwrap(), group, method)."
            )
        asked = Asked(action, x, mask, draws or Draws(), network)
        return self.members_to_score(asked) if to_score else self.members(asked)

    @property
    def has_network(self) -> bool:
        """Whether members are selected by a network, which `create_network` makes."""
        return type(self).create_network is not Select.create_network

    def create_network(self, group: Any, shape: tuple[int, ...] | None) -> nn.Module | None:
        """Make the network that selects, before the base runs; `None` for a part without one.

        The model registers it as `select_network`, trains it and saves it.

        Args:
            group: The group.
            shape: Of one input, such as `(3, 224, 224)`; `None` for texts.
        """
        return None


class WholeGroup(Select):
    """All elements.

    Example:
        >>> from hf_equi.actions import TrivialAction
        >>> from hf_equi.groups import FiniteGroup
        >>> WholeGroup()(TrivialAction(FiniteGroup.cyclic(3)), torch.zeros(2, 5)).elements
        tensor([[0, 1, 2],
                [0, 1, 2]])
    """

    def members(self, asked: Asked) -> Selection:
        """All elements, `(B, G)`."""
        order = torch.arange(asked.action.group.order, device=asked.x.device)
        return Selection(order.expand(asked.x.shape[0], -1))


class IdentityMember(Select):
    """The identity, so that the base reads what came in."""

    selects_one = True

    def members(self, asked: Asked) -> Selection:
        """The identity of each sample, `(B, 1)`."""
        return Selection(torch.zeros(asked.x.shape[0], 1, dtype=torch.long, device=asked.x.device))


class DrawnMember(Select):
    """One element, drawn uniformly; the whole group to score with."""

    selects_one = True

    def members(self, asked: Asked) -> Selection:
        """One element a sample, `(B, 1)`."""
        return Selection(asked.draws.elements(asked.action, asked.x, asked.mask)[:, None])

    def members_to_score(self, asked: Asked) -> Selection:
        """The whole group."""
        return WholeGroup().members(asked)


class SmallestMember(Select):
    r"""The first element k(x) that takes an input to the smallest member of its orbit, by the rule of its action.

    $$ k(gx) = k(x) g^{-1} $$

    up to elements that fix x.
    """

    selects_one = True

    def members(self, asked: Asked) -> Selection:
        """k(x) of each sample, `(B, 1)`."""
        return Selection(asked.action.canonical_element(asked.x, asked.mask)[:, None])
