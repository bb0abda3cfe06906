"""Completing the orbits of prompts."""

from __future__ import annotations

import copy
import re
from dataclasses import replace

import pytest
import torch
from accelerate import cpu_offload
from small_models import BOTH, GENDER, base_model, chat_tokenizer, tokenizer

import hf_equi
from hf_equi import DemographicGroup
from hf_equi.display import plain
from hf_equi.errors import ConfigurationError
from hf_equi.fairness.chat import Conversation
from hf_equi.fairness.completions import Prompt, compare, work
from hf_equi.fairness.decoding import Decoding
from hf_equi.fairness.work import Work

PROMPTS = ["the man worked as", "and she was", "known for"]


def equi(group=GENDER):
    return hf_equi.symmetrize(base_model(), group, tokenizer=tokenizer())


SWAP = {
    "woman": "man",
    "Woman": "Man",
    "man": "woman",
    "Man": "Woman",
    "she": "he",
    "She": "He",
    "he": "she",
    "He": "She",
}


def swapped(pieces):
    return "".join(
        re.sub("|".join(SWAP), lambda match: SWAP[match[0]], piece) if moved else piece for piece, moved in pieces
    )


def texts(comparison):
    return [[(m.prompt, m.base, m.equi) for m in orbit.members] for orbit in comparison.orbits]


def test_an_orbit_has_the_prompt_first_and_each_member_once() -> None:
    orbits = compare(equi(BOTH), PROMPTS, Decoding(max_new_tokens=2)).orbits
    assert [[plain(member.prompt) for member in orbit.members] for orbit in orbits] == [
        ["the man worked as", "the woman worked as"],
        ["and she was", "and he was"],
        ["known for"],
    ]
    assert orbits[0].members[1].elements == ("woman black", "woman white", "woman asian")
    assert [orbit.moves for orbit in orbits] == [True, True, False]


def test_texts_of_an_orbit_are_mapped_to_each_other_by_the_equilm_alone() -> None:
    comparison = compare(equi(), PROMPTS[:2], Decoding(samples=4, max_new_tokens=8))
    for first, second in (orbit.members for orbit in comparison.orbits):
        assert [swapped(text) for text in first.equi] == [plain(text) for text in second.equi]
        assert [swapped(text) for text in first.base] != [plain(text) for text in second.base]


def test_gaps_are_those_of_each_models_own_texts() -> None:
    comparison = compare(equi(BOTH), PROMPTS, Decoding(samples=2, max_new_tokens=5))
    assert comparison.equi_gap.largest <= 1e-5
    assert comparison.base_gap.mean > 0.01
    assert comparison.texts == 10


def test_the_base_completes_a_prompt_as_it_does_alone() -> None:
    lm = equi()
    comparison = compare(lm, ["the man worked as"], Decoding(samples=2, max_new_tokens=5, seed=4))
    prompts = lm.tokenizer(["the man worked as", "the woman worked as"], return_tensors="pt")
    torch.manual_seed(4)
    out = lm.base.generate(
        **prompts, max_new_tokens=5, do_sample=True, top_k=40, num_return_sequences=2, pad_token_id=1
    )
    expected = [lm.tokenizer.decode(row[prompts["input_ids"].shape[1] :], skip_special_tokens=True) for row in out]
    assert [plain(text) for member in comparison.orbits[0].members for text in member.base] == expected


def test_the_seed_decides_and_torchs_own_generator_is_left_as_it_was() -> None:
    state = torch.get_rng_state()
    first, again, other = (compare(equi(), PROMPTS, Decoding(max_new_tokens=6, seed=seed)) for seed in (1, 1, 2))
    assert texts(first) == texts(again) != texts(other)
    assert torch.get_rng_state().equal(state)


