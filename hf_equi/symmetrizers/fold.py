r"""Fold the scores of an orbit's rows into one: pull back and combine, a few rows at a time.

The pull back moves few columns of a vocabulary. All other columns have the same value in every frame, so they are
combined row by row; the moved ones are gathered for each member. Tied values of a moved orbit ("he" and "she" after a
text that both members share) are equal to the bit, because members are summed in the order of their values.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch

from hf_equi.symmetrizers.orbit import Orbit

if TYPE_CHECKING:
    from hf_equi.actions import ColumnAction

__all__ = ["Accumulator", "Decision", "Fold", "OrbitFold", "combine_pulled_back", "in_order"]


@dataclass
class Decision:
    """The decisions of a fold for each orbit, or for each place of an output that has several.

    Args:
        chosen_element: `(B,)` the element that it took, for methods that take one; `(B, ...)` at each place.
        losses: `(B, 2)` the loss of that member, and the next one; `(B, 1)` for a single member. `(B, 2, ...)` at each
            place.
    """

    chosen_element: torch.Tensor | None = None
    losses: torch.Tensor | None = None

    @property
    def margin(self) -> torch.Tensor | None:
        """How much lower the loss of the member is than the next one, `(B,)`; infinite for a single member."""
        if self.losses is None:
            return None
        least = self.losses.select(1, 0)
        if self.losses.shape[1] == 1:
            return torch.full_like(least, torch.inf)
        return self.losses.select(1, 1) - least


class Accumulator(ABC):
    """Adds up the scores of members one after the other. Two of the same weight may come in either order."""

    takes_logits: bool
    """Whether scores may come without the normalisation of their row."""
    empty: float
    """The value of the running combination before the first member."""

    @abstractmethod
    def accumulate(
        self, total: torch.Tensor | None, scores: torch.Tensor, log_weight: torch.Tensor | float
    ) -> torch.Tensor:
        """Add one member's log-probabilities to the running combination; `None` stands for one full of `empty`.

        The combination passed in belongs to the callee, which may write into it.
        """


class Fold(ABC):
    """Takes the scores of an orbit's rows, a slice at a time, and returns the one output."""

    takes_logits: bool
    """Whether scores may come without the normalisation of their row."""

    @abstractmethod
    def add(
        self,
        start: int,
        scores: torch.Tensor,
        log_weights: torch.Tensor | None = None,
        counted: torch.Tensor | None = None,
        losses: torch.Tensor | None = None,
    ) -> None:
        """Add the rows from `start` on.

        Args:
            start: The first row of the slice.
            scores: `(rows, ..., V)` log-probabilities in the frame of each row; with `takes_logits` also logits.
            log_weights: `(rows, ...)` log weights of the rows, or `None` for equal weights.
            counted: `(rows, ...)` bool, the places by which rows are chosen; `None` for all.
            losses: `(rows,)` the losses by which rows are chosen, or `(rows, ...)` those at each place of the scores;
                by default computed from the scores.
        """

    @abstractmethod
    def result(self) -> torch.Tensor:
        """Return the log-probabilities in the user's frame, `(B, ..., V)`."""

    @abstractmethod
    def clear(self) -> None:
        """Forget the rows added so far, so that a loop over steps needs only one fold."""

    def decision(self) -> Decision:
        """Return the decisions: by default none."""
        return Decision()


