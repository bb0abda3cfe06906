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
    """What is compared, and the bound on the ratio of the first side to the second.

    Args:
        name: For `--only`.
        text: What is compared, for the table.
        ours: The library.
        other: What it is compared with.
        bound: The largest ratio ours / other; the smallest ratio other / ours for a `speedup`. `None` for a ratio that
            is shown and not claimed.
        speedup: Whether the ratio says how many times as fast the library is.
        unit: What the measures return.
        repeats: The most rounds that this claim needs, where one takes long.
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
        """One round that is not counted (for times alone), then `repeats` rounds in which the sides take turns.

        Args:
            repeats: The rounds.
            seed: Of the round that is not counted; each round has the next one.
            warm: Whether there is such a round: a smoke run does without.
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
    """What the two sides of a claim took, round by round."""

    claim: Claim
    ours: tuple[float, ...]
    other: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Of the medians."""
        return self._ratio(statistics.median(self.ours), statistics.median(self.other))

    @property
    def spread(self) -> tuple[float, float]:
        """The smallest and the largest ratio of one round."""
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
    """The seconds that a call takes, with gradients or without.

    Args:
        run: The call.
        gradients: Whether it records gradients.
        clock: What the seconds are read from. `time.process_time` counts those of this process alone.
    """

    def measure() -> float:
        with torch.set_grad_enabled(gradients):
            start = clock()
            run()
            return clock() - start

    return measure
