"""Texts of units: those of images are images, in every way of decoding token by token."""

from __future__ import annotations

import itertools
import math
from contextlib import nullcontext

import pytest
import torch
from transformers import LogitsProcessor
from transformers.generation.streamers import BaseStreamer
from unit_models import PAD, PAIRS, PROMPTS, TRIPLES, VOCAB, new_units, padded, toy_lm

from hf_equi.errors import GroupWarning

DRAW = {"do_sample": True, "seed": 1}
KEPT = [
    {},
    DRAW,
    {**DRAW, "num_return_sequences": 2, "temperature": 1.5},
    {**DRAW, "top_p": 0.6, "top_k": 0},
    {**DRAW, "typical_p": 0.7, "use_cache": False},
    {"repetition_penalty": 1.5, "no_repeat_ngram_size": 3},
    {**DRAW, "repetition_penalty": 1.5, "min_p": 0.1, "renormalize_logits": True, "epsilon_cutoff": 0.01},
]


def images_of(action, how, look_ahead=0.0, new=12):
    """How many words of several tokens are in texts, of which those of images are found to be images."""
    lm, found = toy_lm(action, look_ahead), 0
    orbits = [[action.member(g, x) for g in range(action.group.order)] for x in PROMPTS]
    batch = padded([x for orbit in orbits for x in orbit])
    out = lm.generate(**batch, max_new_tokens=new, **how)[:, batch["input_ids"].shape[1] :].tolist()
    samples = how.get("num_return_sequences", 1)
    texts = iter(out[start : start + samples] for start in range(0, len(out), samples))
    for x, orbit in zip(PROMPTS, orbits, strict=True):
        mine = next(texts)
        for g, image in enumerate(orbit[1:], 1):
            for text, other in zip(mine, next(texts), strict=True):
                units, theirs = new_units(action, x, text), new_units(action, image, other)
                moved = units if image == x else action.move(g, units)  # an element that fixes x fixes its text
                shared = min(len(units), len(theirs))  # they were cut after equally many tokens
                assert moved[:shared] == theirs[:shared]
                found += sum(unit >= VOCAB for unit in units)
    return found


@pytest.mark.parametrize("how", KEPT)
@pytest.mark.parametrize("action", [PAIRS, TRIPLES], ids=["pairs", "triples"])
def test_texts_of_images_are_images(action, how):
    images_of(action, how)


@pytest.mark.parametrize("look_ahead", [0.0, 0.1, 1.0])
def test_they_are_with_words_of_several_tokens_in_the_texts(look_ahead):
    bias = dict.fromkeys([(2, 5), (6, 1, 3)], 8.0)
    assert images_of(PAIRS, {"sequence_bias": bias}, look_ahead) > 5
    assert images_of(PAIRS, {"sequence_bias": bias, **DRAW, "top_p": 0.8}, look_ahead) > 5


@pytest.mark.parametrize("how", [{}, {**DRAW, "top_p": 0.8}])
def test_bans_of_all_images_of_a_word_keep_this(how):
    banned = [[2, 3], [4], [6, 6]]
    images_of(PAIRS, {"bad_words_ids": banned, **how})
    batch = padded(PROMPTS)
    out = toy_lm(PAIRS).generate(**batch, max_new_tokens=12, bad_words_ids=banned, **how)
    assert not {4, PAIRS.vocab_size} & {unit for text in out[:, 6:].tolist() for unit in PAIRS.read(text)}


@pytest.mark.parametrize("how", [{}, DRAW, {"repetition_penalty": 1.5, "no_repeat_ngram_size": 2}])
def test_a_batch_is_as_one_text_at_a_time(how):
    lm, batch = toy_lm(TRIPLES), padded(PROMPTS)
    together = lm.generate(**batch, max_new_tokens=10, **how)[:, batch["input_ids"].shape[1] :].tolist()
    alone = [lm.generate(torch.tensor([x]), max_new_tokens=10, **how)[0, len(x) :].tolist() for x in PROMPTS]
    assert together == alone
    assert toy_lm(TRIPLES, orbit_chunk_size=1).generate(**batch, max_new_tokens=10, **how)[:, 6:].tolist() == alone
    shorter = lm.generate(**batch, max_new_tokens=7, **how)[:, 6:].tolist()
    assert shorter == [text[:7] for text in alone]  # a word may be cut off


@pytest.mark.parametrize("how", [{}, DRAW])
@pytest.mark.filterwarnings("ignore:Passing `generation_config`")
def test_drafts_change_no_text(how):
    lm = toy_lm(PAIRS)
    for x in PROMPTS[:2]:
        ids = torch.tensor([x])
        plain = lm.generate(ids, max_new_tokens=10, **how)
        for assistant in (lm, toy_lm(PAIRS, 1.0, seed=3)):
            assert torch.equal(lm.generate(ids, max_new_tokens=10, assistant_model=assistant, **how), plain)
        assert torch.equal(lm.generate(ids, max_new_tokens=10, prompt_lookup_num_tokens=3, **how), plain)


