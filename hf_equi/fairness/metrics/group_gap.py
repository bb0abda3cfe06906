"""The group-theoretic gap over the texts of a model, as a module of `evaluate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import evaluate
import numpy as np
from datasets import Features, Value

from hf_equi.fairness.metrics.base import BLOCKS, RESAMPLING, AuditMetric, block_features
from hf_equi.fairness.resampling import Blocks, Resampling, bootstrap_weights, ratio_interval

__all__ = ["GroupGaps", "summarise_gaps"]

_DESCRIPTION = """
How much the likelihood of a model's own texts changes when a group moves prompt and continuation together, in nats a
token: the largest and the mean over texts.
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
Gap of a text:  max over g of |log p(gY | gX) - log p(Y | X)| / |Y|  (group-theoretic fairness, arXiv 2210.06475,
measured on the model's own samples), as `hf_equi.fairness.group_gaps` returns it. This module takes the largest and
the mean.

The interval of the largest is from a bootstrap, which draws no unseen texts, so it reaches below the figure and never
above it.

Args:
    gap (`list` of `float`): the gap of each text, in nats a token.
{BLOCKS.strip(chr(10))}
{RESAMPLING.strip(chr(10))}
Returns:
    group_gap (`float`): the largest; group_gap_interval (`list`).
    group_gap_mean (`float`), group_gap_mean_interval (`list`).
"""


class GroupGaps(AuditMetric):
    r"""The largest and the mean group-theoretic gap over texts, with bootstrap intervals.

    $$ \max_i \Delta_i \qquad \frac{1}{n} \sum_i \Delta_i \qquad
       \Delta_i = \max_{g \in G} \frac{1}{|Y_i|} \left| \log p(gY_i \mid gX_i) - \log p(Y_i \mid X_i) \right| $$

    in nats a token. A bootstrap draws no unseen texts, so the interval of the largest reaches below the figure and
    never above it. It shows how much depends on few texts, not how large the gap of an unseen text may be.

    Cost: 1000 resamples of 2000 samples in some hundredths of a second.

    References:
        arXiv 2210.06475, group-theoretic fairness; here on the model's own samples.

    Example:
        >>> result = GroupGaps().compute(template=["a"] * 4, sample=[0, 1, 2, 3], gap=[0.0, 0.5, 0.25, 0.25])
        >>> result["group_gap"], result["group_gap_mean"]
        (0.5, 0.25)
    """

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=Features({**block_features(), "gap": Value("float64")}),
            reference_urls=["https://arxiv.org/abs/2210.06475"],
        )

    def _measure(self, columns: Mapping[str, Sequence[Any]], plan: Resampling) -> dict[str, Any]:
        return summarise_gaps(columns["gap"], Blocks.read(columns["template"], columns["sample"]), plan)


def summarise_gaps(gaps: Sequence[float], blocks: Blocks, plan: Resampling) -> dict[str, Any]:
    """Return the largest and the mean of the gaps of texts, with their intervals.

    Args:
        gaps: `(rows,)`, not negative.
        blocks: The blocks of the rows.
        plan: How to draw.

    Returns:
        The figures, without intervals for a single block.
    """
    values = np.asarray(gaps, dtype=np.float64)
    largest = np.zeros(len(blocks))
    np.maximum.at(largest, blocks.of_row, values)
    interval = None
    if len(blocks) > 1:
        drawn = bootstrap_weights(blocks.strata, plan) > 0
        interval = plan.interval(np.where(drawn, largest, 0.0).max(-1))
    return {
        "group_gap": float(values.max()),
        "group_gap_interval": interval,
        "group_gap_mean": float(values.mean()),
        "group_gap_mean_interval": ratio_interval(blocks, values, None, plan),
    }
