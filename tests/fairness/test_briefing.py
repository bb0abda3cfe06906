"""The first paragraph of a report, on constructed figures: one case for each thing that it can say."""

from __future__ import annotations

import math
from typing import Any

import pytest

from hf_equi.fairness.briefing import TOY, brief, written_date, written_size

WHO = {"man": {}, "woman": {}}
BASE = {"model": "base", "samples": 400, "regard": WHO, "group_gap": 1.5, "consistency": 0.13, "perplexity": 22.0}
EXACT = {"samples": 400, "regard": WHO, "group_gap": 3e-7, "consistency": 1.0, "perplexity": 24.0}
LABELS = {"parity_gap": 0.2, "parity_gap_p_value": 0.001, "masked_parity_gap": 0.1, "masked_parity_gap_p_value": 0.5}


def template(name: str, gap: float | None, share: float = 0.5, model: str = "base") -> dict[str, Any]:
    return {"model": model, "template": name, "group_gap_mean": gap, "inconsistency": share, "score_gap": 0.1}


def summary(*models: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """As an audit writes it, with the models by these methods beside the base."""
    kinds = {"base": "Llama"}
    return {
        "models": list(models),
        "confidence": 0.95,
        "settings": {
            "prompts": ["a", "b"],
            "samples_per_prompt": 100,
            "models": [
                {"name": one["model"], "class": kinds.get(one["model"], "EquiLM"), "base_class": "Llama"}
                for one in models
            ],
        },
        "about": {
            "models": {
                one["model"]: {
                    "source": "me/lm",
                    "revision": "0123456789abcdef",
                    "parameters": 134_515_008,
                    "rows": 2 if one["model"].startswith("Equi") else 1,
                    "scores": one["model"] == "EquizeroLM",
                }
                for one in models
            },
            "scorers": {"regard": {"source": "demo", "parameters": 938_755, "toy": True}},
        },
        "measured": {"dates": ["2026-11-29"], "seconds_per_text": {"base": 0.25, "EquiLM": 0.3, "mixture": 0.25}},
        "templates": [template("a", 0.5), template("b", 1.25)],
        **changed,
    }


def test_it_says_what_was_asked_of_which_model_on_which_date() -> None:
    said = brief(summary(BASE, {"model": "EquiLM", **EXACT})).asked
    assert said == (
        "On 29 November 2026, me/lm (135 million parameters, revision 0123456) was asked to continue each of 2 "
        "prompts about man and woman 100 times, and so were its versions by EquiLM: 800 texts. The classifier demo "
        f"(0.9 million parameters) labelled them for regard. {TOY}"
    )
    twice = summary(BASE)
    twice["about"]["scorers"]["toxic"] = twice["about"]["scorers"]["regard"]
    assert f"labelled them for regard and toxic. {TOY}" in brief(twice).asked
    assert brief(twice).asked.count(TOY) == 1
    chat = summary(BASE)
    chat["settings"]["chat"] = {"system": ["Be brief."]}
    assert "was asked in a chat with the system message “Be brief.” to answer each of 2 prompts" in brief(chat).asked
    two_days = summary(BASE, measured={"dates": ["2026-11-29", "2026-12-01"]})
    assert brief(two_days).asked.startswith("From 29 November 2026 to 1 December 2026, me/lm")
    assert TOY not in brief(summary(BASE, about={"scorers": {"toxic": {"source": "me/toxic", "toy": False}}})).asked


def test_it_says_what_differs_and_how_certain_that_is() -> None:
    assert brief(summary({**BASE, **LABELS})).differs == (
        "As it is, base treats man and woman differently: exchanging the words changes how likely "
        "its texts are, by up "
        "to 1.500 nats a token, and 87 % of its coupled texts are different. That is measured on the model itself. "
        "With the words hidden, the labels differ no more than chance would explain (parity gap 0.100, p = 0.500)."
    )
    hidden = {**BASE, **LABELS, "masked_parity_gap_p_value": 0.001}
    assert "With the words hidden, the labels differ more than chance would explain" in brief(summary(hidden)).differs
    toxic = {f"toxic:{key}": value for key, value in LABELS.items()} | {"toxic:masked_parity_gap_p_value": 0.04}
    said = brief(summary({**hidden, **toxic})).differs
    assert "By regard, with the words hidden, the labels differ more" in said
    assert "By toxic, with the words hidden, the labels differ no more than chance would" in said  # one of two tries
    exact = brief(summary({"model": "base", **EXACT})).differs
    assert exact.startswith(
        "As it is, base treats man and woman alike: exchanging the words does not change how likely"
    )
    assert "all of its coupled texts are the same" in exact


@pytest.mark.parametrize(
    ("models", "said"),
    [
        ([], ""),
        (
            [{"model": "EquiLM", **EXACT}, {"model": "mixture", **EXACT}],
            "EquiLM and mixture remove the difference. Of these, mixture costs least: one run of the model per text, "
            "as without it; as measured in this audit, 0.250 s per text instead of 0.250 s; perplexity 24.0 "
            "instead of 22.0.",
        ),
        (
            [{"model": "EquiLM", **EXACT}, {"model": "R-EquiLM", **EXACT, "group_gap": 0.7}],
            "EquiLM removes the difference. The cost: up to 2 runs of the model per text; as measured in this audit, "
            "0.300 s per text instead of 0.250 s; perplexity 24.0 instead of 22.0.",
        ),
        (
            [{"model": "EquizeroLM", **EXACT, "group_gap": None}],
            "EquizeroLM removes the difference. The cost: up to 2 runs of the model per text, and the classifier; "
            "perplexity 24.0 instead of "
            "22.0.",
        ),
        (
            [{"model": "R-EquiLM", **EXACT, "group_gap": 0.7}, {"model": "EquiLM", **EXACT, "samples": 8}],
            "No method is shown to remove the difference: R-EquiLM (different) and EquiLM (too few texts).",
        ),
    ],
)
def test_it_says_which_method_mends_it_at_what_cost(models: list[dict[str, Any]], said: str) -> None:
    assert brief(summary(BASE, *models)).mends == said


def test_what_does_not_differ_needs_no_mending() -> None:
    found = brief(summary({"model": "base", **EXACT}, {"model": "EquiLM", **EXACT}))
    assert found.mends == "There is nothing to correct."
    few = brief(summary({"model": "base", **EXACT, "samples": 8}, {"model": "EquiLM", **EXACT}))
    assert few.mends == "These texts do not show whether there is anything to correct."


def test_it_names_the_prompts_that_differ_most() -> None:
    said = brief(summary(BASE)).prompts
    assert said == (
        "The prompts that differ most: “b” (1.250 nats a token on average) and “a” (0.500 nats a token on average)."
    )
    shares = summary(BASE, templates=[template(name, None, share / 8) for share, name in enumerate("abcd")])
    assert brief(shares).prompts.startswith(
        "The prompts that differ most: “d” (37.5 % of the coupled texts differ), “c”"
    )
    assert "“a”" not in brief(shares).prompts
    assert brief(summary(BASE, templates=[template("a", 0.5)])).prompts == ""
    chat = [template(f"<user>\n{'very ' * 50}\n{name}", 0.5) for name in "ab"]
    assert "“<user> very very" in brief(summary(BASE, templates=chat)).prompts
    assert len(brief(summary(BASE, templates=chat)).prompts) < 300
    assert brief(summary(BASE, templates=[template("a", 0.0), template("b", 0.0)])).prompts == ""


def test_what_earlier_releases_did_not_write_is_left_out() -> None:
    old = {key: value for key, value in summary(BASE).items() if key not in ("about", "measured", "templates")}
    assert brief(old).parts[0].startswith("base was asked to continue each of 2 prompts")
    assert len(brief(old).parts) == 2
    assert brief({"models": []}).parts == ()
    lone = summary({**BASE, "group_gap": math.nan, "consistency": None, "regard": {"man": {}}})
    assert brief(lone).differs == "As it is, base: not compared."


def test_a_model_that_was_audited_without_its_base_speaks_for_itself() -> None:
    found = brief(summary({"model": "EquiLM", **EXACT}))
    assert found.differs.startswith("EquiLM treats man and woman alike")


def test_dates_and_sizes() -> None:
    assert written_date("2026-01-09") == "9 January 2026"
    assert [written_size(n) for n in (5, 9_960_000)] == ["0.1 million parameters", "10.0 million parameters"]
