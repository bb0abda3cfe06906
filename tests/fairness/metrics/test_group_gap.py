"""The largest and the mean gap, by hand."""

from __future__ import annotations

import pytest

from hf_equi.fairness.metrics import GroupGaps

COLUMNS = {"template": ["a"] * 4, "sample": [0, 0, 1, 1], "gap": [0.1, 0.4, 0.0, 0.3]}


def test_figures_by_hand() -> None:
    result = GroupGaps().compute(**COLUMNS)
    assert result["group_gap"] == 0.4
    assert result["group_gap_mean"] == pytest.approx(0.2)


def test_intervals_by_hand() -> None:
    # Both blocks with weight 1/2, each twice with 1/4: maxima 0.4, 0.4 and 0.3; means 0.2, 0.25 and 0.15.
    result = GroupGaps().compute(**COLUMNS)
    assert result["group_gap_interval"] == [0.3, 0.4]
    assert result["group_gap_mean_interval"] == pytest.approx([0.15, 0.25])


def test_the_largest_gap_is_never_drawn_larger() -> None:
    gaps = [0.01 * i for i in range(20)]
    result = GroupGaps().compute(template=["a"] * 20, sample=range(20), gap=gaps, resamples=200)
    assert result["group_gap_interval"][0] < result["group_gap"] == result["group_gap_interval"][1]


def test_by_its_path(load) -> None:
    assert load("group_gap").compute(**COLUMNS) == GroupGaps().compute(**COLUMNS)


def test_one_block_has_no_intervals() -> None:
    result = GroupGaps().compute(template=["a"] * 2, sample=[0, 0], gap=[0.5, 0.25])
    assert result == {
        "group_gap": 0.5,
        "group_gap_interval": None,
        "group_gap_mean": 0.375,
        "group_gap_mean_interval": None,
    }
