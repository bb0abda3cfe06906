"""Claims about speed and memory, each a ratio of two sides that take turns in one run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

Measure = Callable[[], float]
"""Runs one side once and returns what it took."""


@dataclass(frozen=True)
class Claim:
    """A comparison, and the bound on the ratio of the first side to the second.

    Args:
        name: The name for `--only`.
        text: The text of the comparison in the table.
        ours: Measures the library.
        other: Measures the other side.
        bound: The largest ratio ours / other, or for a `speedup` the smallest ratio other / ours. `None` for a ratio
            that is shown but not claimed.
        speedup: Whether the ratio says how many times as fast the library is.
        unit: The unit of the measures.
        repeats: The most rounds of this claim, if a round takes long.
    """

    name: str
    text: str
    ours: Measure
    other: Measure
    bound: float | None
    speedup: bool = False
    unit: str = "s"
    repeats: int | None = None

    def measure(self, repeats: int, seed: int = 0, warm: bool = True) -> Result:
        """Run one round that is not counted (only for times), then `repeats` rounds in which the sides take turns.

        Args:
            repeats: The number of rounds.
            seed: The seed of the round that is not counted. Each further round takes the next seed.
            warm: Whether to run the round that is not counted. A smoke run does without.
        """
        rounds = repeats if self.repeats is None else min(repeats, self.repeats)
        if warm and self.unit == "s":
            self._round(seed)
        pairs = [self._round(seed + number) for number in range(1, rounds + 1)]
        return Result(self, tuple(ours for ours, _ in pairs), tuple(other for _, other in pairs))

    def _round(self, seed: int) -> tuple[float, float]:
        torch.manual_seed(seed)
        ours = self.ours()
        torch.manual_seed(seed)
        return ours, self.other()


@dataclass(frozen=True)
class Result:
    """The measures of both sides of a claim, round by round."""

    claim: Claim
    ours: tuple[float, ...]
    other: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """The ratio of the medians."""
        return self._ratio(statistics.median(self.ours), statistics.median(self.other))

    @property
    def spread(self) -> tuple[float, float]:
        """The smallest and the largest ratio of a single round."""
        ratios = [self._ratio(ours, other) for ours, other in zip(self.ours, self.other, strict=True)]
        return min(ratios), max(ratios)

    @property
    def met(self) -> bool | None:
        """Whether the ratio keeps the bound, if there is one."""
        if self.claim.bound is None:
            return None
        return self.ratio >= self.claim.bound if self.claim.speedup else self.ratio <= self.claim.bound

    def _ratio(self, ours: float, other: float) -> float:
        return other / ours if self.claim.speedup else ours / other


def timed(
    run: Callable[[], object], gradients: bool = False, clock: Callable[[], float] = time.perf_counter
) -> Measure:
    """Measure the seconds of a call, with gradients or without.

    Args:
        run: The call.
        gradients: Whether it records gradients.
        clock: The clock. `time.process_time` counts only the seconds of this process.
    """

    def measure() -> float:
        with torch.set_grad_enabled(gradients):
            start = clock()
            run()
            return clock() - start

    return measure
