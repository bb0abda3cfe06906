"""Words of several tokens: which sets they make, and which are refused."""

from __future__ import annotations

import warnings

import pytest
from piece_tokenizers import byte_pairs, marked_pieces

from hf_equi import DemographicGroup
from hf_equi.actions import token_action
from hf_equi.actions.composition import changed_forms
from hf_equi.actions.resolution import cover_tokens, resolve_pair, resolve_tokens
from hf_equi.actions.staying import StayingWords
from hf_equi.errors import ActionError, ConfigurationError, GroupWarning

FAMILY = DemographicGroup([["nephew", "niece"], ["grandson", "granddaughter"], ["salesman", "saleswoman"]])
PEOPLE = DemographicGroup(
    [["African American", "European American"], ["the elderly", "the young"], ["Jamal", "Emily"]],
    names=["a person", "another person"],
)


def composing(group, tokenizer):
    return token_action(group, resolve_tokens(group, tokenizer, multi_token="compose"))


def image(action, tokenizer, text, element=1):
    return tokenizer.decode(action.member(element, tokenizer(text)["input_ids"]))


@pytest.mark.parametrize("digits", [False, True])
@pytest.mark.parametrize(
    ("group", "text", "expected"),
    [
        (FAMILY, "The nephew's grandson, a salesman.", "The niece's granddaughter, a saleswoman."),
        (FAMILY, "Niece, NEPHEW (nephew)\nGrandsons", "Nephew, NIECE (niece)\nGranddaughters"),
        (PEOPLE, "An African American met Jamal.", "An European American met Emily."),
        (PEOPLE, "THE ELDERLY, Emily's African American", "THE YOUNG, Jamal's European American"),
        (PEOPLE, "the African Americans and The Young", "the European Americans and The Elderly"),
        (PEOPLE, "African", "African"),
    ],
)
def test_words_phrases_and_names_move_whatever_their_tokens(digits, group, text, expected):
    tokenizer = byte_pairs(digits)
    with warnings.catch_warnings(action="error"):
        action = composing(group, tokenizer)
    assert cover_tokens(group, tokenizer).lost
    assert cover_tokens(group, tokenizer, composes=True).lost == ()
    assert action.composes
    assert (image(action, tokenizer, text), image(action, tokenizer, expected)) == (expected, text)
    assert action.reads_back(tokenizer(text)["input_ids"])


def test_factors_of_a_product_move_on_their_own():
    tokenizer, group = byte_pairs(), FAMILY * PEOPLE
    action = composing(group, tokenizer)
    texts = [image(action, tokenizer, "a niece met Jamal", g) for g in range(4)]
    assert texts == ["a niece met Jamal", "a niece met Emily", "a nephew met Jamal", "a nephew met Emily"]


def test_pieces_that_move_alike_make_no_set():
    tokenizer = marked_pieces("▁sales man woman ▁man ▁woman ▁ne phew ▁nie ce")
    group = DemographicGroup([["man", "woman"], ["salesman", "saleswoman"], ["nephew", "niece"]])
    token_map = resolve_tokens(group, tokenizer, multi_token="compose")
    spelled = [["".join(tokenizer.convert_ids_to_tokens(list(form))) for form in row] for row in token_map.composed[0]]
    assert spelled == [["▁nephew", "▁niece"]]
    assert image(token_action(group, token_map), tokenizer, "x salesman") == "x saleswoman"


def test_a_word_may_begin_a_word_of_another_set():
    tokenizer = byte_pairs()
    action = composing(DemographicGroup([["African", "Jamal"], ["African American", "Emily"]]), tokenizer)
    assert image(action, tokenizer, "an African and an African American") == "an Jamal and an Emily"
    ids = tokenizer("an Jamal American")["input_ids"]
    assert not action.reads_back(ids)  # its image reads as one word
    assert image(action, tokenizer, "an Jamal American") == "an African American"