class OrbitFold(Fold):
    r"""The combination of pulled back log-probabilities, renormalised.

    $$ \log p_G = \text{normalise}\Big(\text{combine}_{g}\; \log p_M(\cdot \mid gx)[g(v)]\Big) $$

    Rows come in slices (`add`), so that at most one slice of full scores is in memory at a time.

    Args:
        orbit: The rows.
        action: The group's action on the scores: on a vocabulary, or none.
        accumulator: How members are added up.
        normalised: Whether to renormalise the result. If not, a token's score is the mean of the members' own scores.

    Example:
        >>> from hf_equi.actions.token_maps import TokenMap
        >>> from hf_equi.actions.tokens import TokenAction
        >>> from hf_equi.groups import DemographicGroup
        >>> from hf_equi.symmetrizers import Mean
        >>> action = TokenAction(DemographicGroup([["he", "she"]]), TokenMap(vocab_size=3, sets=(((1, 2),),)))
        >>> fold = OrbitFold(Orbit.start(torch.tensor([[0, 1]])), action, Mean("probabilities"))
        >>> fold.add(0, torch.tensor([[0.2, 0.6, 0.2]]).log())
        >>> fold.result().exp()
        tensor([[0.2000, 0.4000, 0.4000]])
    """

    def __init__(self, orbit: Orbit, action: ColumnAction, accumulator: Accumulator, normalised: bool = True) -> None:
        self.orbit = orbit
        self.action = action
        self.accumulator = accumulator
        self.normalised = normalised
        self.takes_logits = accumulator.takes_logits and action.general is None and normalised
        self.clear()

    def clear(self) -> None:
        """Forget the rows added so far."""
        self.total: torch.Tensor | None = None
        self.totals: dict[int, torch.Tensor] = {}  # the sums of single texts, if rows come in slices
        self.identity: list[torch.Tensor] = []
        self.moved: list[torch.Tensor] = []
        self.log_weights: list[torch.Tensor] = []

    def add(
        self,
        start: int,
        scores: torch.Tensor,
        log_weights: torch.Tensor | None = None,
        counted: torch.Tensor | None = None,
        losses: torch.Tensor | None = None,
    ) -> None:
        """Add the rows from `start` on; all places count."""
        if log_weights is not None:
            self.log_weights.append(log_weights)
        if scores.shape[0] == self.orbit.rows == self.orbit.most * self.orbit.counts.shape[0]:
            self._add_all(scores, log_weights)
        else:
            self._add_slice(start, scores, log_weights)
        if len(self.action.moved):
            self.moved.append(scores.index_select(-1, self.action.moved))
        if self.action.general_columns is not None:
            self.identity.append(self._of_identity(start, scores)[..., self.action.general_columns])

    def _of_identity(self, start: int, scores: torch.Tensor) -> torch.Tensor:
        """Return those rows of a slice that hold the identity's members."""
        if scores.shape[0] < self.orbit.rows:
            return scores[self.orbit.element_of_row[start : start + len(scores)] == 0]
        slots = (self.orbit.elements == 0).int().argmax(1, keepdim=True)
        return scores[self.orbit.row_of.gather(1, slots).squeeze(1)]

    def _add_all(self, scores: torch.Tensor, log_weights: torch.Tensor | None) -> None:
        """Add all rows at once, without copying them, if every orbit has the same number."""
        size = self.orbit.most
        if size == 1 and log_weights is None:
            self.total = scores
            return
        share = -math.log(size)
        weights: Sequence[torch.Tensor | float] = [share] * size
        if log_weights is not None:
            weights = (log_weights.view(-1, size, *log_weights.shape[1:]).unsqueeze(-1) + share).unbind(1)
        members = scores.view(-1, size, *scores.shape[1:])  # (B, D, ..., V)
        for member, weight in zip(
            members.unbind(1), weights, strict=True
        ):  # unbind has one gradient, not one a member
            self.total = self.accumulator.accumulate(self.total, member, weight)

    def _add_slice(self, start: int, scores: torch.Tensor, log_weights: torch.Tensor | None) -> None:
        """Add any rows, with their weights; orbits may have different numbers of them."""
        stop = start + len(scores)
        batch, rank = self.orbit.batch_of_row[start:stop], self.orbit.rank_of_row[start:stop]
        share = self.orbit.counts.double().log().neg()[batch].to(scores.dtype)
        weights = share.view(-1, *[1] * (scores.dim() - 1))
        if log_weights is not None:
            weights = weights + log_weights.unsqueeze(-1)
        if scores.requires_grad or len(scores) < self.orbit.rows:
            self._accumulate_texts(batch.tolist(), scores, weights)
            return
        for place in range(int(rank.min()), int(rank.max()) + 1):
            self._accumulate(batch, rank == place, scores, weights)

    def _accumulate_texts(self, batch: list[int], scores: torch.Tensor, weights: torch.Tensor) -> None:
        """Add rows to the sums of their texts one by one, which neither copies the whole sum nor keeps the scores."""
        for text, score, weight in zip(batch, scores.unbind(), weights.unbind(), strict=True):
            self.totals[text] = self.accumulator.accumulate(self.totals.get(text), score, weight)

    def _accumulate(
        self, batch: torch.Tensor, chosen: torch.Tensor, scores: torch.Tensor, weights: torch.Tensor
    ) -> None:
        """Add the rows of one rank, at most one for each orbit."""
        if not bool(chosen.all()):
            batch, scores, weights = batch[chosen], scores[chosen], weights[chosen]
        if len(batch) == len(self.orbit.counts):
            self.total = self.accumulator.accumulate(self.total, scores, weights)
        elif len(batch):
            self._accumulate_some(batch, scores, weights)

    def _accumulate_some(self, batch: torch.Tensor, scores: torch.Tensor, weights: torch.Tensor) -> None:
        if self.total is None:
            self.total = scores.new_full((len(self.orbit.counts), *scores.shape[1:]), self.accumulator.empty)
        updated = self.accumulator.accumulate(self.total[batch], scores, weights)
        self.total = self.total.index_copy(0, batch, updated)

    def result(self) -> torch.Tensor:
        """Return the combined log-probabilities, `(B, ..., V)`."""
        if self.totals:
            self.total = torch.stack([self.totals[text] for text in range(len(self.orbit.counts))])
            self.totals = {}
        if self.total is None:
            raise RuntimeError("no rows were added")
        # With one row for each orbit, the total is the scores themselves, which belong to the caller.
        combined = self.total.clone() if self.orbit.most == 1 else self.total
        if len(self.action.moved):
            combined.index_copy_(-1, self.action.moved, self._combine_moved())
        if self.action.general_columns is not None:
            combined.index_copy_(-1, self.action.general_columns, torch.cat(self.identity))
        return combined.log_softmax(-1) if self.normalised else combined

    def _combine_moved(self) -> torch.Tensor:
        """Pull back and combine the moved columns of all members, `(B, ..., moved)`."""
        rows = self.moved[0] if len(self.moved) == 1 else torch.cat(self.moved)  # (R, ..., moved)
        members = self.action.pull_back_moved(rows, self._found)  # (B, K, ..., moved)
        log_weights = torch.cat(self.log_weights)[self.orbit.row_of] if self.log_weights else None
        return combine_pulled_back(self.accumulator, members, log_weights)

    @cached_property
    def _found(self) -> torch.Tensor:
        """Return where the rows hold the moved columns of each member, `(B, K, moved)`."""
        return self.action.find_moved(self.orbit.elements, self.orbit.row_of)


