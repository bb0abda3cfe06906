"""Draws against what can be counted by hand, and intervals against how often they hold the truth."""

from __future__ import annotations

import numpy as np
import pytest

from hf_equi.errors import ConfigurationError
from hf_equi.fairness import resampling
from hf_equi.fairness.resampling import (
    Blocks,
    Resampling,
    bootstrap_weights,
    half_splits,
    jackknife_interval,
    p_value,
    permuted_within_blocks,
    ratio_interval,
)


def one_template(blocks: int, rows: int = 1) -> Blocks:
    """Blocks of so many rows each, all of one template."""
    return Blocks.read(["a"] * blocks * rows, [i for i in range(blocks) for _ in range(rows)])


def test_a_percentile_interval_cuts_equal_tails() -> None:
    assert Resampling(confidence=0.8).interval(range(11)) == pytest.approx([1, 9])


@pytest.mark.parametrize("wrong", [{"resamples": 0}, {"confidence": 1.0}, {"confidence": 0.0}, {"seed": -1}])
def test_numbers_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    [(name, value)] = wrong.items()
    with pytest.raises(ConfigurationError, match=f"{name}={value}"):
        Resampling(**wrong)


def test_blocks_are_the_pairs_of_template_and_number() -> None:
    blocks = Blocks.read(["b", "a", "b", "a"], [1, 1, 1, 0])
    assert blocks.names == [("a", 0), ("a", 1), ("b", 1)]
    assert blocks.of_row.tolist() == [2, 1, 2, 0]
    assert blocks.strata.tolist() == [0, 0, 1]
    assert blocks.sums([1, 2, 4, 8]).tolist() == [8, 2, 5]


@pytest.mark.parametrize(("templates", "samples"), [([], []), (["a"], [0, 1])])
def test_blocks_need_samples_with_numbers(templates: list[str], samples: list[int]) -> None:
    message = f"There are {len(templates)} templates and {len(samples)} sample numbers"
    with pytest.raises(ConfigurationError, match=message):
        Blocks.read(templates, samples)


def test_rows_by_column_finds_the_row_of_each_demographic() -> None:
    names, rows = Blocks.read(["a"] * 4, [0, 0, 1, 1]).rows_by_column(["man", "woman", "woman", "man"])
    assert names == ["man", "woman"]
    assert rows.tolist() == [[0, 1], [3, 2]]


def test_incomplete_and_doubled_blocks_are_named() -> None:
    with pytest.raises(ConfigurationError, match="Sample 1 of the template 'a' has no sample of 'woman'"):
        Blocks.read(["a"] * 3, [0, 0, 1]).rows_by_column(["man", "woman", "man"])
    with pytest.raises(ConfigurationError, match="Sample 0 of the template 'a' has two samples of 'man'"):
        Blocks.read(["a"] * 2, [0, 0]).rows_by_column(["man", "man"])


def test_two_blocks_are_drawn_in_all_four_ways() -> None:
    weights = bootstrap_weights(np.array([0, 0]), Resampling(resamples=4000))
    drawn, times = np.unique(weights, axis=0, return_counts=True)
    assert drawn.tolist() == [[0, 2], [1, 1], [2, 0]]
    assert times / 4000 == pytest.approx([0.25, 0.5, 0.25], abs=0.04)


def test_a_draw_keeps_the_size_of_each_stratum() -> None:
    strata = np.array([0, 1, 0, 1, 1])
    weights = bootstrap_weights(strata, Resampling(resamples=50))
    assert {tuple(row) for row in np.stack([weights[:, strata == s].sum(1) for s in (0, 1)], 1)} == {(2, 3)}


def test_strata_of_one_block_are_not_drawn_alone() -> None:
    weights = bootstrap_weights(np.array([0, 1, 2, 2]), Resampling(resamples=50))
    assert weights.sum(1).tolist() == [4] * 50
    assert len(np.unique(weights[:, 0])) > 1


