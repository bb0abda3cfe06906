"""Models, made ready for an audit or refused."""

from __future__ import annotations

import copy

import pytest
from small_models import BOTH, GENDER, RACE, base_model, tokenizer

import hf_equi
from hf_equi import DemographicGroup
from hf_equi.errors import ConfigurationError, GroupWarning, HfEquiWarning
from hf_equi.fairness.auditing.blocks import make_blocks
from hf_equi.fairness.auditing.subjects import Subject, make_subjects
from hf_equi.symmetrizers import Drafts

TEMPLATES = ["the {demographic} was", "known for"]


def subjects(models: object, group: DemographicGroup = GENDER, max_new_tokens: int = 5) -> tuple[Subject, ...]:
    return make_subjects(models, group, tokenizer(), make_blocks(TEMPLATES, group, tokenizer()), max_new_tokens)


def other_tokenizer() -> hf_equi.EquiLM:
    lm = equi(GENDER)
    lm.config.tokenizer_fingerprint = "0" * 32
    return lm


def equi(group: DemographicGroup, **settings: object) -> hf_equi.EquiLM:
    return hf_equi.symmetrize(base_model(), group, tokenizer=tokenizer(), **settings)


def test_a_plain_model_is_scored_as_it_is() -> None:
    (one,) = subjects({"base": base_model()})
    assert one.lm.config.method == "identity"
    assert one.scored is one.base is base_model()
    assert one.words is None


def test_a_model_keeps_its_own_group() -> None:
    relaxed, product = equi(GENDER.relax(neutral=["nurse"])), equi(BOTH)
    first, second = subjects({"relaxed": relaxed, "product": product})
    assert first.lm is first.scored is relaxed
    assert first.action is relaxed.action
    assert second.lm is product
    assert second.action.group == GENDER
    assert set(second.action.moved.tolist()) < set(product.action.moved.tolist())


def test_without_a_tractable_likelihood_nothing_scores_a_model() -> None:
    lm = equi(GENDER)
    lm.method.combine = Drafts()
    assert subjects({"search": lm})[0].scored is None


def test_a_model_that_acts_on_words_is_compared_in_words() -> None:
    lm = hf_equi.symmetrize(base_model(), GENDER, "canonical", tokenizer=tokenizer(), action="words")
    (subject,) = subjects({"words": lm})
    assert subject.words is not None
    assert subject.scored is None


def test_prompts_that_are_no_images_in_tokens_are_not_compared_and_that_is_noted() -> None:
    group = DemographicGroup([["policeman", "policewoman"], ["he", "she"]])
    with pytest.warns(HfEquiWarning) as caught:
        (one,) = subjects({"base": base_model()}, group)
    assert not one.coupled
    assert subjects({"base": base_model()})[0].coupled
    assert any("'the policewoman was' is not 'the policeman was'" in str(warning.message) for warning in caught)


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ({}, "models needs at least one model by name"),
        ([base_model()], "models needs at least one model by name"),
        ({" ": base_model()}, "A model has the name ' '"),
        ({3: base_model()}, "A model has the name 3"),
        ({"base": "gpt2"}, "The model 'base' is a str"),
        ({"base": copy.deepcopy(base_model()).train()}, "The model 'base' is in training mode"),
        ({"lm": other_tokenizer()}, "tokenizer of the audit of 'lm' is not the one"),
        ({"lm": equi(RACE)}, r"'lm' was symmetrised to .*which lacks the sets of \[man, woman\]"),
    ],
)
def test_other_models_are_refused(models, message) -> None:
    with pytest.raises(ConfigurationError, match=message):
        subjects(models)


def test_a_prompt_beyond_the_positions_is_refused() -> None:
    subjects({"base": base_model()}, max_new_tokens=125)
    with pytest.raises(
        ConfigurationError, match="'the man was' has 3 tokens, and max_new_tokens=126 goes beyond the 128"
    ):
        subjects({"base": base_model()}, max_new_tokens=126)


def test_words_of_several_tokens_are_exchanged_in_the_figures_of_all_models_if_one_moves_them() -> None:
    """The noise of a base is tied by these words. Another method would draw a member of other orbits."""
    group = DemographicGroup([["old king", "queen"], ["he", "she"]])
    composed = equi(group, multi_token="compose")
    with pytest.warns(GroupWarning, match="old king/queen"):
        mixture = equi(group, method="mixture", multi_token="skip")
    with pytest.warns(HfEquiWarning, match="exchanged that the model 'mixture' moves, so the model has no"):
        base, mixture, lm = subjects({"base": base_model(), "mixture": mixture, "lm": composed}, group)
    assert lm.action is composed.action
    for one, coupled in ((base, True), (mixture, False), (lm, True)):
        assert one.action.same_as(lm.action)
        assert (one.exchanged, one.coupled) == (True, coupled)
