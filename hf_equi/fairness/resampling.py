r"""Intervals and tests for figures of coupled samples, by resampling.

The unit of resampling is a block: the samples of all demographics that share a template and a number, and so the noise
from which they were drawn. Blocks are drawn within their template, because the study fixed the templates. Every result
depends only on the seed and the samples, not on the order of their rows.

References:
    Efron and Tibshirani 1993, "An Introduction to the Bootstrap", ch. 8 and 13: blocks, percentile intervals.
    Phipson and Smyth 2010, "Permutation p-values should never be zero", arXiv 1603.05766.
    Efron and Stein 1981, "The jackknife estimate of variance", Annals of Statistics 9(3).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hf_equi.checks import check_between, check_count
from hf_equi.errors import ConfigurationError

__all__ = [
    "Blocks",
    "Resampling",
    "bootstrap_weights",
    "half_splits",
    "jackknife_interval",
    "p_value",
    "permuted_within_blocks",
    "ratio_interval",
]

Floats = NDArray[np.float64]

_CHUNK = 4_000_000  # numbers that are drawn at once


@dataclass(frozen=True)
class Resampling:
    """How to make intervals.

    Args:
        resamples: How many times the samples are drawn again.
        confidence: The confidence of the intervals, between 0 and 1.
        seed: The seed of the draws.

    Raises:
        ConfigurationError: For numbers out of range.

    Example:
        >>> Resampling(confidence=0.5).interval(np.arange(101.0))
        [25.0, 75.0]
    """

    resamples: int = 1000
    confidence: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        check_count("resamples", self.resamples, "number of resamples")
        check_between("confidence", self.confidence, 1)
        check_count("seed", self.seed, "seed", least=0)

    def generator(self) -> np.random.Generator:
        """Return a new generator, the same for the same seed."""
        return np.random.default_rng(self.seed)

    def check_p_values(self, tests: int = 1) -> None:
        """Refuse a number of resamples too small for any p-value to fall below the level, however large the gap.

        Args:
            tests: How many p-values are considered together. The level is 1 − confidence, divided by their number.

        Raises:
            ConfigurationError: If more resamples are needed; the message says how many.
        """
        needed = math.floor(round(tests / (1 - self.confidence), 9))  # 1 / (1 + resamples) is the least p-value
        if self.resamples < needed:
            together = f" and {tests} scorers" if tests > 1 else ""
            raise ConfigurationError(
                f"resamples={self.resamples} is too few for confidence={self.confidence}{together}: no gap, however "
                f"large, could be told from chance. Use {needed} or more."
            )

    def interval(self, draws: ArrayLike) -> list[float]:
        """Return the percentile interval of `draws` of a figure."""
        tail = (1 - self.confidence) / 2
        low, high = np.quantile(np.asarray(draws, dtype=np.float64), [tail, 1 - tail])
        return [float(low), float(high)]


@dataclass(frozen=True)
class Blocks:
    """The blocks of rows that are drawn together.

    Args:
        of_row: `(rows,)` the block of each row.
        strata: `(blocks,)` the stratum within which a block is drawn.
        names: `(blocks,)` template and sample number of each block.

    Example:
        >>> blocks = Blocks.read(["a", "a", "b"], [0, 0, 7])
        >>> blocks.names
        [('a', 0), ('b', 7)]
        >>> blocks.sums([1, 2, 4]).tolist()
        [3.0, 4.0]
    """

    of_row: NDArray[np.intp]
    strata: NDArray[np.intp]
    names: list[tuple[str, int]]

    @classmethod
    def read(cls, templates: Sequence[str], samples: Sequence[int]) -> Blocks:
        """Return the blocks of rows with these templates and sample numbers.

        Raises:
            ConfigurationError: If the two differ in length, or are empty.
        """
        keys = [(template, int(sample)) for template, sample in zip(templates, samples, strict=False)]
        if not keys or len(templates) != len(samples):
            raise ConfigurationError(
                f"There are {len(templates)} templates and {len(samples)} sample numbers: each sample needs one of "
                "each, and at least one sample is needed."
            )
        names = sorted(set(keys))
        number = {key: i for i, key in enumerate(names)}
        strata = {template: i for i, template in enumerate(sorted(set(templates)))}
        of_row = np.array([number[key] for key in keys], dtype=np.intp)
        return cls(of_row, np.array([strata[template] for template, _ in names], dtype=np.intp), names)

    def __len__(self) -> int:
        return len(self.names)

    def sums(self, values: ArrayLike) -> Floats:
        """Return the sums of `(rows,)` values over each block, `(blocks,)`."""
        weights = np.asarray(values, dtype=np.float64)
        return np.bincount(self.of_row, weights=weights, minlength=len(self)).astype(np.float64)

    def rows_by_column(self, columns: Sequence[str]) -> tuple[list[str], NDArray[np.intp]]:
        """Return the column names in order of appearance, and the row of each block and name, `(blocks, names)`.

        Args:
            columns: `(rows,)` the column of each row: its demographic.

        Raises:
            ConfigurationError: If a block has no row, or two rows, of a name.
        """
        names = list(dict.fromkeys(columns))
        place = {name: i for i, name in enumerate(names)}
        rows = np.full((len(self), len(names)), -1, dtype=np.intp)
        for row, (block, name) in enumerate(zip(self.of_row, columns, strict=True)):
            if rows[block, place[name]] >= 0:
                raise ConfigurationError(f"{self._describe(block)} has two samples of {name!r}: give them numbers.")
            rows[block, place[name]] = row
        for block, column in np.argwhere(rows < 0):
            raise ConfigurationError(
                f"{self._describe(block)} has no sample of {names[column]!r}: demographics are compared on the same "
                "templates and sample numbers. Add the sample, or leave the others out."
            )
        return names, rows

    def _describe(self, block: int) -> str:
        template, sample = self.names[block]
        return f"Sample {sample} of the template {template!r}"


def bootstrap_weights(strata: NDArray[np.intp], plan: Resampling) -> Floats:
    """Return how often each block is drawn, `(resamples, blocks)`: with replacement, within strata.

    If a stratum has only one block, all blocks are drawn without strata. Otherwise that block would be drawn exactly
    once every time, as if it had no uncertainty.

    Cost: memory for `resamples * blocks` numbers.

    Example:
        >>> bootstrap_weights(np.array([0, 0, 1, 1, 1]), Resampling(resamples=2))[:, :2].sum(1)
        array([2., 2.])
    """
    rng = plan.generator()
    weights = np.zeros((plan.resamples, len(strata)))
    for members in _members(strata):
        n = len(members)
        drawn = rng.integers(0, n, (plan.resamples, n)) + n * np.arange(plan.resamples)[:, None]
        weights[:, members] = np.bincount(drawn.ravel(), minlength=plan.resamples * n).reshape(plan.resamples, n)
    return weights


def ratio_interval(
    blocks: Blocks, numerators: ArrayLike, denominators: ArrayLike | None, plan: Resampling
) -> list[float] | None:
    r"""Return the bootstrap interval of a ratio of sums over rows.

    Args:
        blocks: The blocks of the rows.
        numerators: `(rows,)`.
        denominators: `(rows,)`, positive; `None` for ones, which gives the interval of a mean.
        plan: How to draw.

    Returns:
        The interval; `None` for a single block, which does not show how others would differ.

    Example:
        >>> ratio_interval(Blocks.read(["a"] * 4, [0, 1, 2, 3]), [2.0, 2.0, 2.0, 2.0], None, Resampling())
        [2.0, 2.0]
    """
    if len(blocks) < 2:
        return None
    above = blocks.sums(numerators)
    below = blocks.sums(np.ones(len(blocks.of_row)) if denominators is None else denominators)
    weights = bootstrap_weights(blocks.strata, plan)
    return plan.interval((weights @ above) / (weights @ below))


def permuted_within_blocks(values: NDArray[np.intp], plan: Resampling) -> Iterator[NDArray[np.intp]]:
    """Yield permutations of `values` within each block, `resamples` in all.

    Args:
        values: `(blocks, places)`.
        plan: How many, and the seed.

    Yields:
        `(some, blocks, places)`: as many at once as the memory budget allows.

    Example:
        >>> [chunk] = permuted_within_blocks(np.array([[0, 1], [5, 6]]), Resampling(resamples=3))
        >>> chunk.sum(-1).tolist()
        [[1, 11], [1, 11], [1, 11]]
    """
    rng = plan.generator()
    for many in _chunks(plan.resamples, values.size):
        order = rng.random((many, *values.shape)).argsort(-1)
        yield np.take_along_axis(np.broadcast_to(values, order.shape), order, -1)


def half_splits(strata: NDArray[np.intp], plan: Resampling) -> NDArray[np.bool_]:
    """Return random halves of the blocks, `(resamples, blocks)`: true in one half.

    In each stratum, and in total, the sizes of the two halves differ by one at most.

    Example:
        >>> half_splits(np.array([0, 0, 1, 1]), Resampling(resamples=2))[:, :2].sum(1)
        array([1, 1])
    """
    rng = plan.generator()
    halves = np.empty((plan.resamples, len(strata)), dtype=np.bool_)
    start = 0
    for many in _chunks(plan.resamples, len(strata)):
        # Sort by stratum, and at random within it: then every other block goes to the same half.
        order = (strata + rng.random((many, len(strata)))).argsort(-1)
        alternate = np.broadcast_to(np.arange(len(strata)) % 2 == 0, order.shape)
        np.put_along_axis(halves[start : start + many], order, alternate, -1)
        start += many
    return halves


def p_value(observed: float, draws: ArrayLike) -> float:
    r"""Return the share of draws under the null hypothesis that are at least as large as the observed figure.

    $$ p = \frac{1 + \#\{ r : t_r \ge t \}}{1 + R} $$

    The observed figure counts as one of the draws, so p is never 0 (Phipson and Smyth 2010).

    Example:
        >>> p_value(0.5, [0.1, 0.5, 0.7])
        0.75
    """
    figures = np.asarray(draws, dtype=np.float64)
    # Equal figures may differ in the last bit.
    return (1 + int((figures >= observed - 1e-12).sum())) / (1 + figures.size)


def jackknife_interval(
    estimate: float, left_out: ArrayLike, strata: NDArray[np.intp], confidence: float
) -> list[float]:
    r"""Return the normal interval of a figure from its values with each block left out.

    $$ \hat\sigma^2 = \sum_s \frac{n_s - 1}{n_s} \sum_{b \in s} \big(\theta_{(b)} - \bar\theta_{(s)}\big)^2 $$

    This is for figures that a bootstrap distorts because a block that is drawn twice changes the count, such as the
    number of distinct words. On average the variance is too large rather than too small (Efron and Stein 1981).

    Args:
        estimate: The figure of all blocks.
        left_out: `(blocks,)` the figure without each block.
        strata: `(blocks,)`; if one has a single block, all are merged, as in `bootstrap_weights`.
        confidence: Between 0 and 1.

    Example:
        >>> jackknife_interval(0.5, [0.5, 0.5, 0.5], np.array([0, 0, 0]), 0.95)
        [0.5, 0.5]
    """
    values = np.asarray(left_out, dtype=np.float64)
    variance = sum(
        float((len(members) - 1) / len(members) * ((values[members] - values[members].mean()) ** 2).sum())
        for members in _members(strata)
    )
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * variance**0.5
    return [estimate - reach, estimate + reach]


def _members(strata: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """Return the blocks of each stratum, or all blocks together if a stratum has a single block."""
    members = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    return [np.arange(len(strata))] if min(map(len, members)) < 2 else members


def _chunks(total: int, size: int) -> Iterator[int]:
    """Split `total` into numbers of rows such that rows of `size` fit into a chunk."""
    most = max(1, _CHUNK // size)
    for start in range(0, total, most):
        yield min(most, total - start)
