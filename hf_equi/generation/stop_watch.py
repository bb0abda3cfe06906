"""Which texts of a batch have ended during decoding, by any criterion."""

from __future__ import annotations

from typing import Any

import torch
from transformers import StoppingCriteria, StoppingCriteriaList

__all__ = ["StopWatch", "watch_criteria"]


class StopWatch(StoppingCriteria):
    """A stopping criterion that ends nothing: after each step it notes which texts the others have ended.

    `generate` fills ended texts with padding while others go on. The model did not write what comes after an end.

    Example:
        >>> watch = StopWatch()
        >>> watch.note(torch.tensor([False, True]))
        >>> watch.note(torch.tensor([False, False]))
        >>> watch.inside()
        tensor([[ True,  True],
                [ True, False]])
    """

    def __init__(self) -> None:
        self.ended: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor, **kwargs: Any) -> torch.Tensor:
        """End no text."""
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)

    def note(self, done: torch.Tensor) -> None:
        """Note `(rows,)` bool, the texts that the criteria end at this step."""
        self.ended.append(done | self.ended[-1] if self.ended else done)

    def inside(self) -> torch.Tensor:
        """Return which steps are part of each text, its end included, `(rows, steps)`."""
        ended = torch.stack(self.ended, 1)
        return torch.cat([torch.ones_like(ended[:, :1]), ~ended[:, :-1]], 1)


class _WatchedCriteria(StoppingCriteriaList):
    """Criteria that tell their stop watches what all of them decide."""

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor, **kwargs: Any) -> torch.Tensor:
        done: torch.Tensor = super().__call__(input_ids, scores, **kwargs)
        for criterion in self:
            if isinstance(criterion, StopWatch):
                criterion.note(done)
        return done


def watch_criteria(criteria: StoppingCriteriaList) -> StoppingCriteriaList:
    """Return the criteria of a call; stop watches among them are told what all decide."""
    watched = any(isinstance(criterion, StopWatch) for criterion in criteria)
    return _WatchedCriteria(criteria) if watched else criteria
