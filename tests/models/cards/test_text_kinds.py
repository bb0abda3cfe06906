"""What the cards of models of text say of their words."""

from __future__ import annotations

import pytest
from small_models import BOTH, GENDER, base_model, tokenizer
from small_seq2seq import wrap as wrap_seq2seq

import hf_equi
from hf_equi import DemographicGroup, RegardScorer
from hf_equi.models.cards.text_kinds import SHOWN


def wrap(group=GENDER, method="equitune", **settings):
    return hf_equi.symmetrize(base_model(), group, method, tokenizer=tokenizer(), **settings)


def test_word_lists_stand_in_full():
    text = wrap(BOTH).card_kind.group_text(wrap(BOTH))
    for line in ("- man → woman", "- he → she", "- black → white → asian", "6 elements", "direct product"):
        assert line in text
    moved = len(wrap(BOTH).action.moved)
    assert f"{moved} of {len(tokenizer())} tokens move." in text
    assert "<details>" not in text
    assert "do not move" not in text


@pytest.mark.filterwarnings("ignore:Left out, no form is one token")
def test_long_lists_are_folded_and_words_that_stay_are_named():
    model = wrap(DemographicGroup.preset("gender"), multi_token="skip")
    text = model.card_kind.group_text(model)
    assert f"<summary>{len(model.group.factors[0].sets)} sets of words</summary>" in text
    assert len(model.group.factors[0].sets) > SHOWN
    assert "the preset `gender`" in text
    assert "grandson/granddaughter" in text.split("do not move")[1]
    assert "gender" in model.card_kind.group_tags(model)


def test_nothing_of_a_word_is_markdown():
    group = DemographicGroup([["</details>", "a: b"], ["*star*", "two\nlines"]])
    model = wrap(group, "equizero", multi_token="skip", action="words", scorer=RegardScorer("demo"))
    text = model.card_kind.group_text(model)
    assert r"- \</details\> → a: b" in text
    assert r"- \*star\* → two lines" in text
    assert r"\</details\>/a: b" in text


def test_relaxed_models_list_their_words_and_claim_less():
    model = wrap(GENDER.relax(neutral=["nurse", "driver"]))
    kind = model.card_kind
    assert "Words that are neutral; all words beside are general:\n\n- nurse, driver" in kind.group_text(model)
    assert kind.group_tags(model) == ["relaxed"]
    assert "odds" in kind.guarantee(model)
    assert any("odds among equality and neutral tokens only" in limit for limit in kind.limits(model))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"method": "canonical"}, "Texts that name nobody"),
        ({"method": "mixture"}, "In law"),
        ({"method": "equizero", "scorer": RegardScorer("demo")}, "A judge with a bias"),
        ({"method": "equizero", "scorer": RegardScorer("demo"), "action": "words"}, "In words"),
    ],
)
def test_limits_go_by_the_method(settings, words):
    limits = " ".join(wrap(**settings).card_kind.limits(wrap(**settings)))
    assert words in limits
    assert words not in " ".join(wrap().card_kind.limits(wrap()))
    assert "not a causal one" in limits


def test_settings_name_the_loss():
    named = wrap(method="equizero", scorer=RegardScorer("demo"))
    assert named.card_kind.config_settings(named)["loss"] == "RegardScorer('demo')"
    other = wrap(method="equizero", scorer=len)
    assert other.card_kind.config_settings(other)["loss"] == "a callable, not stored"
    assert "No symmetry is claimed" in wrap(method="identity").card_kind.guarantee(wrap(method="identity"))


def test_sequence_models_speak_of_both_sides():
    model = wrap_seq2seq("lstm", method="equizero")
    kind = model.card_kind
    assert "source tokens and" in kind.group_text(model)
    assert "do not move" not in kind.group_text(model)  # a set that one side knows moves
    assert kind.config_settings(model)["loss"] == "max_probability"
    assert "loss" not in kind.config_settings(wrap_seq2seq("lstm"))
    assert {"A choice", "Each member alone"} <= {limit[2:].split(".")[0] for limit in kind.limits(model)}
