from __future__ import annotations

import pytest
from small_models import BOTH, GENDER, tokenizer

from hf_equi import DemographicGroup, TokenAction
from hf_equi.actions.resolution import resolve_tokens
from hf_equi.models.causal_lm.explanation import TokenExplanation, explain_tokens


def explain(text: str, group: DemographicGroup = GENDER) -> TokenExplanation:
    """In `tokenizer`, "man", "woman", "he" and "she" are one token after a space, "He" and "She" also without."""
    return explain_tokens(text, TokenAction(group, resolve_tokens(group, tokenizer())), tokenizer())


def test_moved_words_and_the_texts_they_become():
    explanation = explain("He met the woman")
    assert explanation.text == "He met the woman"
    assert explanation.orbit == ("He met the woman", "She met the man")
    assert explanation.moved == (("He", ("He", "She")), (" woman", (" woman", " man")))
    assert explanation.words_unmoved == ()
    assert explanation.general == ()


def test_products_list_each_element_in_order():
    explanation = explain("a black man", BOTH)
    pairs = [(colour, sex) for sex in ("man", "woman") for colour in ("black", "white", "asian")]
    assert explanation.orbit == tuple(f"a {colour} {sex}" for colour, sex in pairs)
    assert explanation.moved == (
        (" black", (" black", " white", " asian") * 2),
        (" man", (" man",) * 3 + (" woman",) * 3),
    )


def test_words_in_forms_of_several_tokens_stay_and_are_listed():
    explanation = explain("man said HE met the woman, WOMAN")
    assert explanation.orbit[1] == "man said HE met the man, WOMAN"
    assert explanation.words_unmoved == ("man", "HE", "WOMAN")


def test_parts_of_other_words_are_no_words_of_the_group():
    explanation = explain("the human shepherd")
    assert explanation.words_unmoved == ()


def test_repeated_words_are_listed_each_time():
    assert [token for token, _ in explain("a man, a man and he").moved] == [" man", " man", " he"]


@pytest.mark.parametrize("text", ["", "a song", "the nurse"])
def test_texts_without_words_of_the_group(text):
    explanation = explain(text)
    assert explanation.orbit == (text, text)
    assert explanation.moved == explanation.words_unmoved == ()
    assert str(explanation) == f"text: {text}\nmoves: nothing"


@pytest.mark.parametrize(
    ("lists", "general"),
    [
        ({"general": ["nurse", "driver"]}, (" nurse",)),
        ({"neutral": ["nurse", "the"]}, (" was", " a")),
    ],
)
def test_general_tokens_of_a_relaxed_group(lists, general):
    group = DemographicGroup([["man", "woman"]], **lists)
    assert explain(" the man was a nurse", group).general == general


def test_summary_names_everything():
    group = DemographicGroup([["man", "woman"]], general=["nurse"])
    assert str(explain("the man, MAN was a nurse", group)).splitlines() == [
        "text: the man, MAN was a nurse",
        "  the woman, MAN was a nurse",
        "moves: ' man' -> ' man', ' woman'",
        "stays: 'MAN' is a word of the group, but not one token here",
        "general: ' nurse'",
    ]
