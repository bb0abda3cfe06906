"""Every family of decoders: the same tokens as a literal loop, with every cache and decoding strategy."""

from __future__ import annotations

import pytest
import torch
from literal import greedy
from small_models import base_model, calls_of, configs, tokenizer
from wrapped_texts import wrap

from hf_equi.testing import assert_equivariant

FAMILIES = sorted(configs())
# Recurrent layers have no static cache in transformers.
STATIC = [family for family in FAMILIES if family != "jamba"]
PROMPTS = ["the man met a person and", "person", "the black woman worked and he said so"]
NEW_TOKENS = 6


@pytest.fixture(params=FAMILIES)
def family(request):
    return request.param


def decode(lm, prompts=PROMPTS, **settings):
    encoded = tokenizer()(prompts, return_tensors="pt", padding=True)
    out = lm.generate(**encoded, max_new_tokens=NEW_TOKENS, min_new_tokens=NEW_TOKENS, **settings)
    return out[:, encoded["input_ids"].shape[1] :].tolist()


def test_forward_is_equivariant(family):
    lm = wrap(family)
    encoded = tokenizer()(PROMPTS, return_tensors="pt", padding=True)
    mask = encoded["attention_mask"]

    def scores(ids):
        return lm(ids, attention_mask=mask).logits[mask.bool()]

    assert_equivariant(scores, encoded["input_ids"], lm.action, lm.action)


def test_greedy_is_the_literal_loop(family):
    lm = wrap(family)
    for prompt in PROMPTS:
        ids = torch.tensor(tokenizer()(prompt)["input_ids"])
        (text,) = decode(lm, [prompt])
        assert text == greedy(base_model(family), lm.action, ids, NEW_TOKENS)


def test_caches_change_nothing(family):
    """That the cache which forks changes nothing in greedy texts is what the literal loop says."""
    lm = wrap(family)
    for settings in ({"num_beams": 3}, {"do_sample": True, "seed": 5, "num_return_sequences": 2}, {}):
        found = decode(lm, **settings)
        assert not settings or decode(lm, use_cache=False, **settings) == found, settings
        if family in STATIC and "seed" not in settings:
            assert decode(lm, cache_implementation="static", **settings) == found, settings


def test_shared_prefix_is_prefilled_once(family, monkeypatch):
    monkeypatch.setattr("hf_equi.generation.orbit_forward.MINIMUM_SAVING", 0)
    lm = wrap(family)
    long_prompt = "a person worked as a nurse and a person was known for a song and a man"
    with calls_of(lm.base) as shapes:
        text = decode(lm, [long_prompt])
    tokens = len(tokenizer()(long_prompt)["input_ids"])
    expected = [(2, tokens)] if lm.base._is_stateful else [(1, tokens - 1), (2, 1)]
    assert shapes[: len(expected)] == expected
    assert text == decode(lm, [long_prompt], use_cache=False)