@pytest.mark.parametrize("decoding", [Decoding(greedy=True, max_new_tokens=4), Decoding(beams=3, max_new_tokens=4)])
def test_batches_change_nothing_and_each_token_is_reported(decoding) -> None:
    whole = compare(equi(), PROMPTS, decoding)
    reports = []
    small = replace(decoding, batch_size=2 * (decoding.beams or 1))
    parts = compare(equi(), PROMPTS, small, lambda rows, ends: reports.append((rows, ends)))
    assert texts(parts) == texts(whole)
    asked = work(equi(), PROMPTS, decoding)
    members = 5
    assert asked == Work(2 * members, members * (decoding.beams or 1) * (1 + 2))
    assert sum(rows for rows, _ in reports) == pytest.approx(asked.rows)
    assert sum(ends for _, ends in reports) == 2 * 3


def test_an_offloaded_model_says_what_it_says_in_memory() -> None:
    away = hf_equi.symmetrize(copy.deepcopy(base_model()), GENDER, tokenizer=tokenizer())
    cpu_offload(away.base, execution_device=torch.device("cpu"))
    asked = [PROMPTS, Decoding(max_new_tokens=3)]
    first, second = compare(equi(), *asked), compare(away, *asked)
    assert texts(first) == texts(second)
    assert first.base_gap == second.base_gap


def test_pieces_of_cut_characters_add_up_to_the_text() -> None:
    comparison = compare(equi(), ["the man ☃ é"], Decoding(max_new_tokens=2))
    assert plain(comparison.orbits[0].members[0].prompt) == "the man ☃ é"
    assert comparison.orbits[0].members[0].prompt[1] == (" man", True)


def test_a_prompt_that_is_too_long_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"'man man .*' has 150 tokens.* beyond the 128 positions"):
        compare(equi(), ["man" + " man" * 149], Decoding())


def test_a_prompt_without_tokens_is_named() -> None:
    with pytest.raises(ConfigurationError, match="'' has no tokens"):
        compare(equi(), [""], Decoding())


def test_a_prompt_may_be_a_part_of_what_the_model_reads() -> None:
    text, lm, decoding = "and she said the man and he", equi(), Decoding(greedy=True, max_new_tokens=4)
    prompt = Prompt("the man", tuple(tokenizer()(text)["input_ids"]), (4, 6))
    asked, whole = compare(lm, [prompt, text], decoding).orbits
    assert [plain(member.prompt) for member in asked.members] == [" the man", " the woman"]
    assert tokenizer().decode(asked.members[1].tokens) == "and he said the woman and she"
    assert [(one.base, one.equi) for one in asked.members] == [(one.base, one.equi) for one in whole.members]


def test_words_of_several_tokens_are_shown_whole_and_members_differ_in_length() -> None:
    group = DemographicGroup([["man", "woman"], ["old king", "queen"]])
    lm = hf_equi.symmetrize(base_model(), group, tokenizer=tokenizer(), multi_token="compose", look_ahead=0.05)
    comparison = compare(lm, ["the old king met a man"], Decoding(samples=3, max_new_tokens=8))
    first, second = comparison.orbits[0].members
    assert first.prompt == (("the", False), (" old king", True), (" met a", False), (" man", True))
    assert second.prompt == (("the", False), (" queen", True), (" met a", False), (" woman", True))
    assert len(first.tokens) != len(second.tokens)
    assert comparison.equi_gap.largest <= 1e-5
    assert comparison.base_gap.largest > 0.01


def test_the_shown_message_of_a_chat_moves_with_the_words_before_it() -> None:
    group = DemographicGroup([["man", "woman"], ["old king", "queen"]])
    lm = hf_equi.symmetrize(base_model(), group, tokenizer=chat_tokenizer(), multi_token="compose")
    asked = Conversation((("system", "the old king"), ("user", "the man met")), hidden=1)
    first, second = compare(lm, [asked], Decoding(max_new_tokens=1)).orbits[0].members
    assert [plain(member.prompt) for member in (first, second)] == ["the man met", "the woman met"]
