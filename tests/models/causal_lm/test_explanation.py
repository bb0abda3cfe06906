from __future__ import annotations

import copy

import pytest
from small_models import BOTH, GENDER, tokenizer
from token_writers import bytes_tokenizer
from transformers import ByT5Tokenizer

from hf_equi import DemographicGroup, TokenAction, WordAction
from hf_equi.actions import token_action
from hf_equi.actions.resolution import resolve_tokens
from hf_equi.errors import ConfigurationError
from hf_equi.models.causal_lm.explanation import TokenExplanation, explain_tokens, explain_words


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
    assert str(explanation).endswith("\nmoves: black → white → asian\nmoves: man ↔ woman")


def test_words_in_forms_of_several_tokens_stay_and_are_listed():
    explanation = explain("man said HE met the woman, WOMAN")
    assert explanation.orbit[1] == "man said HE met the man, WOMAN"
    assert explanation.words_unmoved == ("man", "HE", "WOMAN")
    counterpart = "one token, but its counterpart 'woman' is 3 tokens, w+o+man"
    assert explanation.reasons == (counterpart, "3 tokens, ' '+H+E", "6 tokens, ' '+W+O+M+A+N")


def test_a_reason_names_the_counterpart_or_the_spelling():
    tokens = bytes_tokenizer("he she Ġboy ( Ġgirl Ġboys")
    group = DemographicGroup([["boy", "girl"], ["boys", "girls"], ["he", "she"]])
    with pytest.warns(match="boys/girls"):
        action = TokenAction(group, resolve_tokens(group, tokens, multi_token="skip"))
    explanation = explain_tokens("he boys boy (girl bOY", action, tokens)
    assert list(zip(explanation.words_unmoved, explanation.reasons, strict=True)) == [
        ("boys", "one token, but its counterpart 'girls' is not in the vocabulary"),
        ("girl", "not in the vocabulary"),
        ("bOY", "spelled in none of the forms of [boy, girl], which are 'boy', 'Boy', 'BOY'"),
    ]
    assert "stays: 'girl' (not in the vocabulary)" in str(explanation)


def test_words_of_several_tokens_are_shown_whole():
    group = DemographicGroup([["man", "woman"], ["old king", "old queen"], ["boy", "zebra"]])
    action = token_action(group, resolve_tokens(group, tokenizer(), multi_token="compose"))
    explanation = explain_tokens("a zebra, MAN and the old king", action, tokenizer())
    assert explanation.orbit[1] == "a boy, WOMAN and the old queen"
    assert explanation.moved[0] == (" zebra", (" zebra", " boy"))
    assert explanation.composed == (" zebra", " MAN", " old king")
    assert explanation.words_unmoved == ()
    assert explanation.reads_back
    assert "\nmoves: old king ↔ old queen (several tokens)" in str(explanation)


def test_a_text_whose_image_reads_otherwise_is_named():
    group = DemographicGroup([["black", "old"], ["black man", "king"]])
    action = token_action(group, resolve_tokens(group, tokenizer(), multi_token="compose"))
    explanation = explain_tokens("the old man", action, tokenizer())
    assert explanation.orbit[1] == "the black man"
    assert not explanation.reads_back
    assert "pieces of an image meet as another word" in str(explanation)


def test_a_word_in_decomposed_unicode_says_so():
    group = DemographicGroup([["père", "mère"]])
    tokens = bytes_tokenizer("pÃ¨re ĠpÃ¨re ĠmÃ¨re")
    action = TokenAction(group, resolve_tokens(group, tokens))
    explanation = explain_tokens("x pe\u0300re", action, tokens)
    assert explanation.reasons == ("written in decomposed Unicode, which this tokenizer reads as it stands",)


def test_parts_of_other_words_are_no_words_of_the_group():
    explanation = explain("the human shepherd")
    assert explanation.words_unmoved == ()


def test_repeated_words_are_listed_each_time():
    explanation = explain("a man, a man and he")
    assert [token for token, _ in explanation.moved] == [" man", " man", " he"]
    assert str(explanation).splitlines()[2:] == ["moves: man ↔ woman", "moves: he ↔ she"]


def test_words_of_several_tokens_that_move_alike_do_not_stay():
    group = DemographicGroup([["man", "woman"], ["black man", "black woman"]])
    explanation = explain("the black man", group)
    assert (explanation.orbit[1], explanation.words_unmoved) == ("the black woman", ())


def test_a_tokenizer_written_in_python_will_do():
    bytes_of_words = ByT5Tokenizer()  # which knows no places of its tokens in the text
    group = DemographicGroup([["a", "b"], ["he", "she"]])
    with pytest.warns(match="he/she"):
        action = TokenAction(group, resolve_tokens(group, bytes_of_words, multi_token="skip"))
    explanation = explain_tokens("so he and B", action, bytes_of_words)
    assert (explanation.orbit[1], explanation.words_unmoved) == ("so he bnd A", ("he",))
    assert explanation.moved == (("a", ("a", "b")), ("B", ("B", "A")))


def test_a_token_that_was_added_is_named():
    longer = copy.deepcopy(tokenizer())
    longer.add_tokens(["<new>"])
    action = TokenAction(GENDER, resolve_tokens(GENDER, tokenizer()))
    with pytest.raises(ConfigurationError, match=rf"has {len(tokenizer())} tokens, but .* '<new>'"):
        explain_tokens("the man <new>", action, longer)
    assert explain_tokens("the man", action, longer).orbit[1] == "the woman"


def test_whole_words_are_explained_whatever_their_tokens():
    explanation = explain_words("the MAN, the MAN and hE", WordAction(GENDER))
    assert explanation.orbit == ("the MAN, the MAN and hE", "the WOMAN, the WOMAN and hE")
    assert explanation.moved == (("MAN", ("MAN", "WOMAN")),)
    assert explanation.words_unmoved == ("hE",)
    assert "stays: 'hE' (spelled in none of the forms of [he, she]" in str(explanation)


@pytest.mark.parametrize("text", ["", "a song", "the nurse"])
def test_texts_without_words_of_the_group(text):
    explanation = explain(text)
    assert explanation.orbit == (text, text)
    assert explanation.moved == explanation.words_unmoved == ()
    assert str(explanation) == f"text: {text}\nmoves: nothing (no word of the group is in this text)"


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


def test_what_others_wrote_does_not_act_where_it_is_printed():
    assert str(explain("the man\x1b[2J\u202e\nsaid", GENDER)).startswith("text: the man\\x1b[2J\\u202e\nsaid\n")


def test_summary_names_everything():
    group = DemographicGroup([["man", "woman"]], general=["nurse"])
    assert str(explain("the man, MAN was a nurse", group)).splitlines() == [
        "text: the man, MAN was a nurse",
        "  the woman, MAN was a nurse",
        "moves: man ↔ woman",
        "stays: 'MAN' (4 tokens, ' '+M+A+N)",
        "general: ' nurse'",
    ]


def test_a_text_that_ends_in_the_beginning_of_a_longer_word_is_named():
    """Also if it is the image that may go on: "tiger" becomes "cat", the beginning of "cats"."""
    group = DemographicGroup([["tiger", "cat"], ["cats", "dog"]])
    action = token_action(group, resolve_tokens(group, tokenizer(), multi_token="compose"))
    explanation = explain_tokens("a tiger", action, tokenizer())
    assert explanation.open_end == " tiger"
    assert "ends in 'tiger', which may begin a longer word, here or in an image" in str(explanation)
    assert explain_tokens("a tiger,", action, tokenizer()).open_end == ""
