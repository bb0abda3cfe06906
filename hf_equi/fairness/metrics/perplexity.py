"""The perplexity of texts under the base model, as a module of `evaluate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import evaluate
import numpy as np
from datasets import Features, Value

from hf_equi.errors import ConfigurationError
from hf_equi.fairness.metrics.base import BLOCKS, RESAMPLING, AuditMetric, block_features
from hf_equi.fairness.resampling import Blocks, Resampling, ratio_interval

__all__ = ["Perplexity", "perplexity"]

_DESCRIPTION = """
The perplexity of continuations under the base model: what a change of the model costs in fluency.
"""

_CITATION = """
@article{jelinek1977perplexity,
  title = {Perplexity - a measure of the difficulty of speech recognition tasks},
  author = {Jelinek, Fred and Mercer, Robert L. and Bahl, Lalit R. and Baker, James K.},
  journal = {The Journal of the Acoustical Society of America},
  volume = {62},
  number = {S1},
  year = {1977}
}
"""

_INPUTS = f"""
Perplexity:  exp( - sum_i log p(Y_i | X_i) / sum_i |Y_i| ), with p of the base model (Jelinek et al. 1977), over the
tokens of the continuations, given their prompts. An end-of-text token counts.

Args:
    nll (`list` of `float`): minus the log-likelihood of each continuation under the base model, in nats.
    scored_tokens (`list` of `int`): its number of tokens.
{BLOCKS.strip(chr(10))}
{RESAMPLING.strip(chr(10))}
Returns:
    perplexity (`float`), perplexity_interval (`list`); `None` if the base model gives a text probability 0.
"""


class Perplexity(AuditMetric):
    r"""The perplexity of continuations under the base model, with a bootstrap interval.

    $$ \exp\left( - \frac{\sum_i \log p(Y_i \mid X_i)}{\sum_i |Y_i|} \right) $$

    A model that favours likely texts gets a lower figure. So a low figure means that texts are ordinary, not that they
    are good. Read it beside distinct-1 and distinct-2.

    Cost: 1000 resamples of 2000 samples in some hundredths of a second.

    References:
        Jelinek et al. 1977, "Perplexity, a measure of the difficulty of speech recognition tasks".

    Example:
        >>> result = Perplexity().compute(template=["a"] * 2, sample=[0, 1], nll=[0.0, 0.0], scored_tokens=[3, 4])
        >>> result
        {'perplexity': 1.0, 'perplexity_interval': [1.0, 1.0]}
    """

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=Features({**block_features(), "nll": Value("float64"), "scored_tokens": Value("int64")}),
        )

    def _measure(self, columns: Mapping[str, Sequence[Any]], plan: Resampling) -> dict[str, Any]:
        blocks = Blocks.read(columns["template"], columns["sample"])
        return perplexity(columns["nll"], columns["scored_tokens"], blocks, plan)


def perplexity(nll: Sequence[float], tokens: Sequence[int], blocks: Blocks, plan: Resampling) -> dict[str, Any]:
    """Return the perplexity of texts and its interval.

    Args:
        nll: `(rows,)` in nats.
        tokens: `(rows,)` the number of tokens that each is the sum of.
        blocks: The blocks of the rows.
        plan: How to draw.

    Returns:
        The figures, without an interval for a single block. There is no figure, which would be infinite, if the base
        model rules a text out.

    Raises:
        ConfigurationError: For a text without tokens.
    """
    counts = np.asarray(tokens, dtype=np.float64)
    if (counts < 1).any():
        raise ConfigurationError(
            f"The text in row {int((counts < 1).argmax())} has no scored token, so it has no perplexity: leave it out."
        )
    total = float(np.sum(nll))
    if total == np.inf:
        return {"perplexity": None, "perplexity_interval": None}
    interval = ratio_interval(blocks, nll, counts, plan)
    return {
        "perplexity": float(np.exp(total / counts.sum())),
        "perplexity_interval": interval and [float(end) for end in np.exp(interval)],
    }
