"""Figures of answers, against sums by hand."""

from __future__ import annotations

import pytest

from hf_equi import ImageGroup
from hf_equi.fairness.resampling import Resampling
from hf_equi.image_audit import summarise
from hf_equi.image_audit.views import make_views

VIEWS = make_views(ImageGroup.flips("vertical"))  # upright, vertical, mirrored
PLAN = Resampling(resamples=200)


def row(label: int, answers: list[int], difference: float = 0.0) -> dict[str, object]:
    return {"label": label, "answers": answers, "difference": difference, "seconds": 0.25}


def test_figures_of_two_models() -> None:
    rows = {
        "base": [row(0, [0, 1, 0], 2.0), row(0, [0, 0, 1], 1.0), row(1, [0, 0, 1], 0.0), row(1, [1, 1, 1], 1.0)],
        "other": [row(0, [0, 0, 0]), row(0, [0, 0, 0]), row(1, [0, 0, 1]), row(1, [1, 1, 1])],
    }
    base, other = summarise(rows, VIEWS, {"base": 1, "other": 2}, PLAN)
    assert base["accuracy_upright"] == base["accuracy:upright"] == 3 / 4
    assert base["accuracy:vertical"] == 2 / 4
    assert base["accuracy:mirrored"] == 3 / 4
    assert base["accuracy_turned"] == 5 / 8  # the mirror is not in the group
    assert base["consistency"] == 3 / 4
    assert (base["logit_difference"], base["logit_difference_mean"]) == (2.0, 1.0)
    assert base["images_per_second"] == 4
    assert base["turned_gain"] is base["turned_gain_interval"] is None
    assert (other["upright_gain"], other["turned_gain"]) == (0.0, 1 / 8)
    assert other["upright_gain_interval"] == [0.0, 0.0]  # picture by picture
    low, high = other["turned_gain_interval"]
    assert 0 <= low < 1 / 8 < high <= 1 / 2
    assert other["forwards"] == 2
    assert other["consistency_interval"] == [1.0, 1.0]


def test_one_picture_has_no_interval() -> None:
    [only] = summarise({"base": [row(0, [0, 1, 0])]}, VIEWS, {"base": 1}, PLAN)
    assert only["accuracy_turned"] == pytest.approx(0.5)
    assert only["accuracy_turned_interval"] is None
