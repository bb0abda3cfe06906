"""Equi-tuning: the mean over the orbit."""

from __future__ import annotations

import math

import torch

from hf_equi.checks import check_choice
from hf_equi.symmetrizers.base import Symmetrizer

__all__ = ["AVERAGES", "Equitune"]

AVERAGES = ("logits", "probabilities")


class Equitune(Symmetrizer):
    r"""The group average of equi-tuning.

    $$ M_G(x) = \frac{1}{|G|} \sum_{g \in G} g^{-1} M(gx) $$

    With `average="logits"` the mean is of log-probabilities and is renormalised, which is the same law as the mean of
    logits that the authors take; with `"probabilities"` it is of probabilities, computed in log space.

    Args:
        average: `"logits"` or `"probabilities"`.

    Raises:
        ConfigurationError: For another average.

    Cost: one base forward a distinct member of the orbit, at most |G|.

    References:
        arXiv 2210.06475, equation 5; arXiv 2305.09900, equation 1.

    Example:
        >>> scores = torch.tensor([0.25, 0.75]).log()
        >>> total = Equitune("probabilities").accumulate(None, scores, math.log(0.5))
        >>> Equitune("probabilities").accumulate(total, scores.flip(0), math.log(0.5)).exp()
        tensor([0.5000, 0.5000])
    """

    name = "equitune"
    relaxable = True

    def __init__(self, average: str = "logits") -> None:
        check_choice("average", average, AVERAGES)
        self.average = average
        self.empty = 0.0 if average == "logits" else -math.inf
        # A row's normaliser is the same for all its tokens, so in a mean of logits it goes with the renormalisation.
        self.takes_logits = average == "logits"

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
