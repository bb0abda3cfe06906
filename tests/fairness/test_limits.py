"""What is said beside texts that are compared."""

from __future__ import annotations

import pytest
from small_models import GENDER, RACE, base_model, chat_tokenizer, tokenizer

import hf_equi
from hf_equi import DemographicGroup, TokenAction
from hf_equi.actions import token_action
from hf_equi.actions.resolution import resolve_tokens
from hf_equi.fairness.chat import Conversation
from hf_equi.fairness.completions import compare
from hf_equi.fairness.decoding import Decoding
from hf_equi.fairness.limits import limits, read_words, staying_names, staying_words


def test_words_that_stay_are_said_of_each_prompt() -> None:
    action = TokenAction(GENDER, resolve_tokens(GENDER, tokenizer()))
    prompts = [["the man"], ["the {demographic}", "the MAN", "the WOMAN", "the MAN"]]
    assert list(staying_words(prompts, action, tokenizer())) == [
        "in 'the {demographic}' words of the group stay where they are: 'MAN', 'WOMAN'; hf-equi inspect --text shows "
        "why"
    ]


@pytest.mark.parametrize(
    ("group", "method", "prompt", "said"),
    [
        (GENDER, "equitune", "the man", []),
        (GENDER, "canonical", "known for", ["nothing moves", "canonical does"]),
        (GENDER.relax(general=["nurse"]), "equitune", "the man", ["the group"]),
    ],
)
def test_what_keeps_a_gap_from_zero_is_said(group, method, prompt, said) -> None:
    lm = hf_equi.symmetrize(base_model(), group, method, tokenizer=tokenizer())
    lines = limits(lm, compare(lm, [prompt], Decoding(max_new_tokens=1)))
    assert [" ".join(line.split()[:2]) for line in lines] == said


def test_what_moves_around_a_message_is_said() -> None:
    lm = hf_equi.symmetrize(base_model(), GENDER, tokenizer=chat_tokenizer())
    asked = [Conversation((("system", said), ("user", "the man")), hidden=1) for said in ("the woman", "known for")]
    first, second = (list(limits(lm, compare(lm, [one], Decoding(max_new_tokens=1)))) for one in asked)
    assert [line.partition(",")[0] for line in first] == ["'woman' in the turns around 'the man' moves too"]
    assert second == []


def test_names_that_the_group_does_not_exchange_are_told() -> None:
    sets = [["he", "she"], ["gay", "straight"]]
    assert staying_names(GENDER * RACE) is None
    assert staying_names(DemographicGroup(sets, names=["gay person", "straight person"])) is None
    said = staying_names(DemographicGroup(sets, names=["male", "female"]))
    assert said.startswith("the group turns the name 'male' into 'male', not into 'female', so nothing is guaranteed")
    assert staying_names(DemographicGroup([["C++", "C"]], names=["x", "y"])) is None  # which has no action on words


def test_words_of_several_tokens_and_prompts_that_end_in_one_are_said() -> None:
    group = DemographicGroup([["tiger", "cat"], ["cats", "dog"]])
    action = token_action(group, resolve_tokens(group, tokenizer(), multi_token="compose"))
    prompts = [["the cats met"], ["a tiger"], ["the tigers met"], ["the man"]]
    assert list(read_words(prompts, action, tokenizer())) == [
        "words of several tokens that move as one: 'cats', 'tiger'",
        "'a tiger' ends in 'tiger', which may begin a longer word, here or in an image, so nothing is guaranteed for "
        "its texts",
        "pieces of 'the tigers met', or of an image of it, meet as another word, so nothing in it moves",
    ]
    assert list(read_words(prompts, TokenAction(GENDER, resolve_tokens(GENDER, tokenizer())), tokenizer())) == []
