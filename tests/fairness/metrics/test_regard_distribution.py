"""Regard by demographic, by hand."""

from __future__ import annotations

import pytest

from hf_equi.errors import ConfigurationError
from hf_equi.fairness.metrics import RegardDistribution

COLUMNS = {
    "demographic": ["man", "woman"] * 4,
    "template": ["a"] * 4 + ["b"] * 4,
    "sample": [0, 0, 1, 1] * 2,
    #          man        woman      man        woman
    "label": ["positive", "neutral", "neutral", "negative", "positive", "negative", "positive", "negative"],
    "negative": [0.0, 0.2, 0.1, 0.6, 0.1, 0.7, 0.0, 0.5],
    "positive": [0.9, 0.3, 0.2, 0.1, 0.8, 0.1, 1.0, 0.4],
}


def test_shares_and_mean_by_hand() -> None:
    result = RegardDistribution().compute(**COLUMNS)
    assert result["regard"] == {
        "man": {"negative": 0.0, "neutral": 0.25, "positive": 0.75},
        "woman": {"negative": 0.75, "neutral": 0.25, "positive": 0.0},
    }
    # 0.9 + 0.1 + 0.1 - 0.5 + 0.7 - 0.6 + 1.0 - 0.1 = 1.6
    assert result["mean_regard"] == pytest.approx(1.6 / 8)


def test_intervals_by_hand() -> None:
    result = RegardDistribution().compute(**COLUMNS)
    # All men of template b are positive. Of the two of template a, none, one or both that are drawn are.
    assert result["regard_interval"]["man"] == {"negative": [0, 0], "neutral": [0, 0.5], "positive": [0.5, 1]}
    # Blocks sum to 1.0 and -0.4 in a, 0.1 and 0.9 in b: drawn are at worst -0.8 + 0.2, at best 2.0 + 1.8.
    assert result["mean_regard_interval"] == pytest.approx([-0.6 / 8, 3.8 / 8])


def test_by_its_path(load) -> None:
    assert load("regard_distribution").compute(**COLUMNS) == RegardDistribution().compute(**COLUMNS)


def test_an_unknown_label_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"\['other'\] are not labels of regard: use negative, neutral, pos"):
        RegardDistribution().compute(**{**COLUMNS, "label": ["other"] * 8})
