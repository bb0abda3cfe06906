"""Which members of an orbit a method asks for: the first part of a method."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar

import torch

from hf_equi.actions._splitmix import splitmix
from hf_equi.groups import ContinuousGroup
from hf_equi.symmetrizers.part import Part

__all__ = [
    "Asked",
    "DrawnMember",
    "Draws",
    "IdentityMember",
    "KeyedDraws",
    "OneMember",
    "Select",
    "Selection",
    "SmallestMember",
    "WholeGroup",
    "WholeSelection",
]


@dataclass(frozen=True)
class Selection:
    """The members that were selected.

    Args:
        elements: `(B, K)` int64 elements of a finite group, or `(B, K, n, n)` matrices of a continuous one, to which
            gradients flow.
        penalty: `(B,)` what is added to the loss of each sample, such as a prior; `None` for nothing.
        passing: `(B, K, G)` for each selected member weights of all members, which are zero and pass gradients
            (straight-through): each member that the base reads, and each output that moves back, gets the weighted sum
            of all members added. `None` for a selection that passes no gradient in this way.
        said: What a model returns about the selection beside its scores: `(B, ...)` each, by the name of the output.
        log_weights: `(B, K)` how much the selection itself makes each member count, up to a constant for each orbit;
            `None` for all alike.
    """

    elements: torch.Tensor
    penalty: torch.Tensor | None = None
    passing: torch.Tensor | None = None
    said: Mapping[str, torch.Tensor] = field(default_factory=dict)
    log_weights: torch.Tensor | None = None

    @property
    def only(self) -> torch.Tensor | None:
        """The one element of each sample, `(B,)` or `(B, n, n)`, if one was selected; otherwise `None`."""
        return self.elements[:, 0] if self.elements.shape[1] == 1 else None


class WholeSelection(Selection):
    """All elements of a finite group, in their order. They are listed where something asks for them.

    Args:
        samples: The number of samples B.
        order: The number of elements G.
        device: Where the samples are.

    Example:
        >>> WholeSelection(2, 3, "cpu").elements
        tensor([[0, 1, 2],
                [0, 1, 2]])
    """

    samples: int
    order: int
    device: torch.device | str
    said = MappingProxyType({})

    def __init__(self, samples: int, order: int, device: torch.device | str) -> None:
        vars(self).update(samples=samples, order=order, device=device)  # the dataclass is frozen

    @cached_property
    def elements(self) -> torch.Tensor:
        """`(B, G)`."""
        return torch.arange(self.order, device=self.device).expand(self.samples, -1)

    @property
    def only(self) -> torch.Tensor | None:
        """As in `Selection`: that of a group of one element."""
        return self.elements[:, 0] if self.order == 1 else None


class Draws:
    """A source of random group elements: torch's global generator. Translations, if any, are normal.

    `hf_equi.generation.CoupledDraws` instead draws the same elements for equal seeds and prompts.
    """

    def elements(self, action: Any, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """Draw one uniform element for each sample, `(B,)`, or `(B, n, n)` of a continuous group."""
        group = action.group
        if isinstance(group, ContinuousGroup):
            return group.sample(len(x)).to(x.device, torch.promote_types(x.dtype, torch.float32))
        return torch.randint(group.order, (len(x),)).to(x.device)


class KeyedDraws(Draws):
    r"""Elements that are the same for equal seeds and orbits: $u\,k(x)$, with u drawn from the seed and the orbit.

    k(x) takes the input to the smallest member of its orbit. So the same member is selected for x and gx. Over seeds,
    all members are equally likely.

    Args:
        seed: The seed.

    Example:
        >>> from hf_equi.actions import PixelAction
        >>> from hf_equi.groups import ImageGroup
        >>> action, x = PixelAction(ImageGroup.rotations(4)), torch.arange(9.0).view(1, 1, 3, 3)
        >>> upright, turned = (KeyedDraws(7).elements(action, one, None) for one in (x, action.apply(1, x)))
        >>> torch.equal(action.apply(upright, x), action.apply(turned, action.apply(1, x)))
        True
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def elements(self, action: Any, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """Return one element for each sample, `(B,)`. It costs the keys of the orbits."""
        least, first = action.keys(x).min(1)
        drawn = splitmix(least, torch.full_like(least, self.seed)) % action.group.order
        elements: torch.Tensor = action.group.product.to(x.device)[drawn, first]
        return elements


@dataclass(frozen=True)
class Asked:
    """The inputs of a selection.

    Args:
        action: The group's action on the inputs.
        x: `(B, ...)` inputs: token ids, images, states.
        mask: `(B, T)`, 0 where a text is padded; `None` for no padding.
        draws: The source of random elements.
        base: The base, for a selection that reads it; `None` where a task does not pass it.
    """

    action: Any
    x: torch.Tensor
    mask: torch.Tensor | None = None
    draws: Draws = field(default_factory=Draws)
    base: Any = None


class Select(Part):
    """Which elements the base is asked about for an input.

    A kind with a network runs it before the base. It defines `create_network(group, shape)`, with the group and the
    shape of one input, such as `(3, 224, 224)`, or `None` for texts.

    Letters: B batch, G group, K members asked for.
    """

    role = "selects"
    network_name = "select_network"
    selects_one: ClassVar[bool] = False
    """Whether it selects one member of each orbit."""

    @abstractmethod
    def members(self, asked: Asked) -> Selection:
        """Select the members from which to make an output."""

    def members_to_score(self, asked: Asked) -> Selection:
        """Select the members with which to score a known output; by default those that would make it."""
        return self.members(asked)

    def __call__(
        self,
        action: Any,
        x: torch.Tensor,
        mask: torch.Tensor | None = None,
        draws: Draws | None = None,
        *,
        to_score: bool = False,
        base: Any = None,
    ) -> Selection:
        """Select the members, with the entries of `Asked`; with `to_score`, those for scoring a known output."""
        asked = Asked(action, x, mask, draws or Draws(), base)
        return self.members_to_score(asked) if to_score else self.members(asked)


class OneMember(Select):
    """Selects one element of each orbit, so that a text costs one row of the base.

    A kind whose rule cannot single one out selects a few, with weights in `Selection.log_weights`.
    """

    selects_one = True

    @abstractmethod
    def element(self, asked: Asked) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Select an element for each sample, `(B,)`, possibly with a penalty, `(B,)`, as in `Selection`."""

    def members(self, asked: Asked) -> Selection:
        """Select that element for each sample, `(B, 1)`."""
        found = self.element(asked)
        element, penalty = found if isinstance(found, tuple) else (found, None)
        return Selection(element[:, None], penalty)


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
        """Select all elements, `(B, G)`."""
        return self(asked.action, asked.x)

    def __call__(
        self,
        action: Any,
        x: torch.Tensor,
        mask: torch.Tensor | None = None,
        draws: Draws | None = None,
        *,
        to_score: bool = False,
        base: Any = None,
    ) -> Selection:
        """Select all elements. Nothing but numbers of them is read, which a base of a few layers notices."""
        return WholeSelection(x.shape[0], action.group.order, x.device)

    @property
    def relaxable(self) -> bool:
        """Whether the identity is included: yes."""
        return True


class IdentityMember(OneMember):
    """The identity, so that the base reads the input itself."""

    def element(self, asked: Asked) -> torch.Tensor:
        """Return the identity for each sample, `(B,)`, or `(B, n, n)` of a continuous group."""
        group, x = asked.action.group, asked.x
        if isinstance(group, ContinuousGroup):
            return group.identity.to(x.device, torch.promote_types(x.dtype, torch.float32)).expand(x.shape[0], -1, -1)
        return torch.zeros(x.shape[0], dtype=torch.long, device=x.device)


class DrawnMember(OneMember):
    """One element, drawn uniformly; the whole group for scoring."""

    def element(self, asked: Asked) -> torch.Tensor:
        """Draw one element for each sample, `(B,)`."""
        return asked.draws.elements(asked.action, asked.x, asked.mask)

    def members_to_score(self, asked: Asked) -> Selection:
        """The whole group."""
        return WholeGroup().members(asked)


class SmallestMember(OneMember):
    r"""The first element k(x) that takes an input to the smallest member of its orbit, in the order of its action.

    $$ k(gx) = k(x) g^{-1} $$

    up to elements that fix x.
    """

    def element(self, asked: Asked) -> torch.Tensor:
        """Return k(x) for each sample, `(B,)`."""
        element: torch.Tensor = asked.action.canonical_element(asked.x, asked.mask)
        return element
