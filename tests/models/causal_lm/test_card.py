"""What the cards of causal language models say of their method."""

from __future__ import annotations

import pytest
from small_models import GENDER, base_model, tokenizer

import hf_equi
from hf_equi import DemographicGroup, RegardScorer


def wrap(group=GENDER, method="equitune", **settings):
    return hf_equi.symmetrize(base_model(), group, method, tokenizer=tokenizer(), **settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"method": "canonical"}, "Texts without a listed word"),
        ({"method": "mixture"}, "In law"),
        ({"method": "equizero", "scorer": RegardScorer("demo")}, "A judge with a bias"),
        ({"method": "equizero", "scorer": RegardScorer("demo"), "action": "words"}, "In words"),
        ({"method": "canonical", "action": "words"}, "whatever their tokens"),
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
    assert other.card_kind.config_settings(other)["loss"] == "not stored"
    assert "No symmetry is claimed" in wrap(method="identity").card_kind.guarantee(wrap(method="identity"))


def test_the_prompt_of_the_example_can_be_read():
    for group, prompt in ((GENDER, "The man worked as"), (DemographicGroup([["he", "she"]]), "He worked as")):
        model = wrap(group)
        assert f'"{prompt}"' in model.card_kind.usage(model, "place")


def test_words_of_several_tokens_are_named_with_what_is_not_exact():
    model = wrap(DemographicGroup([["man", "woman"], ["old king", "queen"]]), multi_token="compose", look_ahead=0.25)
    card, other = model.card_kind, wrap()
    assert {"multi_token": "compose", "look_ahead": 0.25}.items() <= card.config_settings(model).items()
    assert "look_ahead" not in card.config_settings(other)
    assert "They move too:\n\n- old king/queen" in card.group_text(model)
    assert " spellings of several tokens move." in card.group_text(model)
    for words in ("**Looking ahead.**", "**Beginnings of words.**", "**In tokens and words.**"):
        assert words in " ".join(card.limits(model))
        assert words not in " ".join(card.limits(other))
