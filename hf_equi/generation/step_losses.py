"""The proxy loss of texts while they are being decoded."""

from __future__ import annotations

import torch
from transformers import LogitsProcessor

from hf_equi.generation.stop_watch import StopWatch
from hf_equi.symmetrizers import ProxyLoss

__all__ = ["StepLosses"]


class StepLosses(LogitsProcessor):
    """A logits processor that changes nothing, and notes how unsure the model is at each step of each text.

    It reads the log-probabilities of a symmetrised model before any other processor has changed them. Steps after the
    end of a text do not count.

    Args:
        loss: The proxy loss.
        watch: Records which texts have ended; a stopping criterion of the same call.

    Example:
        >>> from hf_equi.symmetrizers import MaxProbability
        >>> watch = StopWatch()
        >>> steps = StepLosses(MaxProbability(), watch)
        >>> for ended in (True, True):
        ...     scores = steps(torch.tensor([[1]]), torch.tensor([[0.5, 0.25, 0.25]]).log())
        ...     watch.note(torch.tensor([ended]))
        >>> steps.losses(), steps.lengths()
        (tensor([-0.5000]), tensor([1]))
    """

    runs_first = True

    def __init__(self, loss: ProxyLoss, watch: StopWatch) -> None:
        self.loss = loss
        self.watch = watch
        self.steps: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """Note a step: `(rows, tokens)` ids and `(rows, V)` log-probabilities. Return the latter unchanged."""
        self.note(scores)
        return scores

    def note(self, scores: torch.Tensor) -> None:
        """Note the log-probabilities of a step, `(rows, V)`."""
        self.steps.append(self.loss.of_steps(scores))

    def losses(self) -> torch.Tensor:
        """Return the loss of each text, `(rows,)`."""
        return self.loss.reduce(torch.stack(self.steps, 1), self.watch.inside())

    def lengths(self) -> torch.Tensor:
        """Return the number of decoded tokens of each text, its end included, `(rows,)`."""
        return self.watch.inside().sum(1)