def test_the_seed_decides() -> None:
    strata = np.zeros(20, dtype=np.intp)
    first, again, other = (bootstrap_weights(strata, Resampling(10, seed=seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_interval_of_a_ratio_by_hand() -> None:
    # Two blocks, 1/1 and 0/3: drawn are 2/2, 1/4 and 0/6 with weights 1/4, 1/2 and 1/4.
    blocks = one_template(2)
    assert ratio_interval(blocks, [1, 0], [1, 3], Resampling(confidence=0.95)) == [0, 1]
    assert ratio_interval(blocks, [1, 0], [1, 3], Resampling(confidence=0.4)) == [0.25, 0.25]


def test_a_single_block_has_no_interval() -> None:
    assert ratio_interval(one_template(1, rows=2), [0, 1], None, Resampling()) is None


def test_differences_between_templates_are_no_uncertainty() -> None:
    blocks = Blocks.read(["a", "a", "b", "b"], [0, 1, 0, 1])
    assert ratio_interval(blocks, [0, 0, 10, 10], None, Resampling()) == [5, 5]


def coverage(coupled: bool) -> float:
    """How often the interval of a mean holds the truth, 0: of 40 pairs of almost equal rows, drawn as pairs or not."""
    rng, hits = np.random.default_rng(0), 0
    blocks = one_template(40, rows=2) if coupled else one_template(80)
    for seed in range(300):
        values = np.repeat(rng.normal(size=40), 2) + 0.01 * rng.normal(size=80)
        low, high = ratio_interval(blocks, values, None, Resampling(300, seed=seed))
        hits += low <= 0 <= high
    return hits / 300


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    assert 0.90 <= coverage(coupled=True) <= 0.98
    assert coverage(coupled=False) < 0.88  # rows that go together, taken for independent ones


def test_permutations_stay_within_blocks_and_take_all_orders() -> None:
    values = np.array([[0, 1, 2], [7, 8, 9]])
    [drawn] = permuted_within_blocks(values, Resampling(resamples=3000))
    assert np.array_equal(np.sort(drawn, -1), np.broadcast_to(values, drawn.shape))
    orders, times = np.unique(drawn[:, 0], axis=0, return_counts=True)
    assert len(orders) == 6
    assert times / 3000 == pytest.approx([1 / 6] * 6, abs=0.03)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    values, strata, plan = np.arange(12).reshape(6, 2), np.array([0, 0, 0, 1, 1, 1]), Resampling(resamples=7)
    whole = np.concatenate(list(permuted_within_blocks(values, plan))), half_splits(strata, plan)
    monkeypatch.setattr(resampling, "_CHUNK", 24)
    chunks = list(permuted_within_blocks(values, plan))
    assert [len(chunk) for chunk in chunks] == [2, 2, 2, 1]
    assert np.array_equal(np.concatenate(chunks), whole[0])
    assert np.array_equal(half_splits(strata, plan), whole[1])


def test_halves_are_equal_in_each_stratum() -> None:
    strata = np.array([0, 1, 0, 1, 1, 0, 1, 1, 1])  # three and six
    halves = half_splits(strata, Resampling(resamples=200))
    assert set(halves[:, strata == 0].sum(1)) == {2}
    assert set(halves[:, strata == 1].sum(1)) == {3}
    assert halves.mean(0)[strata == 1] == pytest.approx([0.5] * 6, abs=0.15)


def test_the_p_value_counts_what_was_observed() -> None:
    assert p_value(1.0, [0.0] * 99) == 0.01
    assert p_value(0.1 + 0.2, [0.3, 0.0, 0.0]) == 0.5
    assert p_value(0.0, [0.5] * 9) == 1.0


def test_the_jackknife_of_a_mean_is_the_textbook_error() -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    left_out = (values.sum() - values) / 4
    low, high = jackknife_interval(3.0, left_out, np.zeros(5, dtype=np.intp), 0.95)
    assert (low, high) == pytest.approx((3 - 1.959964 * (2.5 / 5) ** 0.5, 3 + 1.959964 * (2.5 / 5) ** 0.5))


def test_the_jackknife_too_leaves_out_differences_between_strata() -> None:
    values, strata = np.array([0.0, 0.0, 10.0, 10.0]), np.array([0, 0, 1, 1])
    assert jackknife_interval(5.0, (20 - values) / 3, strata, 0.95) == [5, 5]
    low, high = jackknife_interval(5.0, (20 - values) / 3, np.array([0, 0, 0, 1]), 0.95)
    assert low < 5 < high
