"""The distance between the labels of two demographics, as a module of `evaluate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import evaluate
import numpy as np
from datasets import Features, Value
from numpy.typing import NDArray

from hf_equi.errors import ConfigurationError
from hf_equi.fairness.metrics.base import BLOCKS, RESAMPLING, AuditMetric, block_features
from hf_equi.fairness.resampling import (
    Blocks,
    Resampling,
    bootstrap_weights,
    half_splits,
    p_value,
    permuted_within_blocks,
)

__all__ = ["ParityGap", "control_parity_gap", "parity_gap"]

Floats = NDArray[np.float64]

_DESCRIPTION = """
The largest total variation distance between the label distributions of two demographics, with a bootstrap interval,
the p-value of a permutation test, and a noise floor: the distance between random halves of one demographic.
"""

_CITATION = """
@inproceedings{basu2023efficient,
  title = {Efficient Equivariant Transfer Learning from Pretrained Models},
  author = {Basu, Sourya and Katdare, Pulkit and Sattigeri, Prasanna and Chenthamarakshan, Vijil and
            Driggs-Campbell, Katherine and Das, Payel and Varshney, Lav R.},
  booktitle = {NeurIPS},
  year = {2023},
  url = {https://arxiv.org/abs/2305.09900}
}
@article{phipson2010permutation,
  title = {Permutation p-values should never be zero},
  author = {Phipson, Belinda and Smyth, Gordon K.},
  journal = {Statistical Applications in Genetics and Molecular Biology},
  year = {2010},
  url = {https://arxiv.org/abs/1603.05766}
}
"""

_INPUTS = f"""
Parity gap:  max over demographics a, b of 1/2 sum_l |s_a(l) - s_b(l)|, where s_d(l) is the share of the label l among
the texts about d. It is 0 if all are labelled alike and 1 if no label is shared. It is never negative, so chance alone
raises it above 0: compare it with the control, and see the p-value.
Interval:  the basic bootstrap interval, (2 gap - high, 2 gap - low) of percentiles of the resamples, cut at 0 and 1.
p-value:  (1 + #(gap with demographics permuted within blocks >= gap)) / (1 + resamples).
Control:  the same distance between random halves of the texts about one demographic. A half has half the texts, so for
two demographics this noise floor is about sqrt(2) times that of the gap. For more demographics, the gap is the largest
of many distances and the control is a single distance: there only the p-value decides.
(Distance and control are this library's; the labels are those of Sheng et al. 2019 and arXiv 2305.09900.)

Args:
    demographic (`list` of `str`): the demographic that each text is about. Each block needs one text about each.
    label (`list` of `str`): the classifier's label, of any set.
{BLOCKS.strip(chr(10))}
{RESAMPLING.strip(chr(10))}
Returns:
    parity_gap (`float`), parity_gap_interval (`list`), parity_gap_p_value (`float`), parity_gap_pair (`list` of two
    demographics): `None` for fewer than two demographics.
    control_parity_gap (`float`): the mean over demographics and splits; control_parity_gap_interval (`list`): the
    interval that contains single splits. `None` for fewer than two blocks.
"""


class ParityGap(AuditMetric):
    r"""The largest total variation distance between the label distributions of two demographics.

    $$ \max_{a, b} \frac{1}{2} \sum_l |s_a(l) - s_b(l)| $$

    with s as in `RegardDistribution`. The interval is the basic interval of a bootstrap over blocks within templates.
    The p-value is from permutations of the demographics within blocks: under the null hypothesis, the texts of a block
    can change places, coupled or not. The gap is never negative, so chance alone raises it above 0: read it beside the
    p-value and the control, the distance between random halves of one demographic's texts.

    Cost: 1000 resamples of 2000 samples in some tenths of a second.

    References:
        Labels: Sheng et al. 2019, arXiv 1909.01326. p-value: Phipson and Smyth 2010, arXiv 1603.05766.

    Example:
        >>> result = ParityGap().compute(
        ...     demographic=["man", "woman"] * 2, template=["a"] * 4, sample=[0, 0, 1, 1],
        ...     label=["positive", "neutral", "positive", "positive"],
        ... )
        >>> result["parity_gap"], result["parity_gap_pair"]
        (0.5, ['man', 'woman'])
    """

    def _info(self) -> evaluate.MetricInfo:
        features = {**block_features(), "demographic": Value("string"), "label": Value("string")}
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=Features(features),
            reference_urls=["https://arxiv.org/abs/2305.09900", "https://arxiv.org/abs/1603.05766"],
        )

    def _measure(self, columns: Mapping[str, Sequence[Any]], plan: Resampling) -> dict[str, Any]:
        blocks = Blocks.read(columns["template"], columns["sample"])
        demographics, labels = columns["demographic"], columns["label"]
        return {
            **parity_gap(demographics, labels, blocks, plan),
            **control_parity_gap(demographics, labels, blocks, plan),
        }


def parity_gap(demographics: Sequence[str], labels: Sequence[str], blocks: Blocks, plan: Resampling) -> dict[str, Any]:
    """Return the gap, its interval, its p-value, and the two demographics that it is between.

    Args:
        demographics: `(rows,)`.
        labels: `(rows,)`.
        blocks: The blocks of the rows, each with one row for each demographic.
        plan: How to draw.

    Returns:
        The figures: all `None` for fewer than two demographics; no interval for a single block.

    Raises:
        ConfigurationError: If a block has no row, or two rows, of a demographic; for columns of different lengths.
    """
    names, codes, width = _read(demographics, labels, blocks)
    pairs = list(combinations(range(len(names)), 2))
    if not pairs:
        return dict.fromkeys(("parity_gap", "parity_gap_interval", "parity_gap_p_value", "parity_gap_pair"))
    distances = _distances(_one_hot(codes, width).sum(0), pairs)
    gap, pair = float(distances.max()), pairs[int(distances.argmax())]
    null = [
        _distances(np.stack([(chunk == label).sum(1) for label in range(width)], -1), pairs).max(-1)
        for chunk in permuted_within_blocks(codes, plan)
    ]
    return {
        "parity_gap": gap,
        "parity_gap_interval": _bootstrap(gap, (codes, width, pairs), blocks, plan),
        "parity_gap_p_value": p_value(gap, np.concatenate(null)),
        "parity_gap_pair": [names[i] for i in pair],
    }


def control_parity_gap(
    demographics: Sequence[str], labels: Sequence[str], blocks: Blocks, plan: Resampling
) -> dict[str, Any]:
    """Return the distance without any effect: that between random halves of the rows of one demographic.

    Args:
        demographics: `(rows,)`.
        labels: `(rows,)`.
        blocks: The blocks of the rows. They are split within templates, and in the same way for all demographics.
        plan: How many splits, and the confidence.

    Returns:
        The mean over demographics and splits, and the interval that contains single ones; `None` for fewer than two
        blocks.

    Raises:
        ConfigurationError: As in `parity_gap`.
    """
    names, codes, width = _read(demographics, labels, blocks)
    if not names or len(blocks) < 2:
        return dict.fromkeys(("control_parity_gap", "control_parity_gap_interval"))
    halves = half_splits(blocks.strata, plan).astype(np.float64)
    one_hot = _one_hot(codes, width)
    first = _weighted(halves, one_hot)
    counts = np.stack([first, one_hot.sum(0) - first], -2)  # (splits, names, halves, labels)
    gaps = _distances(counts, [(0, 1)])
    return {"control_parity_gap": float(gaps.mean()), "control_parity_gap_interval": plan.interval(gaps.ravel())}


def _read(
    demographics: Sequence[str], labels: Sequence[str], blocks: Blocks
) -> tuple[list[str], NDArray[np.intp], int]:
    """Return the demographics, the label number of each `(blocks, names)`, and the number of labels."""
    rows = len(blocks.of_row)
    if len(demographics) != rows or len(labels) != rows:
        raise ConfigurationError(
            f"There are {rows} samples, {len(demographics)} demographics and {len(labels)} labels: give one of each."
        )
    names, places = blocks.rows_by_column(demographics)
    known, numbers = np.unique(np.asarray(labels, dtype=np.str_), return_inverse=True)
    return names, numbers.astype(np.intp)[places], len(known)


def _one_hot(codes: NDArray[np.intp], width: int) -> Floats:
    """`(blocks, names, labels)`."""
    return np.eye(width)[codes]


def _weighted(weights: Floats, one_hot: Floats) -> Floats:
    """Return counts of labels by draw, `(draws, names, labels)`."""
    blocks, names, width = one_hot.shape
    counts: Floats = (weights @ one_hot.reshape(blocks, names * width)).reshape(-1, names, width)
    return counts


def _distances(counts: NDArray[Any], pairs: Sequence[tuple[int, int]]) -> Floats:
    """Return total variation distances, `(..., pairs)`, of counts `(..., names, labels)`."""
    shares = counts / counts.sum(-1, keepdims=True)
    first, second = (list(side) for side in zip(*pairs, strict=True))
    distances: Floats = np.abs(shares[..., first, :] - shares[..., second, :]).sum(-1) / 2
    return distances


def _bootstrap(
    gap: float, read: tuple[NDArray[np.intp], int, Sequence[tuple[int, int]]], blocks: Blocks, plan: Resampling
) -> list[float] | None:
    """Return the basic interval. It corrects for resamples, which exceed the figure as it exceeds the truth."""
    if len(blocks) < 2:
        return None
    codes, width, pairs = read
    counts = _weighted(bootstrap_weights(blocks.strata, plan), _one_hot(codes, width))
    low, high = plan.interval(_distances(counts, pairs).max(-1))
    return [min(max(round(2 * gap - bound, 12), 0.0), 1.0) for bound in (high, low)]  # no 1e-17 instead of 0
