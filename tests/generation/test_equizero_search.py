"""The search of EquizeroLM: the rule to the token, equivariance, and ties."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from literal_search import Drafts, search_tokens, search_words
from searches import (
    END,
    OFTEN,
    PROMPTS,
    WORDS_BIAS,
    action_of,
    constant,
    continuations,
    hashed,
    reduced,
    run,
    to_end,
)
from small_models import BOTH, GENDER, RACE, base_model, configs, tokenizer
from transformers import AutoModelForCausalLM

from hf_equi import DemographicGroup, WordAction

GROUPS = {2: GENDER, 3: RACE, 6: BOTH}


def literal(prompt, group, family, scorer=hashed, **how):
    ids = tokenizer()(prompt)["input_ids"]
    return search_tokens(base_model(family), action_of(group), tokenizer(), ids, scorer, Drafts(**how))


def drafting(how):
    """The settings of `generate` for a `Drafts`."""
    return {"do_sample": how.do_sample} | (
        {"temperature": how.temperature, "top_k": how.top_k, "top_p": how.top_p} if how.do_sample else {"top_k": None}
    )


CASES = [
    ("gpt2", 2, 3, {}),
    ("gpt2", 6, 5, {"top_k": 12, "temperature": 1.5}),
    ("gpt2", 2, 8, {"do_sample": False}),
    ("llama", 6, 3, {"top_p": 0.9}),
    ("llama", 3, 1, {"top_k": 5, "top_p": 0.8, "temperature": 0.7}),
    ("mistral", 2, 3, {}),
    ("mistral", 6, 4, {"do_sample": False}),
    ("gemma3", 3, 3, {}),
    ("gemma3", 2, 1, {"do_sample": False}),
    ("opt", 2, 3, {}),
    ("bloom", 6, 3, {}),
    ("falcon", 2, 5, {}),
    ("jamba", 2, 3, {}),
    ("jamba", 3, 1, {"top_k": 20}),
]


@pytest.mark.parametrize(("family", "order", "m", "how"), CASES)
def test_it_is_the_rule_to_the_token(family, order, m, how):
    """Also over padding, over several prompts at once, and over drafts that end at different places."""
    how = Drafts(length=m, bias=OFTEN if family == "gpt2" else END, **how)
    group = GROUPS[order]
    out = run(PROMPTS, group, family, m=m, bias=how.bias, output_scores=True, **drafting(how))
    found = [literal(prompt, group, family, **vars(how)) for prompt in PROMPTS]
    width = out.sequences.shape[1] - max(len(one.tokens) for one in found)
    for row, one in enumerate(found):
        assert to_end(out.sequences[row, width:].tolist()) == one.tokens
        rounds = len(one.chosen)
        assert out.chosen_element[row].tolist() == one.chosen + [-1] * (out.chosen_element.shape[1] - rounds)
        torch.testing.assert_close(out.losses[row, :rounds], torch.tensor(one.losses, dtype=torch.float64))
        assert out.losses[row, rounds:].isnan().all()
        least = out.losses[row, :rounds].sort(-1).values
        assert out.margin[row, :rounds].tolist() == (least[:, 1] - least[:, 0]).tolist()
        assert out.margin[row, rounds:].isnan().all()


def test_cases_cover_ends_inside_drafts():
    """Of the drafts of those cases some ended early and lost, some won, and some texts never ended."""
    found = [literal(prompt, BOTH, "gpt2", bias=OFTEN) for prompt in PROMPTS]
    rounds = [(one, number) for one in found for number in range(len(one.chosen))]
    assert any(0 in one.drafts[n][one.chosen[n]] for one, n in rounds)
    lost = [d for one, n in rounds for g, d in enumerate(one.drafts[n]) if 0 in d[:2] and g != one.chosen[n]]
    assert lost
    assert any(0 not in one.tokens for one in found)


@pytest.mark.parametrize("family", ["gpt2", "jamba"])
def test_samples_of_a_prompt_are_those_of_the_rule(family):
    rows = continuations(PROMPTS[:2], GENDER, family, bias=END, num_return_sequences=3)
    expected = [
        literal(prompt, GENDER, family, bias=END, sample=sample, samples=3).tokens
        for prompt in PROMPTS[:2]
        for sample in range(3)
    ]
    assert rows == expected
    assert len({str(row) for row in rows}) == 6


@pytest.mark.parametrize(
    ("family", "order", "m", "bias"),
    [("gpt2", 2, 3, WORDS_BIAS), ("llama", 6, 4, WORDS_BIAS), ("jamba", 2, 3, WORDS_BIAS), ("gpt2", 2, 3, {})],
)
def test_it_is_the_rule_in_words(family, order, m, bias):
    group = GROUPS[order]
    out = run(PROMPTS, group, family, m=m, action="words", bias=bias)
    texts = tokenizer().batch_decode(out.sequences, skip_special_tokens=True)
    for row, prompt in enumerate(PROMPTS):
        one = search_words(
            base_model(family), WordAction(group), tokenizer(), prompt, hashed, Drafts(length=m, bias=bias)
        )
        assert texts[row] == one.text
        rounds = len(one.chosen)
        assert out.chosen_element[row, :rounds].tolist() == one.chosen
        torch.testing.assert_close(out.losses[row, :rounds], torch.tensor(one.losses, dtype=torch.float64))


# Equivariance.

WORDS = "the man woman he she black white asian person worked as a said . The Man nurse"
vocabulary = st.sampled_from(WORDS.split())
prompts = st.lists(vocabulary, min_size=1, max_size=6).map(" ".join)


@pytest.mark.filterwarnings("ignore:The text holds words of the group")  # "man" begins some, and is not a token there
@hypothesis_settings(max_examples=12, deadline=None)
@given(prompts, prompts, st.integers(0, 5), st.integers(0, 99), st.booleans(), st.sampled_from(["hashed", "constant"]))
def test_texts_of_an_orbit_are_the_orbit_of_the_text(x, other, g, seed, do_sample, scorer):
    """Gen(gx) = g' Gen(x) with equal seeds, between other prompts and with padding."""
    action, ids = action_of(BOTH), tokenizer()(x)["input_ids"]

    def image(h, tokens):
        return action.permutations[h][tokens].tolist()

    moved = tokenizer().decode(image(g, ids))
    if tokenizer()(moved)["input_ids"] != image(g, ids):
        return
    settings = {"scorer": {"hashed": hashed, "constant": constant}[scorer], "seed": seed, "do_sample": do_sample}
    text = continuations([x, other], BOTH, bias=END, **settings)[0]
    assert continuations([other, moved], BOTH, bias=END, **settings)[1] == image(reduced(image, ids, g, BOTH), text)