@pytest.mark.parametrize("how", [{}, {**DRAW, "top_k": 0}, {**DRAW, "top_k": 0, "num_return_sequences": 2}])
def test_scores_are_those_of_tokens_before_the_choice(how):
    lm, x = toy_lm(PAIRS), PROMPTS[0]
    out = lm.generate(torch.tensor([x]), max_new_tokens=6, output_scores=True, return_dict_in_generate=True, **how)
    found = lm.compute_transition_scores(out.sequences, out.scores)
    with torch.no_grad():
        law = lm(out.sequences).logits[:, len(x) - 1 : -1]
    torch.testing.assert_close(found, law.gather(-1, out.sequences[:, len(x) :, None])[..., 0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("prompt", [[2, 3, 9], [9, 2], [9, 2, 3]])
def test_samples_without_a_seed_have_the_law_of_forward(prompt):
    """Chi-square of 800 texts of three tokens; after an open prompt the texts choose how it is read."""
    lm, count, length = toy_lm(PAIRS, 0.05), 800, 3
    with pytest.warns(GroupWarning, match="may be the beginning") if prompt[-1] != 9 else nullcontext():
        out = lm.generate(
            torch.tensor([prompt]), max_new_tokens=length, do_sample=True, top_k=0, num_return_sequences=count
        )
    law = torch.ones(1, dtype=torch.float64)
    for size in range(length):
        texts = torch.tensor([[*prompt, *more] for more in itertools.product(range(VOCAB), repeat=size)])
        with torch.no_grad():
            law = (law[:, None] * lm(texts, logits_to_keep=1).logits[:, 0].double().exp()).flatten()
    place = (out[:, len(prompt) :] * VOCAB ** torch.arange(length - 1, -1, -1)).sum(-1)
    expected, found = count * law, torch.bincount(place, minlength=len(law)).double()
    rare = expected < 3
    cells = [*zip(expected[~rare].tolist(), found[~rare].tolist(), strict=True)]
    cells.append((float(expected[rare].sum()), float(found[rare].sum())))
    statistic, freedom = sum((f - e) ** 2 / e for e, f in cells), len(cells) - 1
    assert freedom > 40
    assert abs(statistic - freedom) < 4 * math.sqrt(2 * freedom)


class Ban(LogitsProcessor):
    """Bans a token after another: a user's own, which says nothing of itself."""

    def __init__(self, before, banned):
        self.before, self.banned = before, banned

    def __call__(self, input_ids, scores):
        scores[input_ids[:, -1] == self.before, self.banned] = -torch.inf
        return scores


def test_a_unit_that_a_processor_cuts_short_is_given_up():
    lm, batch = toy_lm(PAIRS), padded(PROMPTS)
    bias = {"sequence_bias": {(2, 5): 4.0, (6, 1, 3): 4.0}, "max_new_tokens": 12, **DRAW}
    free = lm.generate(**batch, **bias)[:, 6:]
    out = lm.generate(**batch, **bias, logits_processor=[Ban(2, 5)])[:, 6:]
    for before, after in zip(free.tolist(), out.tolist(), strict=True):
        pairs = list(itertools.pairwise(before))
        assert (2, 5) not in itertools.pairwise(after)
        same = pairs.index((2, 5)) + 1 if (2, 5) in pairs else 12
        assert before[:same] == after[:same]
    assert not torch.equal(free, out)


def test_ends_and_streamers_see_tokens():
    """And the texts of other rows go on when one has ended."""
    lm, batch, seen = toy_lm(PAIRS), padded(PROMPTS), []
    plain = lm.generate(**batch, max_new_tokens=8)[:, 6:].tolist()
    out = lm.generate(**batch, max_new_tokens=8, eos_token_id=9)[:, 6:].tolist()
    ends = [text.index(9) + 1 if 9 in text else 8 for text in plain]
    assert min(ends) < max(ends)
    assert out == [[*text[:end], *[PAD] * (max(ends) - end)] for text, end in zip(plain, ends, strict=True)]

    class Streamer(BaseStreamer):
        def put(self, value):
            seen.extend(value.flatten().tolist())

        def end(self):
            seen.append("end")

    ids = torch.tensor([PROMPTS[0]])
    assert [*lm.generate(ids, max_new_tokens=8, streamer=Streamer())[0].tolist(), "end"] == seen


@torch.no_grad()
def test_beams_are_those_of_the_law_of_tokens():
    lm, beams, length = toy_lm(PAIRS), 3, 6
    for x in PROMPTS[:2]:
        held = [(0.0, list(x))]
        for _ in range(length):
            law = lm(torch.tensor([text for _, text in held]), logits_to_keep=1).logits[:, 0].tolist()
            longer = [
                (score + more, [*text, token])
                for (score, text), row in zip(held, law, strict=True)
                for token, more in enumerate(row)
            ]
            held = sorted(longer, reverse=True)[:beams]
        out = lm.generate(torch.tensor([x]), max_new_tokens=length, num_beams=beams, num_return_sequences=beams)
        assert out.tolist() == [text for _, text in held]
