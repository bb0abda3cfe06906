"""Compare two laws by draws: the energy distance and its permutation test."""

from __future__ import annotations

import math

import torch

__all__ = ["law_differs", "most_different", "strangest"]

_AT_ONCE = 2**10
"""The number of exchanges in memory."""


def law_differs(
    own: torch.Tensor, other: torch.Tensor, limits: torch.Tensor, share: float, noise: torch.Generator
) -> float | None:
    r"""Return p if two samples are of different laws, `None` if they may be of one.

    $$ E = \sum_p \left( 2\, \overline{d(x, y)} - \overline{d(x, x')} - \overline{d(y, y')} \right) $$

    over P experiments p, of each of which both sides have n draws. If the laws are equal, draws may change sides.
    All experiments exchange the same draws, so that distances add up before the test.

    Args:
        own: `(P, n, D)` float64 draws x.
        other: `(P, n, D)` float64 draws y.
        limits: `(D,)` the differences that count as equal.
        share: The largest p that counts as a difference, and the probability of a false one.
        noise: What draws the exchanges.
    """
    n, tried = own.shape[1], math.ceil(2 / share)
    most = share * (1 + tried) - 1
    total = torch.zeros(2 * n, 2 * n, dtype=torch.float64, device="cpu")
    for x, y in zip(own, other, strict=True):
        total += _distances(x, y, limits)
    sides = torch.ones(2 * n, dtype=torch.float64, device="cpu")
    sides[n:] = -1
    found = _energy(total, sides[None])
    above = 0
    for done in range(0, tried, _AT_ONCE):
        if above > most:  # what is left cannot make p small enough
            return None
        exchanged = sides[torch.rand(min(_AT_ONCE, tried - done), 2 * n, generator=noise, device="cpu").argsort(1)]
        above += int((_energy(total, exchanged) >= found - 1e-12 * (1 + found.abs())).sum())  # up to rounding
    p = (1 + above) / (1 + tried)
    return p if p <= share else None


def most_different(own: torch.Tensor, other: torch.Tensor, limits: torch.Tensor) -> int:
    """Return the experiment whose two sides differ most; the arguments are those of `law_differs`."""
    sides = torch.ones(1, 2 * own.shape[1], dtype=torch.float64, device="cpu")
    sides[:, own.shape[1] :] = -1
    energies = [_energy(_distances(x, y, limits), sides) for x, y in zip(own, other, strict=True)]
    return int(torch.cat(energies).argmax())


def strangest(
    single: torch.Tensor, draws: torch.Tensor, limits: torch.Tensor, share: float, noise: torch.Generator
) -> int | None:
    """Return the experiment whose single outcome is least like its draws, `None` if all may be of one law.

    The statistic is the sum of the distances of single outcomes to draws. If the laws are equal, any draw could have
    been the single one.

    Args:
        single: `(P, D)` float64, one outcome for each experiment.
        draws: `(P, n, D)` float64, more outcomes.
        limits: As in `law_differs`.
        share: As in `law_differs`.
        noise: What draws the exchanges.
    """
    pairs = zip(single, draws, strict=True)
    sums = torch.stack([_distances(x[None], y, limits).sum(1) for x, y in pairs])  # (P, 1 + n)
    tried = math.ceil(2 / share)
    exchanged = sums.gather(1, torch.randint(sums.shape[1], (len(sums), tried), generator=noise, device="cpu")).sum(0)
    found = sums[:, 0].sum()
    above = int((exchanged >= found - 1e-12 * (1 + found)).sum())  # up to rounding
    return int((sums[:, 0] - sums[:, 1:].mean(1)).argmax()) if (1 + above) / (1 + tried) <= share else None


def _energy(distances: torch.Tensor, sides: torch.Tensor) -> torch.Tensor:
    """Return the energy distance for each assignment of draws to sides, `(N, 2n)` of 1 and -1."""
    return -((sides @ distances) * sides).sum(1) / (distances.shape[0] / 2) ** 2


def _distances(x: torch.Tensor, y: torch.Tensor, limits: torch.Tensor) -> torch.Tensor:
    """Return the distances of all draws of an experiment, `(2n, 2n)`, each number in units of its spread."""
    both = torch.cat([x, y])
    spread = both.amax(0) - both.amin(0)
    kept = spread > limits  # what differs by rounding alone is equal
    scaled = both[:, kept] / spread[kept]
    return torch.cdist(scaled, scaled, compute_mode="donot_use_mm_for_euclid_dist")