@hypothesis_settings(max_examples=12, deadline=None)
@given(prompts, prompts, st.integers(0, 5), st.integers(0, 99))
def test_texts_of_an_orbit_are_the_orbit_of_the_text_in_words(x, other, g, seed):
    action = WordAction(BOTH)
    settings = {"action": "words", "bias": WORDS_BIAS, "seed": seed}

    def texts(prompts):
        return tokenizer().batch_decode(run(prompts, BOTH, **settings).sequences, skip_special_tokens=True)

    text, moved = texts([x, other])[0], texts([other, action.apply(g, x)])[1]
    h = reduced(action.apply, x, g, BOTH)
    assert moved == action.apply(h, text, len(x))


def test_words_that_grow_out_of_a_prompt_leave_it_as_it_is():
    """After "the man" and "the woman" comes a token that goes on with the word."""
    grown = tokenizer()("so")["input_ids"][0]
    texts = [
        tokenizer().decode(run([prompt], action="words", bias={grown: 90.0}, m=2, max_new_tokens=4).sequences[0])
        for prompt in ("the man", "the woman")
    ]
    tail = tokenizer().decode([grown]) * 4
    assert texts == ["the man" + tail, "the woman" + tail]


@pytest.mark.parametrize("action", ["tokens", "words"])
def test_texts_do_not_depend_on_their_neighbours(action):
    settings = {"group": BOTH, "action": action, "bias": WORDS_BIAS, "num_return_sequences": 2}
    together = continuations(PROMPTS, **settings)
    assert [text for prompt in PROMPTS for text in continuations([prompt], **settings)] == together
    backwards = continuations(PROMPTS[::-1], **settings)
    assert [text for place in (6, 4, 2, 0) for text in backwards[place : place + 2]] == together


