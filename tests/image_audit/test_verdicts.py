"""What figures say in sentences."""

from __future__ import annotations

from typing import Any

import pytest

from hf_equi.image_audit.verdicts import sentences, verdict


def model(name: str, turned: float, difference: float, gain: tuple[float, float] | None = None) -> dict[str, Any]:
    shares = {"accuracy_upright": 0.8, "accuracy_turned": turned, "consistency": 0.5}
    return {
        "model": name,
        **shares,
        **{f"{key}_interval": [0.4, 0.9] for key in shares},
        "logit_difference": difference,
        "forwards": 4,
        "upright_gain": -0.01,
        "turned_gain": None if gain is None else sum(gain) / 2,
        "turned_gain_interval": gain and list(gain),
    }


def test_the_best_method_is_named_with_its_cost() -> None:
    models = [model("base", 0.6, 9.0), model("worse", 0.7, 0.0, (0.05, 0.15)), model("best", 0.79, 0.0, (0.1, 0.28))]
    first, second = sentences(models, 1200, "the group")
    assert first.startswith("base is right on 80.0 % (40.0 to 90.0) of 1,200 pictures as they are")
    assert second.startswith(
        "best is right on 79.0 % (40.0 to 90.0) of the turned pictures: +19.0 points (10.0 to 28.0)"
    )
    assert "−1.0 points" in second
    assert "up to 4 positions" in second
    assert "chance" not in second
    assert len(sentences(models[:1], 5, "the group")) == 1


def test_a_gain_that_may_be_chance_says_so() -> None:
    assert "may be chance" in sentences([model("base", 0.6, 9.0), model("other", 0.6, 0.0, (-0.1, 0.1))], 9, "")[1]


@pytest.mark.parametrize(
    ("difference", "consistency", "said"),
    [(1e-5, 1.0, "the same in all positions"), (0.5, 1.0, "same answers, different logits"), (3.0, 0.4, "depend on")],
)
def test_a_verdict_goes_by_logits_first(difference: float, consistency: float, said: str) -> None:
    assert said in verdict({"logit_difference": difference, "consistency": consistency})
