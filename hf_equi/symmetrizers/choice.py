r"""The fold of equizero: choose one member of each orbit by a proxy loss, and pull its scores back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from hf_equi.symmetrizers.fold import Decision, Fold, OrbitFold
from hf_equi.symmetrizers.losses import ProxyLoss
from hf_equi.symmetrizers.orbit import Orbit, SeparateOrbit

if TYPE_CHECKING:
    from hf_equi.actions import ColumnAction

__all__ = ["OrbitChoice", "decide", "lowest", "only_largest"]


class OrbitChoice(Fold):
    r"""The scores of the member with the lowest loss.

    $$ g^* = \arg\min_g l(M(gx)), \qquad M_G(x) = g^{*-1} M(g^* x) $$

    Ties go to the smallest member of the orbit, whichever member was the input. If gradients are needed, those of the
    mean are passed on (straight-through): $M^0 + M_G - (M_G)_{\text{detached}}$.

    Args:
        orbit: The rows.
        action: The group's action on the vocabulary.
        loss: The proxy loss.
        mean: The fold whose gradient is passed on.

    References:
        arXiv 2305.09900, equation 2 and §3.3.

    Example:
        >>> from hf_equi.actions.token_maps import TokenMap
        >>> from hf_equi.actions.tokens import TokenAction
        >>> from hf_equi.groups import DemographicGroup
        >>> from hf_equi.symmetrizers import MaxProbability, Mean
        >>> action = TokenAction(DemographicGroup([["he", "she"]]), TokenMap(vocab_size=3, sets=(((1, 2),),)))
        >>> orbit = Orbit.start(torch.tensor([[0, 1]]), shared=False)
        >>> choice = OrbitChoice(orbit, action, MaxProbability(), OrbitFold(orbit, action, Mean()))
        >>> choice.add(0, torch.tensor([[[0.4, 0.3, 0.3]], [[0.1, 0.1, 0.8]]]).log())
        >>> choice.result().exp(), choice.decision().chosen_element
        (tensor([[[0.1000, 0.8000, 0.1000]]]), tensor([1]))
    """

    takes_logits = False

    def __init__(self, orbit: Orbit, action: ColumnAction, loss: ProxyLoss, mean: OrbitFold) -> None:
        self.orbit = orbit
        self.action = action
        self.loss = loss
        self.mean = mean
        self.clear()

    def clear(self) -> None:
        """Forget the rows added so far."""
        self.mean.clear()
        self.follows_mean = False
        self.losses: list[torch.Tensor] = []
        self.best: torch.Tensor | None = None
        self.best_loss: torch.Tensor | None = None
        self.decided: Decision | None = None

    def add(
        self,
        start: int,
        scores: torch.Tensor,
        log_weights: torch.Tensor | None = None,
        counted: torch.Tensor | None = None,
        losses: torch.Tensor | None = None,
    ) -> None:
        """Add the rows from `start` on: `(rows, T, V)` log-probabilities; `counted`: steps that the loss reads.

        With `losses` the rows may be anything, such as features `(rows, F)`. Losses with more axes than `(rows,)`
        decide at each place of rows that do not move any more, such as the pixels of maps.
        """
        if scores.requires_grad:
            self.follows_mean = True
            self.mean.add(start, scores, log_weights)
        scores = scores.detach()
        losses = self.loss(scores, counted) if losses is None else losses.detach()
        if losses.dim() > 1:
            self._choose_places(scores, losses)
            return
        self.losses.append(losses)
        if scores.shape[0] == self.orbit.rows:
            chosen, self.decided = decide(self.orbit, losses)
            self.best = scores[chosen]
            return
        texts = len(self.orbit.counts)
        if self.best is None or self.best_loss is None:
            self.best = scores.new_empty(texts, *scores.shape[1:])
            self.best_loss = losses.new_full((texts,), torch.inf)
        stop = start + len(scores)
        batch, rank = self.orbit.batch_of_row[start:stop], self.orbit.rank_of_row[start:stop]
        for place in range(int(rank.min()), int(rank.max()) + 1):
            better = (rank == place) & ((losses < self.best_loss[batch]) | (rank == 0))
            self.best[batch[better]] = scores[better]
            self.best_loss[batch[better]] = losses[better]

    def _choose_places(self, scores: torch.Tensor, losses: torch.Tensor) -> None:
        """Take at each place the member with the lowest loss there; places and scores have axes of one number."""
        orbit, size = self.orbit, self.orbit.rank.shape[1]
        if len(self.action.moved) or orbit.shared or scores.shape[0] != orbit.rows:
            raise RuntimeError("a choice at each place needs all members at once, pulled back, each in its own row")
        members, table = (rows.view(-1, size, *rows.shape[1:]) for rows in (scores, losses))  # (B, K, ...)
        # Rows are in an order that does not depend on the member that came in, and the first of equal ones wins.
        best = table.argmin(1, keepdim=True)
        self.best = members.gather(1, best.expand(-1, -1, *members.shape[2:])).squeeze(1)
        elements = orbit.element_of_row.view(-1, size, *[1] * (losses.dim() - 1)).expand_as(table)
        self.decided = Decision(elements.gather(1, best).squeeze(1), table.sort(1).values[:, :2])

    def result(self) -> torch.Tensor:
        """Return the chosen scores in the user's frame, `(B, T, V)`."""
        if self.best is None:
            raise RuntimeError("no rows were added")
        element: Any = self.decision().chosen_element
        chosen = self.best if element.dim() > 1 else self.action.pull_back(element, self.best)
        if not self.follows_mean:
            return chosen
        mean = self.mean.result()
        # In this order the value equals that of the chosen member to the bit, because the mean cancels itself.
        return chosen + (mean - mean.detach())

    def decision(self) -> Decision:
        """Return which element was chosen, and by what margin."""
        if self.decided is None:
            self.decided = decide(self.orbit, torch.cat(self.losses))[1]
        return self.decided


