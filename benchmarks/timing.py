"""Claims about speed and memory: ratios of the library to the best way without it, measured in turns."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch

Measure = Callable[[], float]
"""Runs one side once and returns what it took."""

CONFIDENCE = 0.95
"""How likely an interval holds the median, at least."""
LEAST_ROUNDS = next(count for count in range(1, 64) if 2 / 2**count <= 1 - CONFIDENCE)
"""The fewest rounds, six, of which an interval can be so likely: the median is outside with probability 2 / 2^n."""


@dataclass(frozen=True)
class Claim:
    """A comparison, and the bound on the ratio of the library to the best way without it.

    Args:
        name: The name for `--only`.
        text: The text of the comparison in the table.
        ours: Measures the library.
        others: Measures each way without the library, by its name in the table. The best has the smallest median.
        bound: The largest ratio ours / best, or for a `speedup` the smallest ratio best / ours. `None` for a ratio
            that is shown but not claimed.
        speedup: Whether the ratio says how many times as fast the library is.
        unit: The unit of the measures.
    """

    name: str
    text: str
    ours: Measure
    others: Mapping[str, Measure]
    bound: float | None
    speedup: bool = False
    unit: str = "s"

    def measure(self, rounds: int, seed: int = 0, warm: bool = True) -> Result:
        """Run one round that is not counted (only for times), then rounds in which all sides take turns.

        Args:
            rounds: The number of rounds.
            seed: The seed of the round that is not counted. Each further round takes the next seed.
            warm: Whether to run the round that is not counted. A smoke run does without.
        """
        if warm and self.unit == "s":
            self._round(seed)
        ours, *others = zip(*(self._round(seed + number) for number in range(1, rounds + 1)), strict=True)
        return Result(self, ours, dict(zip(self.others, others, strict=True)))

    def _round(self, seed: int) -> list[float]:
        took = []
        for side in (self.ours, *self.others.values()):
            torch.manual_seed(seed)
            took.append(side())
        return took


@dataclass(frozen=True)
class Result:
    """The measures of all sides of a claim, round by round."""

    claim: Claim
    ours: tuple[float, ...]
    others: Mapping[str, tuple[float, ...]]

    @property
    def best(self) -> str:
        """The name of the way without the library that has the smallest median."""
        return min(self.others, key=lambda name: statistics.median(self.others[name]))

    @property
    def ratios(self) -> list[float]:
        """The ratio of each round."""
        pairs = zip(self.ours, self.others[self.best], strict=True)
        return [other / ours if self.claim.speedup else ours / other for ours, other in pairs]

    @property
    def ratio(self) -> float:
        """The median of the ratios."""
        return statistics.median(self.ratios)

    @property
    def interval(self) -> tuple[float, float]:
        """An interval of the median ratio."""
        return median_interval(self.ratios)

    @property
    def verdict(self) -> str | None:
        """`"met"` if the whole interval keeps the bound, `"missed"` if none of it does, else `"open"`.

        It is `None` without a bound, and with fewer than `LEAST_ROUNDS` rounds.
        """
        if self.claim.bound is None or len(self.ours) < LEAST_ROUNDS:
            return None
        kept = [end >= self.claim.bound if self.claim.speedup else end <= self.claim.bound for end in self.interval]
        return "met" if all(kept) else "open" if any(kept) else "missed"


def median_interval(values: Sequence[float]) -> tuple[float, float]:
    r"""Return the narrowest pair of order statistics that holds the median with probability `CONFIDENCE`.

    $$ P(x_{(k)} \le m \le x_{(n + 1 - k)}) = 1 - 2 \sum_{i < k} \binom{n}{i} 2^{-n} $$

    This assumes only that the rounds are independent. Fewer than `LEAST_ROUNDS` cannot reach the confidence: the
    interval is then that of all values. Of nine, it leaves out the smallest and the largest.
    """
    count = len(values)
    outside = accumulate(2 * math.comb(count, below) for below in range(count // 2))
    place = sum(ways <= (1 - CONFIDENCE) * 2**count for ways in outside) or 1
    ordered = sorted(values)
    return ordered[place - 1], ordered[-place]


def timed(
    run: Callable[[], object], gradients: bool = False, clock: Callable[[], float] = time.process_time
) -> Measure:
    """Measure the seconds of a call, with gradients or without.

    Args:
        run: The call.
        gradients: Whether it records gradients.
        clock: The clock. By default that of the process, so that other processes do not count.
    """

    def measure() -> float:
        with torch.set_grad_enabled(gradients):
            start = clock()
            run()
            return clock() - start

    return measure
