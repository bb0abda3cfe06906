"""What the cards of models of text say of their words."""

from __future__ import annotations

import pytest
from small_models import BOTH, GENDER, base_model, tokenizer

import hf_equi
from hf_equi import DemographicGroup
from hf_equi.models.text.card import SHOWN


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


@pytest.mark.filterwarnings("ignore:.* stay as they are with")
def test_long_lists_are_folded_and_words_that_stay_are_named():
    model = wrap(DemographicGroup.preset("gender"), multi_token="skip")
    text = model.card_kind.group_text(model)
    assert f"<summary>{len(model.group.factors[0].sets)} sets of words</summary>" in text
    assert len(model.group.factors[0].sets) > SHOWN
    assert "the preset `gender`" in text
    assert "grandson/granddaughter" in text.split("do not move")[1]
    assert "King/Queen" in text.split("do not move")[2]
    assert "gender" in model.card_kind.group_tags(model)
    assert any(
        '"she" change places, and "his", "him" and "her" stay' in limit for limit in model.card_kind.limits(model)
    )


@pytest.mark.filterwarnings("ignore:.* stay as they are with")
def test_nothing_of_a_word_is_markdown():
    group = DemographicGroup([["</details>", "a: b"], ["*star*", "two\nlines"]])
    model = wrap(group, multi_token="skip")
    text = model.card_kind.group_text(model)
    assert r"- \</details\> → a: b" in text
    assert r"- \*star\* → two lines" in text
    assert r"\</details\>/a: b" in text


def test_relaxed_models_list_their_words_and_claim_less():
    model = wrap(GENDER.relax(neutral=["nurse", "driver"]))
    kind = model.card_kind
    assert "These words are neutral, and all other words are general:\n\n- nurse, driver" in kind.group_text(model)
    assert kind.group_tags(model) == ["relaxed"]
    assert "odds" in kind.guarantee(model)
    assert any("odds among equality and neutral tokens only" in limit for limit in kind.limits(model))
