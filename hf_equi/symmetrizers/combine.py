"""How the members of an orbit become one output: the third part of a method."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING

import torch

from hf_equi.checks import check_choice
from hf_equi.symmetrizers.choice import OrbitChoice, lowest, only_largest
from hf_equi.symmetrizers.fold import Accumulator, Decision, Fold, OrbitFold, combine_pulled_back, in_order
from hf_equi.symmetrizers.part import Part

if TYPE_CHECKING:
    from hf_equi.actions import ColumnAction
    from hf_equi.symmetrizers.losses import ProxyLoss
    from hf_equi.symmetrizers.orbit import Orbit

__all__ = ["AVERAGES", "Combine", "Drafts", "LargestOfEach", "LeastLoss", "Mean"]

AVERAGES = ("logits", "probabilities")


class Combine(Part):
    """How pulled back members become one output.

    A kind with a network defines `create_network(group, shape)`, as a `Select` does.
    """

    role = "combines"
    network_name = "combine_network"
    loss: ProxyLoss | None = None
    """The loss by which it takes one member of each orbit, if it takes one."""
    empty: float
    """The score of a member that does not contribute, for example after the end of its text."""

    @abstractmethod
    def fold(self, orbit: Orbit, action: ColumnAction, normalised: bool = True) -> Fold:
        """Return the fold that makes one output of the scores of the orbit's rows, renormalised or not."""

    def of_members(
        self,
        orbit: Orbit,
        action: ColumnAction,
        scores: torch.Tensor,
        log_weights: torch.Tensor | None,
        losses: torch.Tensor | None,
    ) -> tuple[torch.Tensor, Decision] | None:
        """Do what the fold does without renormalising, at once, for all members of orbits.

        A kind that does not define it uses its fold.

        Args:
            orbit: The rows, which `pulls_at_once`.
            action: How the columns move, with `spread`.
            scores: `(R, V)` the scores of the members, each in its own frame.
            log_weights: `(B, G)`, or `None` for equal weights.
            losses: `(R,)` the losses of the rows, for a choice.

        Returns:
            `(B, V)`, and the decision; `None` to use the fold.
        """
        return None

    def best_of_members(
        self, action: ColumnAction, scores: torch.Tensor, log_weights: torch.Tensor | None
    ) -> torch.Tensor | None:
        """Return the column with the largest combined score in each orbit, where that takes less than combining.

        Args:
            action: How the columns move, with `spread`.
            scores: `(R, V)` as in `of_members`.
            log_weights: As in `of_members`.

        Returns:
            `(B,)` int64; `None` to combine first: by default, and where members or columns tie.
        """
        return None

    @property
    def takes_best(self) -> bool:
        """Whether it takes the best of the members, as a whole (by its `loss`) or for each column."""
        return self.loss is not None

    @property
    def searches(self) -> bool:
        """Whether texts come from a search over drafts, and not from the scores that it combines."""
        return False


class Mean(Combine, Accumulator):
    """The mean over the members, weighted if they have weights; a single member stays unchanged.

    Args:
        average: `"logits"` for the renormalised mean of log-probabilities, which is the same distribution as the mean
            of logits. `"probabilities"` for the mean of probabilities, computed in log space.

    Raises:
        ConfigurationError: For another average.

    Example:
        >>> scores, mean = torch.tensor([0.25, 0.75]).log(), Mean("probabilities")
        >>> mean.accumulate(mean.accumulate(None, scores, math.log(0.5)), scores.flip(0), math.log(0.5)).exp()
        tensor([0.5000, 0.5000])
    """

    def __init__(self, average: str = "logits") -> None:
        check_choice("average", average, AVERAGES)
        self.average = average
        self.empty = 0.0 if average == "logits" else -math.inf
        # A row's normaliser is the same for all its tokens, so renormalising a mean of logits cancels it.
        self.takes_logits = average == "logits"

    def fold(self, orbit: Orbit, action: ColumnAction, normalised: bool = True) -> Fold:
        """Return the fold that adds up the rows as they come."""
        return OrbitFold(orbit, action, self, normalised)

    def of_members(
        self,
        orbit: Orbit,
        action: ColumnAction,
        scores: torch.Tensor,
        log_weights: torch.Tensor | None,
        losses: torch.Tensor | None,
    ) -> tuple[torch.Tensor, Decision] | None:
        """Return the mean of all members at once."""
        if log_weights is None and self.average == "logits":
            return self._sum(action, scores).mul_(1 / action.group.order), Decision()
        return combine_pulled_back(self, action.pull_back_members(scores), log_weights), Decision()

    def best_of_members(
        self, action: ColumnAction, scores: torch.Tensor, log_weights: torch.Tensor | None
    ) -> torch.Tensor | None:
        """Return the column with the largest sum over the members; `None` if they have weights."""
        if log_weights is None and self.average == "logits":
            return only_largest(self._sum(action, scores))
        return None

    def _sum(self, action: ColumnAction, scores: torch.Tensor) -> torch.Tensor:
        """Return the sum over all members, pulled back, `(B, V)`."""
        members = in_order(action.pull_back_members(scores))
        if members.shape[1] == 2:
            return members.sum(1)
        first, *others = members.unbind(1)  # torch would add up some columns in another order than others
        return sum(others[1:], first + others[0])

    def accumulate(
        self, total: torch.Tensor | None, scores: torch.Tensor, log_weight: torch.Tensor | float
    ) -> torch.Tensor:
        """Add one member's log-probabilities, weighted."""
        if self.average == "logits":
            if total is not None and not isinstance(log_weight, torch.Tensor):
                return total.add_(scores, alpha=math.exp(log_weight))
            weight = log_weight.exp() if isinstance(log_weight, torch.Tensor) else math.exp(log_weight)
            return scores * weight if total is None else total.add_(scores * weight)
        weighted = scores + log_weight
        return weighted if total is None else torch.logaddexp(total, weighted)

    @property
    def relaxable(self) -> bool:
        """Whether the identity counts like all other members: yes."""
        return True


