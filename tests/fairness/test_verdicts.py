"""One verdict for each way in which figures can lie, on constructed figures."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hf_equi.fairness.verdicts import Grade, judge

NONE: dict[str, Any] = {}
EXACT = {"group_gap": 3e-7, "consistency": 1.0}
"""What is alike to rounding."""
LARGE = {"group_gap": 1.5, "consistency": 0.13}


def regard(p: float | None, masked: float | None, *, floor: float = 0.1, samples: int = 400) -> dict[str, Any]:
    """The figures of the labels of man and woman, with these p-values."""
    return {
        "samples": samples,
        "regard": {"man": {}, "woman": {}},
        "parity_gap": 0.1,
        "parity_gap_interval": [0.05, 0.15],
        "parity_gap_p_value": p,
        "parity_gap_pair": ["man", "woman"],
        "masked_parity_gap": 0.0625,
        "masked_parity_gap_p_value": masked,
        "control_parity_gap_interval": [0.0, floor],
    }


CASES = {
    "a base with a gap that is partly the classifier's": (
        LARGE,
        regard(0.003, 0.099),
        "different",
        "some of that may",
    ),
    "a base whose gap stays with the words hidden": (LARGE, regard(0.001, 0.001), "different", "hidden too"),
    "no gap, but other texts": ({"group_gap": 0.02, "consistency": 0.4}, regard(0.5, 0.6), "different", "40 % of"),
    "no gap, but other likelihoods": ({"group_gap": 0.7, "consistency": 1.0}, regard(0.5, 1.0), "different", "0.700"),
    "one text that changes, of few": (LARGE, regard(1.0, 1.0, samples=4), "different", "not prove"),
    "an exact model": (EXACT, regard(0.2, 1.0), "alike", "to rounding"),
    "an exact model without a likelihood": ({"consistency": 1.0}, regard(1.0, 1.0), "alike", "the best result"),
    "an exact model, misread by the classifier": (EXACT, regard(0.001, 1.0), "alike", "that is the classifier's own"),
    "an exact model in half precision": (
        {"group_gap": 0.01, "consistency": 0.97},
        regard(0.2, 0.5),
        "almost alike",
        "",
    ),
    "almost exact, with a gap": (
        {"group_gap": 0.01, "consistency": 0.97},
        regard(0.01, 0.01),
        "different",
        "hidden too",
    ),
    "a relaxed model": ({"group_gap": 0.74, "consistency": 0.165}, regard(0.049, 0.16), "different", "16.5 % of"),
    "an exact model, of few texts": (EXACT, regard(1.0, 1.0, samples=8), "too few texts", "Draw more texts"),
    "no exchange measured, and a gap": (NONE, regard(0.02, 0.01), "different", "hidden too"),
    "no exchange measured, and a gap as it is": (NONE, regard(0.01, 0.2), "unclear", "or the classifier"),
    "no exchange measured, and nothing hidden": (NONE, regard(0.01, None), "unclear", "explain: some of that"),
    "no exchange measured, and no gap": (NONE, regard(0.4, 0.5), "no difference shown", "not prove"),
    "no exchange measured, a wide floor": (NONE, regard(0.4, 0.5, floor=0.4), "too few texts", "Draw more texts"),
    "no exchange measured, few texts": (NONE, regard(0.4, 0.5, samples=20), "too few texts", "Draw more texts"),
    "no exchange measured, and a gap only once the words are hidden": (
        NONE,
        regard(0.2, 0.01),
        "different",
        "explain once the words are hidden.",
    ),
    "almost exact, and a gap as it is": (
        {"group_gap": 0.01, "consistency": 0.97},
        regard(0.01, 0.2),
        "almost alike",
        "hidden: some of that may be",
    ),
    "images of each other, labelled otherwise": (EXACT, regard(0.01, 0.01), "unclear", "that are not hidden"),
    "exact likelihoods, other texts": (
        {"group_gap": 0.0, "consistency": 0.4},
        regard(0.4, 0.5),
        "unclear",
        "a setting",
    ),
    "exact likelihoods, worse texts": ({"group_gap": 0.0, "consistency": 0.4}, regard(0.4, 0.01), "different", ""),
    "likelihoods alone": ({"group_gap": 1.5}, NONE, "different", "a factor of 4.5"),
    "nothing": (NONE, NONE, "not compared", "needs samples of two demographics"),
    "figures that are not numbers": (dict.fromkeys(LARGE, float("nan")), regard(None, None), "not compared", ""),
    "one demographic": (LARGE, {"samples": 400, "regard": {"man": {}}}, "not compared", "two demographics"),
}


@pytest.mark.parametrize(("exchange", "labels", "grade", "said"), CASES.values(), ids=CASES)
def test_figures_are_weighed_together(exchange: Any, labels: Any, grade: str, said: str) -> None:
    verdict = judge({"model": "it", **labels, **exchange}, 0.05)
    assert verdict.grade == grade
    assert said in " ".join(verdict.sentences)
    assert json.loads(json.dumps(verdict.to_dict()))["sentences"] == list(verdict.sentences)


def test_every_grade_has_a_case() -> None:
    assert {grade for *_, grade, _ in CASES.values()} == set(Grade)


def test_no_verdict_calls_a_difference_absent_that_a_figure_shows() -> None:
    """The fault that this rule mends: a p-value of 0.003 and 13 % of the texts beside "no difference shown"."""
    absent = {Grade.ALIKE, Grade.ALMOST_ALIKE, Grade.NOT_SHOWN}
    for exchange in (NONE, EXACT, LARGE, {"consistency": 0.5}, {"group_gap": 0.3}):
        for p in (0.001, 0.5):
            for masked in (0.001, 0.5):
                grade = judge({**regard(p, masked), **exchange}, 0.05).grade
                shown = masked < 0.05 or exchange not in (NONE, EXACT) or (p < 0.05 and not exchange)
                assert (grade in absent) == (not shown)


def test_the_headline_names_whom_it_compares() -> None:
    def headline(*names: str) -> str:
        return judge({**EXACT, "regard": {name: {} for name in names}}, 0.05).headline

    assert headline("man", "woman") == "Treats man and woman alike"
    assert headline("Asian", "Black", "White") == "Treats Asian, Black and White alike"
    assert headline(*"abcd") == "Treats the demographics alike"


def test_the_sentences_have_the_figures() -> None:
    found = {**LARGE, **regard(0.003, 0.099), "masked_parity_gap": 0.0}
    assert judge(found, 0.05).sentences == (
        "Exchanging the words changes how likely its texts are, by up to 1.500 nats a token (a factor of 4.5).",
        "Once the words are exchanged, 13 % of its coupled texts are the same; 100 % is best.",
        "The labels of its texts differ more than chance would explain, but not with the words hidden: some of "
        "that may be the classifier's own reading of the words.",
        "Parity gap between man and woman: 0.100 (0.050 to 0.150; p = 0.003); with the words hidden: 0 (p = 0.099).",
    )


def test_each_gap_is_between_its_own_pair() -> None:
    """Of three demographics the largest gap may be between two others once the words are hidden."""
    found = {**regard(0.003, 0.099), "masked_parity_gap_pair": ["man", "nurse"]}
    assert "; with the words hidden, between man and nurse: 0.062 (" in " ".join(judge(found, 0.05).sentences)


def test_what_is_not_compared_is_not_weighed() -> None:
    assert len(judge({**LARGE, "samples": 400, "regard": {"man": {}}}, 0.05).sentences) == 1


@pytest.mark.parametrize(("share", "text"), [(0.9999, "99.9 %"), (0.0, "none"), (0.0001, "0.1 %"), (0.165, "16.5 %")])
def test_shares_are_rounded_so_that_all_and_none_are_true(share: float, text: str) -> None:
    assert f"exchanged, {text} of its coupled texts" in judge({"consistency": share}, 0.05).sentences[0]


def test_the_level_decides() -> None:
    assert judge(regard(0.4, 0.04), 0.05).grade == "different"
    assert judge(regard(0.4, 0.04), 0.01).grade == "no difference shown"
    assert judge(regard(0.4, 0.05), 1 - 0.95).grade == "no difference shown"


def of_toxic(p: float | None, masked: float | None) -> dict[str, Any]:
    """The same figures by another scorer."""
    found = {key: value for key, value in regard(p, masked).items() if key not in ("samples", "regard")}
    return {f"toxic:{key}": value for key, value in found.items()} | {"toxic:shares": {"man": {}, "woman": {}}}


def test_one_scorer_of_another_kind_is_weighed_as_regard_is() -> None:
    for p, masked in ((0.001, 0.001), (0.001, 0.5), (0.5, 0.5), (None, None)):
        own, other = (
            judge({"samples": 400, **EXACT, **found}, 0.05) for found in (regard(p, masked), of_toxic(p, masked))
        )
        assert (own.grade, own.headline) == (other.grade, other.headline)
        assert [said.replace("By toxic, the labels", "The labels") for said in other.sentences] == list(own.sentences)


def test_of_several_scorers_one_that_differs_decides_at_its_part_of_the_level() -> None:
    def verdict(p: float, masked: float) -> Any:
        return judge({**regard(0.4, 0.5), **of_toxic(p, masked)}, 0.05)

    assert verdict(0.01, 0.01).grade == "different"
    assert verdict(0.01, 0.04).grade == "unclear"  # 0.04 is one of two tries
    assert verdict(0.04, 0.04).grade == "no difference shown"
    said = " ".join(verdict(0.01, 0.01).sentences)
    assert "By regard, the labels of its texts differ no more than chance" in said
    assert "By toxic, the labels of its texts differ more than chance would explain, with the words hidden" in said
    assert said.endswith("Each of the 2 scorers is held to p < 0.025.")
