"""One group on two vocabularies: that of a source language and that of a target language."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch

from hf_equi.actions.base import Action
from hf_equi.actions.token_maps import TokenMap
from hf_equi.actions.tokens import TokenAction
from hf_equi.errors import ActionError
from hf_equi.groups import DemographicGroup

__all__ = ["TokenPairAction"]


@dataclass(frozen=True)
class TokenPairAction(Action):
    r"""A group on source and target token ids: each element permutes both vocabularies.

    $$ g(x, y) = (g x, g y) $$

    Args:
        source: The group on the tokens that the model reads.
        target: The same group on the tokens that it writes.

    Raises:
        ActionError: If the two act by different groups.

    Example:
        >>> group = DemographicGroup([["jump", "run"], ["JUMP", "RUN"]])
        >>> source, target = TokenMap(4, (((1, 2),),)), TokenMap(3, (((0, 2),),))
        >>> pair = TokenPairAction(TokenAction(group, source), TokenAction(group, target))
        >>> pair.apply(1, (torch.tensor([[1, 3]]), torch.tensor([[0, 1]])))
        (tensor([[2, 3]]), tensor([[2, 1]]))
    """

    source: TokenAction
    target: TokenAction

    def __post_init__(self) -> None:
        if self.source.group != self.target.group:
            raise ActionError(
                f"The source is moved by {self.source.group!r}, the target by {self.target.group!r}: one group must "
                "act on both. Resolve the tokens of both again: symmetrize(base, group, ...)."
            )

    @classmethod
    def of_maps(
        cls,
        group: DemographicGroup,
        source: TokenMap,
        target: TokenMap,
        device: torch.device | str | None = "cpu",
    ) -> TokenPairAction:
        """Return the actions of a group on the tokens of either side."""
        return cls(TokenAction(group, source, device=device), TokenAction(group, target, device=device))

    @property
    def group(self) -> DemographicGroup:
        """The group that acts on both."""
        return self.source.group

    def apply(
        self, elements: int | torch.Tensor, x: tuple[torch.Tensor, torch.Tensor], /
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return g x for source and target ids, `(R, S)` and `(R, T)`, with one element or `(R,)`, one per pair."""
        source, target = x
        return self.source.apply(elements, source), self.target.apply(elements, target)

    def keys(self, x: tuple[torch.Tensor, torch.Tensor], /) -> torch.Tensor:
        """Return a key of every member of each pair's orbit, `(B, G)`, as in `Action`."""
        return self.joint.keys(self.join(*x))

    @property
    def device(self) -> torch.device:
        """The device of the tables."""
        return self.target.device

    @cached_property
    def joint(self) -> TokenAction:
        """The action on both vocabularies at once: target tokens are numbered behind those of the source."""
        own, other = self.source.token_map, self.target.token_map
        offset = own.vocab_size
        sets = tuple(
            factor + tuple(_shift(tokens, offset) for tokens in behind)
            for factor, behind in zip(own.sets, other.sets, strict=True)
        )
        neutral, general = (
            tuple(
                None if ids is None or behind is None else ids + _shift(behind, offset)
                for ids, behind in zip(*sides, strict=False)
            )
            for sides in ((own.neutral, other.neutral), (own.general, other.general))
        )
        return TokenAction(self.group, TokenMap(offset + other.vocab_size, sets, neutral, general), device=self.device)

    def join(self, source_ids: torch.Tensor, target_ids: torch.Tensor) -> torch.Tensor:
        """Join source and target ids, as `joint` numbers them: `(B, S)` and `(B, T)` to `(B, S + T)`."""
        self.source.check_ids(source_ids)
        self.target.check_ids(target_ids)
        return torch.cat([source_ids, target_ids + self.source.token_map.vocab_size], 1)

    def to(self, device: torch.device | str) -> TokenPairAction:
        """Return the same action with its tables on a device."""
        if self.source.device == self.target.device == torch.device(device):
            return self
        return TokenPairAction(self.source.to(device), self.target.to(device))

    def same_as(self, other: TokenPairAction) -> bool:
        """Whether both move the same tokens in the same way, on any device."""
        return self.source.same_as(other.source) and self.target.same_as(other.target)


def _shift(tokens: tuple[int, ...], offset: int) -> tuple[int, ...]:
    return tuple(token + offset for token in tokens)
