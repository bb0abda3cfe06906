"""Consistency, by hand."""

from __future__ import annotations

import pytest

from hf_equi.fairness.metrics import Consistency

COLUMNS = {"template": ["a"] * 6, "sample": [0, 0, 1, 1, 2, 2], "consistent": [True, True, True, True, False, False]}


def test_the_share_of_pairs_by_hand() -> None:
    assert Consistency().compute(**COLUMNS)["consistency"] == pytest.approx(2 / 3)


def test_the_interval_draws_pairs() -> None:
    # Of two pairs, one of them consistent, none, one or both are drawn: 1/4, 1/2, 1/4. Never is half a pair.
    columns = {name: column[2:] for name, column in COLUMNS.items()}
    assert Consistency().compute(**columns)["consistency_interval"] == [0, 1]
    assert Consistency().compute(**columns, confidence=0.4)["consistency_interval"] == [0.5, 0.5]


def test_by_its_path(load) -> None:
    assert load("consistency").compute(**COLUMNS) == Consistency().compute(**COLUMNS)


def test_one_block_has_no_interval() -> None:
    result = Consistency().compute(template=["a"] * 2, sample=[0, 0], consistent=[True, True])
    assert result == {"consistency": 1, "consistency_interval": None}
