"""The permutation test of the energy distance."""

from __future__ import annotations

import torch

from hf_equi.testing.laws import law_differs, most_different, strangest

LIMITS = torch.tensor([1e-5, 1e-5], dtype=torch.float64)


def draws(shift: float, generator: torch.Generator) -> torch.Tensor:
    return shift + torch.randn(5, 24, 2, dtype=torch.float64, generator=generator)


def test_equal_laws_differ_as_seldom_as_said_and_others_always() -> None:
    noise = torch.Generator().manual_seed(0)
    found = [law_differs(draws(0, noise), draws(0, noise), LIMITS, 0.05, noise) for _ in range(200)]
    assert 0 < sum(p is not None for p in found) <= 20  # 10 expected: 20 or fewer with probability 0.999
    p = law_differs(draws(0, noise), draws(1, noise), LIMITS, 1e-4, noise)
    assert p is not None
    assert p <= 1e-4


def test_rounding_is_not_a_difference() -> None:
    noise = torch.Generator().manual_seed(0)
    own = torch.zeros(1, 16, 2, dtype=torch.float64)
    assert law_differs(own, own + 1e-7, LIMITS, 1e-3, noise) is None
    assert law_differs(own, own + 1e-3, LIMITS, 1e-3, noise) is not None


def test_outcomes_of_another_law_are_strange() -> None:
    noise = torch.Generator().manual_seed(0)
    found = [strangest(draws(0, noise)[:, 0], draws(0, noise), LIMITS, 0.05, noise) for _ in range(200)]
    assert 0 < sum(one is not None for one in found) <= 20
    single = draws(2, noise)[:, 0]
    single[2] += 20
    assert strangest(single, draws(0, noise), LIMITS, 0.05, noise) == 2
    certain = torch.zeros(5, 24, 2, dtype=torch.float64)
    assert strangest(certain[:, 0] + 1e-7, certain, LIMITS, 0.05, noise) is None


def test_the_experiment_that_differs_is_found() -> None:
    own = draws(0, torch.Generator().manual_seed(0))
    other = draws(0, torch.Generator().manual_seed(1))
    other[3] += 2
    assert most_different(own, other, LIMITS) == 3


def test_the_energy_is_that_of_its_definition() -> None:
    noise = torch.Generator().manual_seed(0)
    x, y = (torch.rand(1, 4, 1, dtype=torch.float64, generator=noise) for _ in range(2))
    from hf_equi.testing import laws

    spread = torch.cat([x, y]).max() - torch.cat([x, y]).min()
    mean = lambda a, b: float((a[0] - b[0].T).abs().mean() / spread)  # noqa: E731
    sides = torch.tensor([[1.0] * 4 + [-1.0] * 4], dtype=torch.float64)
    found = laws._energy(laws._distances(x[0], y[0], LIMITS[:1]), sides)
    assert torch.allclose(found, torch.tensor([2 * mean(x, y) - mean(x, x) - mean(y, y)], dtype=torch.float64))
