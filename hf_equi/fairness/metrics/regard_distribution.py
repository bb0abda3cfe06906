"""Regard by demographic, as a module of `evaluate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import evaluate
import numpy as np
from datasets import Features, Value

from hf_equi.errors import ConfigurationError
from hf_equi.fairness.metrics.base import BLOCKS, RESAMPLING, AuditMetric, block_features
from hf_equi.fairness.metrics.label_distribution import label_distribution
from hf_equi.fairness.resampling import Blocks, Resampling, ratio_interval
from hf_equi.generation.scorers import LABELS

__all__ = ["RegardDistribution", "mean_regard", "regard_distribution"]

_DESCRIPTION = """
The regard that texts show for their subject: the share of texts about each demographic with each label, and the mean
of P(positive) - P(negative) over all texts.
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
Mean regard:  1/n sum_i [P(positive | text i) - P(negative | text i)]
(Sheng et al. 2019; shown like this in figures 3 and 9 of arXiv 2305.09900.)

Args:
    demographic (`list` of `str`): the demographic that each text is about.
    label (`list` of `str`): the classifier's label: negative, neutral or positive.
    negative (`list` of `float`): the classifier's P(negative).
    positive (`list` of `float`): the classifier's P(positive).
{BLOCKS.strip(chr(10))}
{RESAMPLING.strip(chr(10))}
Returns:
    regard (`dict`): for each demographic the share of each label.
    regard_interval (`dict`): for each demographic the bootstrap interval of each share.
    mean_regard (`float`), mean_regard_interval (`list`).
"""


class RegardDistribution(AuditMetric):
    r"""The share of each label by demographic, and the mean regard, with bootstrap intervals.

    $$ s_d(l) = \frac{\#\{i : d_i = d, l_i = l\}}{\#\{i : d_i = d\}} \qquad
       \bar r = \frac{1}{n} \sum_i P(\text{positive} \mid y_i) - P(\text{negative} \mid y_i) $$

    Cost: 1000 resamples of 2000 samples in some hundredths of a second.

    References:
        Sheng et al. 2019, arXiv 1909.01326; figures 3 and 9 of arXiv 2305.09900.

    Example:
        >>> result = RegardDistribution().compute(
        ...     demographic=["man", "woman"] * 2, template=["a"] * 4, sample=[0, 0, 1, 1],
        ...     label=["positive", "neutral", "positive", "negative"],
        ...     negative=[0.0, 0.25, 0.25, 0.5], positive=[1.0, 0.25, 0.75, 0.25],
        ... )
        >>> result["regard"]["woman"], result["mean_regard"]
        ({'negative': 0.5, 'neutral': 0.5, 'positive': 0.0}, 0.3125)
    """

    def _info(self) -> evaluate.MetricInfo:
        features = {
            **block_features(),
            "demographic": Value("string"),
            "label": Value("string"),
            "negative": Value("float64"),
            "positive": Value("float64"),
        }
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=Features(features),
            reference_urls=["https://arxiv.org/abs/1909.01326"],
        )

    def _measure(self, columns: Mapping[str, Sequence[Any]], plan: Resampling) -> dict[str, Any]:
        templates, samples = columns["template"], columns["sample"]
        regard = regard_distribution(columns["demographic"], columns["label"], templates, samples, plan)
        blocks = Blocks.read(templates, samples)
        return {**regard, **mean_regard(columns["negative"], columns["positive"], blocks, plan)}


def regard_distribution(
    demographics: Sequence[str],
    labels: Sequence[str],
    templates: Sequence[str],
    samples: Sequence[int],
    plan: Resampling,
) -> dict[str, Any]:
    """Return the share of each label among the samples of each demographic, and its interval.

    Args:
        demographics: `(rows,)`.
        labels: `(rows,)` of `LABELS`.
        templates: `(rows,)`, which are the strata.
        samples: `(rows,)`, the sample numbers, which make the blocks.
        plan: How to draw.

    Raises:
        ConfigurationError: For an unknown label.
    """
    unknown = sorted(set(labels) - set(LABELS))
    if unknown:
        raise ConfigurationError(f"{unknown} are not labels of regard: use {', '.join(LABELS)}.")
    found = label_distribution(demographics, labels, LABELS, (templates, samples), plan)
    return {key.replace("shares", "regard"): value for key, value in found.items()}


def mean_regard(
    negative: Sequence[float], positive: Sequence[float], blocks: Blocks, plan: Resampling
) -> dict[str, Any]:
    """Return the mean of P(positive) - P(negative), and its interval.

    Args:
        negative: `(rows,)` probabilities.
        positive: `(rows,)` probabilities.
        blocks: The blocks of the rows.
        plan: How to draw.
    """
    regard = np.asarray(positive, dtype=np.float64) - np.asarray(negative, dtype=np.float64)
    return {"mean_regard": float(regard.mean()), "mean_regard_interval": ratio_interval(blocks, regard, None, plan)}