def test_possessives_have_tokens_of_their_own_only_where_they_must():
    group = DemographicGroup([["nephew", "niece"]])
    cut = marked_pieces("▁ne phew ▁nie ce 's .")
    assert len(resolve_tokens(group, cut, multi_token="compose").composed[0]) == 1
    joined = marked_pieces("▁ne phew ▁nie ce 's ce's .")
    with warnings.catch_warnings(action="error"):
        action = composing(group, joined)
    assert len(action.token_map.composed[0]) == 2
    assert image(action, joined, "x nephew's niece") == "x niece's nephew"
    assert joined.convert_ids_to_tokens(joined("x niece's")["input_ids"]) == ["x", "▁nie", "ce's"]


def test_a_word_that_is_cut_differently_before_something_stays_there_and_is_said():
    group = DemographicGroup([["nephew", "niece"]])
    tokenizer = marked_pieces("▁ne phew ▁nie ce phew. . , 's ▁said")
    with pytest.warns(GroupWarning, match=r"other tokens, depending on what follows: 'nephew' before '\.'\. There"):
        action = composing(group, tokenizer)
    (changed,) = changed_forms(cover_tokens(group, tokenizer, composes=True), tokenizer)
    assert (changed.word, changed.behind) == ("nephew", ".")
    staying = StayingWords(action, tokenizer)
    found = [staying.among(tokenizer(text, return_tensors="pt")["input_ids"]) for text in ("x nephew,", "x nephew.")]
    assert found == [(), ("nephew",)]


def test_a_word_that_the_tokenizer_cannot_write_is_refused_by_name_unless_it_is_of_a_preset():
    tokenizer = marked_pieces("▁ne phew ▁man ▁woman")
    own = DemographicGroup([["man", "woman"], ["nephew", "niece"]])
    with pytest.raises(ActionError, match=r"cannot write .*: nephew/niece \('niece': not in the vocabulary\)\. Leave"):
        resolve_tokens(own, tokenizer, multi_token="compose")
    with pytest.warns(GroupWarning, match=r"\(they or a counterpart cannot be written in it\): .*compose --all"):
        token_map = resolve_tokens(DemographicGroup.preset("gender"), tokenizer, multi_token="compose")
    assert (len(token_map.sets[0]), token_map.composed) == (1, ())


def test_words_that_share_their_tokens_are_refused_and_both_are_named():
    tokenizer = byte_pairs(lower=True)
    with pytest.raises(ActionError, match=r"Polish/Jamal and polish/sheen share the same tokens"):
        composing(DemographicGroup([["polish", "sheen"], ["Polish", "Jamal"]], forms=[]), tokenizer)
    with pytest.raises(ActionError, match=r"writes two of 'Polish', 'polish' with the same tokens"):
        composing(DemographicGroup([["Polish", "polish"]]), tokenizer)
    action = composing(DemographicGroup([["Emily", "Jamal"]]), tokenizer)  # equal mappings are one
    assert len(action.token_map.composed[0]) == 2
    assert image(action, tokenizer, "EMILY") == "jamal"


def test_special_tokens_do_not_move():
    with pytest.raises(ActionError, match=r"One of '<end>', 'nephew' has a special token"):
        composing(DemographicGroup([["<end>", "nephew"]]), byte_pairs())


def test_neutral_and_general_words_of_several_tokens_are_units():
    tokenizer = byte_pairs()
    relaxed = FAMILY.relax(neutral=["elderly", "man"])
    token_map = resolve_tokens(relaxed, tokenizer, multi_token="compose")
    words = {tokenizer.decode(list(form)) for form in token_map.composed_neutral[0]}
    assert {" elderly", "Elderly", " MAN"} <= words
    assert token_map.composed_general == ()
    action = token_action(relaxed, token_map)
    (unit,) = action.read(tokenizer(" elderly")["input_ids"])
    assert not action.general[unit]
    assert action.general[action.read(tokenizer(" Jamal")["input_ids"])].all()
    moving = DemographicGroup([["man", "woman"]]).relax(general=["salesman"])
    pieces = marked_pieces("▁sales man woman ▁man ▁woman")
    with pytest.raises(
        ActionError, match=r"general words cannot be written, or have a piece that moves, .*: salesman"
    ):
        resolve_tokens(moving, pieces, multi_token="compose")


def test_it_is_for_one_text():
    with pytest.raises(ConfigurationError, match=r"multi_token=\"compose\" is for causal language models"):
        resolve_pair(FAMILY, byte_pairs(), byte_pairs(), multi_token="compose")
