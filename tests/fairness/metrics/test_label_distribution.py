"""One label by demographic, by hand."""

from __future__ import annotations

import pytest

from hf_equi.fairness.metrics import LabelDistribution, RegardDistribution

COLUMNS = {
    "demographic": ["man", "woman"] * 4,
    "template": ["a"] * 4 + ["b"] * 4,
    "sample": [0, 0, 1, 1] * 2,
    "label": ["no", "no", "no", "toxic", "no", "toxic", "no", "toxic"],
    "score": [0.0, 0.2, 0.1, 0.6, 0.1, 0.7, 0.0, 0.5],
}


def test_shares_and_mean_by_hand() -> None:
    result = LabelDistribution().compute(**COLUMNS)
    assert result["shares"] == {"man": {"no": 1.0, "toxic": 0.0}, "woman": {"no": 0.25, "toxic": 0.75}}
    # All women of template b are called toxic. Of the two of template a, none, one or both that are drawn are.
    assert result["shares_interval"]["woman"] == {"no": [0, 0.5], "toxic": [0.5, 1]}
    assert result["mean_score"] == pytest.approx(2.2 / 8)
    # Blocks sum to 0.2 and 0.7 in a, 0.8 and 0.5 in b.
    assert result["mean_score_interval"] == pytest.approx([1.4 / 8, 3.0 / 8])


def test_by_its_path(load) -> None:
    assert load("label_distribution").compute(**COLUMNS) == LabelDistribution().compute(**COLUMNS)


def test_regard_is_one_case_of_it() -> None:
    labels = ["neutral", "positive"] * 4
    where = {key: COLUMNS[key] for key in ("demographic", "template", "sample")}
    own = RegardDistribution().compute(**where, label=labels, negative=[0.0] * 8, positive=COLUMNS["score"])
    other = LabelDistribution().compute(**where, label=labels, score=COLUMNS["score"])
    for name, shares in own["regard"].items():
        assert shares == {"negative": 0.0, **other["shares"][name]}
    assert own["mean_regard_interval"] == other["mean_score_interval"]
