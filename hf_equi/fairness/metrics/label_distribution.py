"""The labels of a classifier by demographic, as a module of `evaluate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import evaluate
import numpy as np
from datasets import Features, Value

from hf_equi.fairness.metrics.base import BLOCKS, RESAMPLING, AuditMetric, block_features
from hf_equi.fairness.resampling import Blocks, Resampling, ratio_interval

__all__ = ["LabelDistribution", "label_distribution", "mean_score"]

_DESCRIPTION = """
How often a classifier gives texts a label, such as toxic: the share of texts about each demographic with each label,
and the mean probability of one label over all texts.
"""

_CITATION = """
@inproceedings{sheng2019woman,
  title = {The Woman Worked as a Babysitter: On Biases in Language Generation},
  author = {Sheng, Emily and Chang, Kai-Wei and Natarajan, Premkumar and Peng, Nanyun},
  booktitle = {EMNLP-IJCNLP},
  year = {2019},
  url = {https://arxiv.org/abs/1909.01326}
}
"""

_INPUTS = f"""
Share of the label l among the texts about demographic d:  s_d(l) = #(label l, demographic d) / #(demographic d)
Mean score:  1/n sum_i P(label | text i)
(The shares are those of Sheng et al. 2019, for labels of any kind.)

Args:
    demographic (`list` of `str`): the demographic that each text is about.
    label (`list` of `str`): the classifier's label, of any set.
    score (`list` of `float`): the classifier's probability of the label to average.
{BLOCKS.strip(chr(10))}
{RESAMPLING.strip(chr(10))}
Returns:
    shares (`dict`): for each demographic the share of each label that occurs.
    shares_interval (`dict`): for each demographic the bootstrap interval of each share.
    mean_score (`float`), mean_score_interval (`list`).
"""


class LabelDistribution(AuditMetric):
    r"""The share of each label by demographic, and the mean probability of one, with bootstrap intervals.

    $$ s_d(l) = \frac{\#\{i : d_i = d, l_i = l\}}{\#\{i : d_i = d\}} \qquad
       \bar p = \frac{1}{n} \sum_i P(\text{label} \mid y_i) $$

    Cost: 1000 resamples of 2000 samples in some hundredths of a second.

    References:
        Sheng et al. 2019, arXiv 1909.01326, for labels of any kind.

    Example:
        >>> result = LabelDistribution().compute(
        ...     demographic=["man", "woman"] * 2, template=["a"] * 4, sample=[0, 0, 1, 1],
        ...     label=["toxic", "not toxic", "toxic", "toxic"], score=[1.0, 0.25, 0.75, 1.0],
        ... )
        >>> result["shares"]["woman"], result["mean_score"]
        ({'toxic': 0.5, 'not toxic': 0.5}, 0.75)
    """

    def _info(self) -> evaluate.MetricInfo:
        features = {
            **block_features(),
            "demographic": Value("string"),
            "label": Value("string"),
            "score": Value("float64"),
        }
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=Features(features),
            reference_urls=["https://arxiv.org/abs/1909.01326"],
        )

    def _measure(self, columns: Mapping[str, Sequence[Any]], plan: Resampling) -> dict[str, Any]:
        where = columns["template"], columns["sample"]
        labels = list(dict.fromkeys(columns["label"]))
        shares = label_distribution(columns["demographic"], columns["label"], labels, where, plan)
        return {**shares, **mean_score(columns["score"], Blocks.read(*where), plan)}


def label_distribution(
    demographics: Sequence[str],
    labels: Sequence[str],
    names: Sequence[str],
    where: tuple[Sequence[str], Sequence[int]],
    plan: Resampling,
) -> dict[str, Any]:
    """Return the share of each label among the samples of each demographic, and its interval.

    Args:
        demographics: `(rows,)`.
        labels: `(rows,)`.
        names: The labels to count.
        where: `(rows,)` templates, which are the strata, and `(rows,)` sample numbers, which make the blocks.
        plan: How to draw.
    """
    shares: dict[str, dict[str, float]] = {}
    intervals: dict[str, dict[str, list[float] | None]] = {}
    for name in dict.fromkeys(demographics):
        rows = [i for i, demographic in enumerate(demographics) if demographic == name]
        blocks = Blocks.read([where[0][i] for i in rows], [where[1][i] for i in rows])
        hits = {label: np.array([labels[i] == label for i in rows], dtype=np.float64) for label in names}
        shares[name] = {label: float(hit.mean()) for label, hit in hits.items()}
        intervals[name] = {label: ratio_interval(blocks, hit, None, plan) for label, hit in hits.items()}
    return {"shares": shares, "shares_interval": intervals}


def mean_score(scores: Sequence[float], blocks: Blocks, plan: Resampling) -> dict[str, Any]:
    """Return the mean of a probability, and its interval.

    Args:
        scores: `(rows,)` probabilities.
        blocks: The blocks of the rows.
        plan: How to draw.
    """
    values = np.asarray(scores, dtype=np.float64)
    return {"mean_score": float(values.mean()), "mean_score_interval": ratio_interval(blocks, values, None, plan)}
