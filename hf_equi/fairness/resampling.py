r"""Intervals and tests for figures of coupled samples, by drawing the samples again.

The unit that is drawn is a block: the samples of all demographics that share a template and a number, and so the noise
they were drawn from. Blocks are drawn within their template, which the study fixed. Everything is a function of the
seed and of the samples, whatever the order of their rows.

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
    """How intervals are made.

    Args:
        resamples: How many times the samples are drawn again.
        confidence: Of the intervals, between 0 and 1.
        seed: Of the draws.

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
        """A new generator, the same for the same seed."""
        return np.random.default_rng(self.seed)

    def check_p_values(self, tests: int = 1) -> None:
        """Refuse so few resamples that no p-value falls below the level, however large a gap is.

        Args:
            tests: How many p-values are weighed together. The level is 1 − confidence, divided by their number.

        Raises:
            ConfigurationError: With the number that is needed.
        """
        needed = math.floor(round(tests / (1 - self.confidence), 9))  # 1 / (1 + resamples) is the least p-value
        if self.resamples < needed:
            together = f" and {tests} scorers" if tests > 1 else ""
            raise ConfigurationError(
                f"resamples={self.resamples} is too few for confidence={self.confidence}{together}: no gap, however "
                f"large, would be told from chance. Use {needed} or more."
            )

    def interval(self, draws: ArrayLike) -> list[float]:
        """The percentile interval of `draws` of a figure."""
        tail = (1 - self.confidence) / 2
        low, high = np.quantile(np.asarray(draws, dtype=np.float64), [tail, 1 - tail])
        return [float(low), float(high)]


@dataclass(frozen=True)
class Blocks:
    """Which rows are drawn together.

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
        """The blocks of rows with these templates and sample numbers.

        Raises:
            ConfigurationError: If the two differ in length, or are empty.
        """
        keys = [(template, int(sample)) for template, sample in zip(templates, samples, strict=False)]
        if not keys or len(templates) != len(samples):
            raise ConfigurationError(
                f"There are {len(templates)} templates and {len(samples)} sample numbers: each sample needs one of "
                "each, and there must be a sample."
            )
        names = sorted(set(keys))
        number = {key: i for i, key in enumerate(names)}
        strata = {template: i for i, template in enumerate(sorted(set(templates)))}
        of_row = np.array([number[key] for key in keys], dtype=np.intp)
        return cls(of_row, np.array([strata[template] for template, _ in names], dtype=np.intp), names)

    def __len__(self) -> int:
        return len(self.names)

    def sums(self, values: ArrayLike) -> Floats:
        """Sums of `(rows,)` values over each block, `(blocks,)`."""
        weights = np.asarray(values, dtype=np.float64)
        return np.bincount(self.of_row, weights=weights, minlength=len(self)).astype(np.float64)

    def rows_by_column(self, columns: Sequence[str]) -> tuple[list[str], NDArray[np.intp]]:
        """The names of the columns, as they first appear, and the row of each block and name, `(blocks, names)`.

        Args:
            columns: `(rows,)` the column of each row: its demographic.

        Raises:
            ConfigurationError: If a block has no row of a name, or two.
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
                f"{self._describe(block)} has no sample of {names[column]!r}: demographics are compared on equal "
                "templates and sample numbers. Add the sample, or leave the others out."
            )
        return names, rows

    def _describe(self, block: int) -> str:
        template, sample = self.names[block]
        return f"Sample {sample} of the template {template!r}"


def bootstrap_weights(strata: NDArray[np.intp], plan: Resampling) -> Floats:
    """How often each block is drawn, `(resamples, blocks)`: with replacement, within strata.

    If a stratum has one block only, all blocks are drawn without strata: a block that is always drawn once would pass
    for one without uncertainty.

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
    r"""The bootstrap interval of a ratio of sums over rows.

    Args:
        blocks: Of the rows.
        numerators: `(rows,)`.
        denominators: `(rows,)`, positive; `None` for ones: the interval of a mean.
        plan: How to draw.

    Returns:
        `None` for a single block, which says nothing of how others would differ.

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
    """Permutations of `values` within each block, `resamples` in all.

    Args:
        values: `(blocks, places)`.
        plan: How many, and the seed.

    Yields:
        `(some, blocks, places)`: as many at once as memory is to be spent on.

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
    """Random halves of the blocks, `(resamples, blocks)`: true in one half.

    Each stratum is split into halves whose sizes differ by one at most, and so is the whole.

    Example:
        >>> half_splits(np.array([0, 0, 1, 1]), Resampling(resamples=2))[:, :2].sum(1)
        array([1, 1])
    """
    rng = plan.generator()
    halves = np.empty((plan.resamples, len(strata)), dtype=np.bool_)
    start = 0
    for many in _chunks(plan.resamples, len(strata)):
        # Sorted by stratum, and at random within it: every other block then goes to the same half.
        order = (strata + rng.random((many, len(strata)))).argsort(-1)
        alternate = np.broadcast_to(np.arange(len(strata)) % 2 == 0, order.shape)
        np.put_along_axis(halves[start : start + many], order, alternate, -1)
        start += many
    return halves


def p_value(observed: float, draws: ArrayLike) -> float:
    r"""The share of draws under the null hypothesis that are at least as large as what was observed.

    $$ p = \frac{1 + \#\{ r : t_r \ge t \}}{1 + R} $$

    The observed figure counts as one of the draws, so p is never 0 (Phipson and Smyth 2010).

    Example:
        >>> p_value(0.5, [0.1, 0.5, 0.7])
        0.75
    """
    figures = np.asarray(draws, dtype=np.float64)
    # Figures that are equal may differ in the last bit.
    return (1 + int((figures >= observed - 1e-12).sum())) / (1 + figures.size)


def jackknife_interval(
    estimate: float, left_out: ArrayLike, strata: NDArray[np.intp], confidence: float
) -> list[float]:
    r"""The normal interval of a figure from its values with each block left out.

    $$ \hat\sigma^2 = \sum_s \frac{n_s - 1}{n_s} \sum_{b \in s} \big(\theta_{(b)} - \bar\theta_{(s)}\big)^2 $$

    For figures that a bootstrap spoils because blocks that are drawn twice change what they count, such as the number
    of distinct words. On average the variance is too large rather than too small (Efron and Stein 1981).

    Args:
        estimate: The figure of all blocks.
        left_out: `(blocks,)` the figure without each block.
        strata: `(blocks,)`; one with a single block makes all of them one, as in `bootstrap_weights`.
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
    """The blocks of each stratum; of all of them together if one has a single block."""
    members = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    return [np.arange(len(strata))] if min(map(len, members)) < 2 else members


def _chunks(total: int, size: int) -> Iterator[int]:
    """`total` cut into numbers of rows such that rows of `size` fit a chunk."""
    most = max(1, _CHUNK // size)
    for start in range(0, total, most):
        yield min(most, total - start)