def in_order(members: torch.Tensor) -> torch.Tensor:
    """Return the scores of members, `(B, K, ...)`, in an order in which they add up to the same, whoever came in."""
    return members.sort(dim=1).values if members.shape[1] > 2 else members  # two do so in either order


def combine_pulled_back(
    accumulator: Accumulator, members: torch.Tensor, log_weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Combine members in the order of their values, which does not depend on the member that came in.

    Args:
        accumulator: How members are added up.
        members: `(B, K, ..., V)` their scores, pulled back.
        log_weights: `(B, K, ...)` their log weights; `None` for equal ones.

    Returns:
        `(B, ..., V)`.

    Example:
        >>> from hf_equi.symmetrizers import Mean
        >>> combine_pulled_back(Mean(), torch.tensor([[[1.0, 2.0], [3.0, 6.0]]]))
        tensor([[2., 4.]])
    """
    size = members.shape[1]
    shares: Sequence[torch.Tensor | float]
    if log_weights is None:
        members = in_order(members)
        shares = [-math.log(size)] * size
    else:
        weights = log_weights.unsqueeze(-1) - math.log(size)
        members, order = members.sort(dim=1)
        shares = weights.expand_as(members).gather(1, order).unbind(1)
    first, *others = members.unbind(1)
    total = accumulator.accumulate(None, first, shares[0])
    for member, share in zip(others, shares[1:], strict=True):
        total = accumulator.accumulate(total, member, share)
    return total
