"""The consistency of coupled texts, as a module of `evaluate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import evaluate
import numpy as np
from datasets import Features, Value

from hf_equi.fairness.metrics.base import BLOCKS, RESAMPLING, AuditMetric, block_features
from hf_equi.fairness.resampling import Blocks, Resampling, ratio_interval

__all__ = ["Consistency", "consistency"]

_DESCRIPTION = """
Counterfactual consistency: how often the texts of two demographics that were drawn from the same noise differ only by
the exchange of the demographics.
"""

_CITATION = """
@inproceedings{basu2023equituning,
  title = {Equi-Tuning: Group Equivariant Fine-Tuning of Pretrained Models},
  author = {Basu, Sourya and Sattigeri, Prasanna and Natesan Ramamurthy, Karthikeyan and Chenthamarakshan, Vijil and
            Varshney, Kush R. and Varshney, Lav R. and Das, Payel},
  booktitle = {AAAI},
  year = {2023},
  url = {https://arxiv.org/abs/2210.06475}
}
"""

_INPUTS = f"""
Consistency:  the share of coupled pairs (i, j) in which text j is g(text i), where g sends the prompt of i to that of
j. It is 1 for an equivariant model under coupled sampling (the samples' side of equivariance, arXiv 2210.06475).

Args:
    consistent (`list` of `float`): the share of the texts coupled with this one that are its images.
{BLOCKS.strip(chr(10))}
{RESAMPLING.strip(chr(10))}
Returns:
    consistency (`float`), consistency_interval (`list`).
"""


class Consistency(AuditMetric):
    r"""The share of coupled pairs whose texts differ only by the group element, with a bootstrap interval.

    $$ \frac{1}{\#\text{pairs}} \sum_{i, j \text{ coupled}} \left[ y_j = g_{ij} y_i \right] $$

    If all texts are consistent, or none, a bootstrap finds no other figure: the interval has length 0, and says
    nothing about rare exceptions that were not seen.

    Cost: 1000 resamples of 2000 samples in some hundredths of a second.

    References:
        Defined by this library, after equivariance in arXiv 2210.06475. Coupling: `hf_equi.generation`.

    Example:
        >>> flags = [1.0, 1.0, 0.0, 0.0]
        >>> Consistency().compute(template=["a"] * 4, sample=[0, 0, 1, 1], consistent=flags)["consistency"]
        0.5
    """

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=Features({**block_features(), "consistent": Value("float64")}),
            reference_urls=["https://arxiv.org/abs/2210.06475"],
        )

    def _measure(self, columns: Mapping[str, Sequence[Any]], plan: Resampling) -> dict[str, Any]:
        return consistency(columns["consistent"], Blocks.read(columns["template"], columns["sample"]), plan)


def consistency(consistent: Sequence[float], blocks: Blocks, plan: Resampling) -> dict[str, Any]:
    """Return the share of coupled pairs that are images of each other, and its interval.

    Args:
        consistent: `(rows,)` for each text, the share of the texts coupled with it that are its images.
        blocks: The blocks of the rows.
        plan: How to draw.

    Returns:
        The figures, without an interval for a single block.
    """
    hits = np.asarray(consistent, dtype=np.float64)
    return {"consistency": float(hits.mean()), "consistency_interval": ratio_interval(blocks, hits, None, plan)}