def test_seeds_and_samples_differ():
    first = continuations(["the man"], num_return_sequences=2)
    assert first[0] != first[1]
    assert continuations(["the man"], seed=2) != first[:1]
    assert continuations(["the man"]) == first[:1]


def test_without_a_seed_each_text_draws_for_itself():
    torch.manual_seed(3)
    first = continuations(["the man"] * 3, seed=None, eos_token_id=None)
    assert len({str(text) for text in first}) == 3
    assert continuations(["the man"] * 3, seed=None, eos_token_id=None) != first
    torch.manual_seed(3)
    assert continuations(["the man"] * 3, seed=None, eos_token_id=None) == first


def test_general_words_never_move():
    """Relaxed, the same words move."""
    relaxed = DemographicGroup([["man", "woman"], ["he", "she"]], neutral=["nurse", "driver"])
    assert relaxed.relaxed
    assert continuations(PROMPTS, relaxed) == continuations(PROMPTS, GENDER)


# Ties.


@pytest.mark.parametrize("m", [1, 3])
def test_equal_losses_go_to_the_likeliest_draft(m):
    out = run(PROMPTS, BOTH, scorer=constant, m=m, bias=END)
    for row, prompt in enumerate(PROMPTS):
        one = literal(prompt, BOTH, "gpt2", scorer=constant, length=m, bias=END)
        assert out.chosen_element[row, : len(one.chosen)].tolist() == one.chosen
        assert len({tuple(draft) for draft in one.drafts[0]}) > 1
    assert (out.margin.nan_to_num(0) == 0).all()


def test_equal_log_probabilities_go_to_the_lowest_canonical_index():
    """With a model whose tokens are all equally likely, the drafts differ and nothing else does."""
    flat = AutoModelForCausalLM.from_config(configs()["gpt2"]).eval()
    for weight in flat.parameters():
        torch.nn.init.zeros_(weight)
    for prompt in ("person", "the man", "the white woman"):
        ids = torch.tensor([tokenizer()(prompt)["input_ids"]])
        k = int(action_of(BOTH).canonical_element(ids)[0])
        lowest = [int(BOTH.product[g, BOTH.inverses[k]]) for g in range(6)].index(0)
        assert (k, lowest) != (0, 0) or prompt in ("person", "the man")
        for settings in ({}, {"do_sample": False, "top_k": None}):
            out = run([prompt], BOTH, flat, constant, m=2, max_new_tokens=2, eos_token_id=None, **settings)
            assert out.chosen_element.tolist() == [[lowest]]


def test_drafts_of_one_text_and_other_tokens_keep_their_log_probabilities():
    """The end of a text and a special token are not written: the likelier of the two wins, not the first."""
    bias, found = {0: 60.0, 1: 58.0}, []
    for seed in range(8):
        out = run(["person"], GENDER, scorer=constant, bias=bias, m=1, max_new_tokens=1, seed=seed)
        one = literal("person", GENDER, "gpt2", constant, bias=bias, length=1, new_tokens=1, seed=seed)
        assert out.chosen_element.tolist() == [one.chosen]
        found.append((one.chosen[0], len({draft[0] for draft in one.drafts[0]})))
    assert (1, 2) in found