class Drafts(Mean):
    """The mean for scoring a text; texts are written by a search that keeps the draft with the lowest loss."""

    @property
    def searches(self) -> bool:
        """They do."""
        return True


class LeastLoss(Combine):
    """The one member with the lowest proxy loss; its gradient is that of the mean (straight-through).

    Args:
        loss: The proxy loss.
        average: The mean whose gradient is passed on, as in `Mean`.

    Raises:
        ConfigurationError: For another average.
    """

    def __init__(self, loss: ProxyLoss, average: str = "logits") -> None:
        self.loss: ProxyLoss = loss
        self.mean = Mean(average)
        self.empty = self.mean.empty

    def fold(self, orbit: Orbit, action: ColumnAction, normalised: bool = True) -> Fold:
        """Return the choice; the mean whose gradient is passed on is renormalised or not."""
        mean = OrbitFold(orbit, action, self.mean, normalised)
        # If only one member was asked for, there is nothing to choose.
        return mean if orbit.elements.shape[1] == 1 else OrbitChoice(orbit, action, self.loss, mean)

    def of_members(
        self,
        orbit: Orbit,
        action: ColumnAction,
        scores: torch.Tensor,
        log_weights: torch.Tensor | None,
        losses: torch.Tensor | None,
    ) -> tuple[torch.Tensor, Decision] | None:
        """Return the member with the lowest loss at once."""
        if losses is None or scores.requires_grad:  # the fold passes on the gradient of the mean
            return None
        element, least = lowest(orbit, losses.view(orbit.members))
        return action.pull_back_members(scores, element), Decision(element, least)

    def best_of_members(
        self, action: ColumnAction, scores: torch.Tensor, log_weights: torch.Tensor | None
    ) -> torch.Tensor | None:
        """Return the best column of the member with the lowest loss: of all members' columns, the one that is surest.

        The second-best of them shows whether two members or two columns tie.
        """
        loss = self.loss
        if loss.of_best is None or action.sources is None:
            return None
        table = scores if loss.of_logits else scores.log_softmax(-1)
        places = only_largest(table.view(-1, action.sources.shape[0]), loss.of_best)
        return None if places is None else action.sources.take(places)


class LargestOfEach(Combine, Accumulator):
    """The largest score of each column among the members. Weights are ignored, because nothing is averaged.

    Its gradient goes to the member with the maximum. If two members tie, each gets half of the gradient. A third one
    takes half of what the pair had.

    Example:
        >>> first, second = torch.tensor([0.5, 0.3, 0.2]).log(), torch.tensor([0.1, 0.2, 0.7]).log()
        >>> LargestOfEach().accumulate(LargestOfEach().accumulate(None, first, 0.0), second, 0.0).exp()
        tensor([0.5000, 0.3000, 0.7000])
    """

    # Logits of two members can be compared only after each row is normalised.
    takes_logits = False
    empty = -math.inf

    def fold(self, orbit: Orbit, action: ColumnAction, normalised: bool = True) -> Fold:
        """Return the fold that takes the maximum of the rows as they come."""
        return OrbitFold(orbit, action, self, normalised)

    @property
    def takes_best(self) -> bool:
        """For each column."""
        return True

    def accumulate(
        self, total: torch.Tensor | None, scores: torch.Tensor, log_weight: torch.Tensor | float
    ) -> torch.Tensor:
        """Take the larger score of each column; the weight is ignored."""
        return scores if total is None else torch.maximum(total, scores)
