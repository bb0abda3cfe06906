"""Cuts by rank, those of top-p and top-h: which of several tied tokens they keep.

Such a cut goes down the ranks until it has kept enough. If its last place is tied, torch's sort decides by the tokens'
places in the vocabulary, so a prompt and its image would keep different words. In bfloat16 such ties are common, also
among tokens that the group does not move. Here the cut keeps as many of the tied tokens as before, and takes those
with the most noise. Cuts by a threshold (top-k, min-p, typical-p, epsilon and eta) keep either all tokens that tie
with it or none.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from transformers import LogitsProcessor, LogitsProcessorList, TopPLogitsWarper
from transformers.generation import TopHLogitsWarper

from hf_equi.generation.coupled_sampling import Uniform, check_scores

__all__ = ["RankCut", "break_ties"]

RANKED = (TopPLogitsWarper, TopHLogitsWarper)

NoiseOf = Callable[[torch.Tensor], Uniform]
"""The noise of the next tokens of some texts, `(rows, T)`."""


def break_ties(processors: LogitsProcessorList, noise_of: NoiseOf) -> LogitsProcessorList:
    """Return the processors of a call, with the cuts by rank changed to break ties by noise."""
    return LogitsProcessorList([RankCut(each, noise_of) if isinstance(each, RANKED) else each for each in processors])


class RankCut(LogitsProcessor):
    """A cut by rank that, of several tokens tied for its last places, keeps those with the most noise.

    Args:
        cut: The processor that cuts.
        noise_of: The noise that breaks ties.

    Raises:
        ConfigurationError: If a call gets NaN scores.

    Example:
        >>> cut = RankCut(TopPLogitsWarper(0.5), lambda ids: lambda rows, tokens: tokens.double())
        >>> cut(torch.zeros(1, 1), torch.zeros(1, 4))
        tensor([[-inf, -inf, 0., 0.]])
    """

    def __init__(self, cut: TopPLogitsWarper | TopHLogitsWarper, noise_of: NoiseOf) -> None:
        self.cut = cut
        self.noise_of = noise_of

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.Tensor:
        """Cut `(rows, V)` scores."""
        check_scores(scores)
        cut: torch.Tensor = self.cut(input_ids, scores)
        removed = cut != scores
        least = scores.masked_fill(removed | scores.isneginf(), torch.inf).amin(-1, keepdim=True)
        tied = scores == least
        split = (tied & removed).any(-1).nonzero().flatten()  # the rows in which the cut parts tied tokens
        if not len(split):
            return cut
        tied, kept = tied[split], (tied & ~removed)[split].sum(-1, keepdim=True)
        rows, tokens = tied.nonzero(as_tuple=True)
        noise = torch.full(tied.shape, -1.0, dtype=torch.float64, device=scores.device)
        noise[rows, tokens] = self.noise_of(input_ids)(split[rows], tokens)
        stays = noise.argsort(-1, descending=True).argsort(-1) < kept
        chosen = scores[split].masked_fill(~stays, self.cut.filter_value)
        cut[split] = cut[split].where(~tied, chosen)
        return cut
