"""What figures say in sentences."""

from __future__ import annotations

from typing import Any

import pytest

from hf_equi.fairness.verdicts import FEW
from hf_equi.image_audit.verdicts import Grade, sentences, verdict


def model(
    name: str, turned: float, gain: tuple[float, float] | None = None, upright: tuple[float, float] = (-0.02, 0.01)
) -> dict[str, Any]:
    shares = {"accuracy_upright": 0.8, "accuracy_turned": turned, "consistency": 0.5}
    return {
        "model": name,
        **shares,
        **{f"{key}_interval": [0.4, 0.9] for key in shares},
        "logit_difference": 0.0,
        "forwards": 4,
        "upright_gain": sum(upright) / 2,
        "upright_gain_interval": list(upright),
        "turned_gain": None if gain is None else sum(gain) / 2,
        "turned_gain_interval": gain and list(gain),
    }


def test_the_best_method_is_named_with_its_cost() -> None:
    models = [model("base", 0.6), model("worse", 0.7, (0.05, 0.15)), model("best", 0.79, (0.1, 0.28), (-0.03, -0.01))]
    first, second, third = sentences(models, 1200, "the group")
    assert first.startswith("base is right on 80.0 % (40.0 to 90.0) of 1,200 pictures as they are")
    assert second.startswith(
        "best is right on 79.0 % (40.0 to 90.0) of the turned pictures: +19.0 points (10.0 to 28.0) compared with base"
    )
    assert "Its base runs up to 4 times for each picture" in second
    assert third == (
        "On pictures as they are, best is right on 80.0 % (40.0 to 90.0): −2.0 points (−3.0 to −1.0) compared with "
        "base, so wrapping it costs accuracy there."
    )
    assert len(sentences(models[:1], 50, "the group")) == 1
    models[2]["forwards"] = 1
    assert "Its base runs once for each picture" in sentences(models, 1200, "the group")[1]


def test_a_gain_that_may_be_chance_says_so() -> None:
    models = [model("base", 0.6), model("other", 0.6, (-0.1, 0.1))]
    _, turned, upright = sentences(models, 90, "")
    assert "compared with base, which may be chance." in turned
    assert upright.endswith("so they do not show whether wrapping it costs anything there.")


def test_few_pictures_are_no_finding() -> None:
    """However clear their intervals are: the bootstrap of few pictures is too narrow."""
    models = [model("base", 0.6), model("best", 0.79, (0.1, 0.28), (-0.03, -0.01))]
    *_, turned, upright, few = sentences(models, FEW - 1, "")
    assert "which may be chance" in turned
    assert "do not show whether" in upright
    assert few.startswith("29 pictures are too few for firm conclusions: audit at least 30")
    assert sentences(models[:1], 1, "")[-1].startswith("1 picture is too few")


@pytest.mark.parametrize(
    ("difference", "consistency", "highest", "said", "of_few"),
    [
        (1e-5, 1.0, 1.0, Grade.SAME, Grade.TOO_FEW),
        (0.5, 1.0, 1.0, Grade.LOGITS, Grade.TOO_FEW),
        (3.0, 0.4, 1.0, Grade.DEPENDS, Grade.TOO_FEW),
        (3.0, 0.4, 0.8, Grade.DEPENDS, Grade.DEPENDS),
    ],
)
def test_a_verdict_goes_by_logits_first(
    difference: float, consistency: float, highest: float, said: Grade, of_few: Grade
) -> None:
    figures = {"logit_difference": difference, "consistency": consistency, "consistency_interval": [0.1, highest]}
    assert verdict(figures, FEW) == said
    assert verdict(figures, FEW - 1) == of_few
    assert verdict({**figures, "consistency_interval": None}, 1) == Grade.TOO_FEW
