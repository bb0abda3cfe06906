"""The probabilities of the next token, member by member."""

from __future__ import annotations

import pytest
import torch
from small_models import BOTH, GENDER, base_model, tokenizer

import hf_equi
from hf_equi.demo.next_words import next_words
from hf_equi.fairness.completions import Member, compare
from hf_equi.fairness.decoding import Decoding


def members(lm, prompt):
    return compare(lm, [prompt], Decoding(max_new_tokens=1)).orbits[0].members


@pytest.mark.parametrize(
    ("group", "prompt"), [(GENDER, "the man said"), (BOTH, "the black man said"), (BOTH, "the man")]
)
def test_each_member_has_the_image_of_the_token(group, prompt) -> None:
    lm = hf_equi.symmetrize(base_model(), group, tokenizer=tokenizer())
    orbit = members(lm, prompt)
    words = next_words(lm, orbit, len(tokenizer()))
    assert len(words) == len(tokenizer())
    by_text = {word.text: word for word in words}
    moved, still = by_text["he / she"], by_text["nurse"]
    with torch.no_grad():
        for place, member in enumerate(orbit):
            shares = lm.base(torch.tensor([member.tokens])).logits[0, -1].softmax(-1)
            pronoun = " she" if "woman" in member.elements[0] else " he"
            for word, text in ((moved, pronoun), (still, " nurse")):
                [token] = tokenizer()(text)["input_ids"]
                assert word.base[place] == pytest.approx(shares[token].item(), abs=1e-6)
    assert max(max(word.equi) - min(word.equi) for word in words) < 1e-5
    assert max(max(word.base) - min(word.base) for word in words) > 0.01
    most = [max((*word.base, *word.equi)) for word in words]
    assert most == sorted(most, reverse=True)


def test_tokens_without_letters_have_names(lm) -> None:
    texts = [word.text for word in next_words(lm, members(lm, "known for"), len(tokenizer()))]
    assert {"space", "new line", "he", "she"} <= {*texts}
    assert "he / she" not in texts  # the prompt is its own image, and has one bar for each of the two
    assert all(text.strip() == text != "" for text in texts)


def test_after_a_prompt_that_names_nobody_each_word_is_beside_its_counterparts(lm) -> None:
    words = next_words(lm, members(lm, "the"), len(tokenizer()))
    texts = [word.text for word in words]
    first, second = sorted(map(texts.index, ("he", "she")))
    assert second == first + 1
    assert words[first].equi[0] == pytest.approx(words[second].equi[0], abs=1e-6)
    assert words[first].base[0] != pytest.approx(words[second].base[0], abs=1e-3)


def test_a_search_has_no_law() -> None:
    scorer = hf_equi.RegardScorer("demo")
    search = hf_equi.symmetrize(base_model(), GENDER, "equizero", tokenizer=tokenizer(), scorer=scorer)
    assert {word.equi for word in next_words(search, members(search, "the man"), 3)} == {None}


def test_words_of_several_tokens_are_left_out() -> None:
    """Of these, the probability of the first token is not that of the word; images of the prompt differ in length."""
    group = hf_equi.DemographicGroup([["man", "woman"], ["old king", "queen"], ["black", "tiger"]])
    lm = hf_equi.symmetrize(base_model(), group, tokenizer=tokenizer(), multi_token="compose", look_ahead=0.05)
    orbit = [
        Member((name,), tuple(lm.action.member(g, tokenizer()("the old king was")["input_ids"])), (), (), ())
        for g, name in enumerate(group.names)
    ]
    assert len({len(member.tokens) for member in orbit}) == 2
    words = next_words(lm, orbit, len(tokenizer()))
    assert len(words) == int(lm.action.alone.sum()) < len(tokenizer())
    assert "black" not in {word.text for word in words}
    assert "man / woman" in {word.text for word in words}
    assert max(max(word.equi) - min(word.equi) for word in words) < 1e-5
    assert max(max(word.base) - min(word.base) for word in words) > 0.001