def decide(orbit: Orbit, losses: torch.Tensor) -> tuple[torch.Tensor, Decision]:
    """Return the row with the lowest loss in each orbit; ties go to the smallest member.

    Args:
        orbit: The rows.
        losses: `(R,)` the loss of each row.

    Returns:
        The chosen rows, `(B,)`, and the decision.
    """
    if orbit.rows == orbit.rank.numel():
        table = losses.view(orbit.rank.shape)
    else:
        table = losses.new_full((orbit.counts.shape[0], orbit.most), torch.inf)
        table[orbit.batch_of_row, orbit.rank_of_row] = losses
    best, least = lowest(orbit, table)
    chosen = orbit.offsets + best
    # Rows of their own lie in the order of the elements, which `take` finds without a copy of all.
    plain = isinstance(orbit, SeparateOrbit) and orbit.elements.dim() == 2
    element = orbit.elements.take(chosen) if plain else orbit.element_of_row[chosen]
    return chosen, Decision(element, least)


def only_largest(
    scores: torch.Tensor, loss: Callable[[torch.Tensor], torch.Tensor] | None = None
) -> torch.Tensor | None:
    """Return the place of the largest number of each row, `(B,)`, if no row has two of them, and none a NaN.

    Args:
        scores: `(B, N)`, two or more numbers in each row.
        loss: A falling function of them. Numbers also tie if it is the same for both.

    Example:
        >>> only_largest(torch.tensor([[1.0, 3.0, 2.0]])), only_largest(torch.tensor([[1.0, 3.0, 3.0]]))
        (tensor([1]), None)
    """
    largest, places = scores.topk(2, 1)
    first, second = (largest if loss is None else loss(largest)).unbind(1)
    apart = second < first if loss is None else first < second
    return places.select(1, 0) if bool(apart.all()) else None


def lowest(orbit: Orbit, table: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the member with the lowest loss in each orbit; ties go to the smallest member.

    Args:
        orbit: The rows.
        table: `(B, K)` the losses of the members of each orbit, in the order of its rows.

    Returns:
        `(B,)` the place of the member among the rows of its orbit, and `(B, 2)` its loss and the next one; `(B, 1)`
        for a single member.
    """
    if table.shape[1] == 1:
        return table.argmin(1), table
    keys = orbit.keys if isinstance(orbit, SeparateOrbit) else None
    if keys is None:  # the order of the rows does not depend on which member came in, so the first one wins
        ordered, places = table.sort(dim=1, stable=True)
        ordered = ordered[:, :2]
    else:
        ordered, places = table.topk(2, dim=1, largest=False)
    best = places.select(1, 0)
    if keys is not None:
        least, following = ordered.unbind(1)
        if not bool((least < following).all()):
            numbers = keys()
            best = numbers.masked_fill(table != least[:, None], torch.iinfo(numbers.dtype).max).argmin(1)
    return best, ordered
