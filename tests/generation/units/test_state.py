"""The cache of texts of units."""

from __future__ import annotations

import pytest
import torch
from toy_units import VOCAB, law, pairs
from transformers import DynamicCache, StaticCache

from hf_equi.errors import UnsupportedModelError


def test_a_cache_of_fixed_size_is_refused():
    base, action = pairs()
    cache = StaticCache(config=base.config, max_cache_len=8)
    with pytest.raises(UnsupportedModelError, match="cannot hide places"):
        law(base, action, "logits", 0.01, torch.tensor([[2, 3]]), cache=cache, use_cache=True)


def kept(base, action, ids, cache):
    return law(base, action, "logits", 0.001, ids, cache=cache, use_cache=True, logits_to_keep=1)


def test_tokens_that_are_taken_back_are_forgotten():
    """Also in the middle of a form, and if the base's own cache is passed on."""
    base, action = pairs()
    text = torch.tensor([[1, 2, 3, 5, 4, 6, 1, 3, 0]])
    cache = DynamicCache(config=base.config)
    out = kept(base, action, text[:, :5], cache)
    for tokens in (1, 3):
        out.cache.crop(-tokens)
    again = kept(base, action, text[:, 1:], cache).combined
    torch.testing.assert_close(again, law(base, action, "logits", 0.001, text).combined[:, -1:], atol=1e-12, rtol=1e-9)
    out.cache.reset()
    fresh = kept(base, action, text, cache).combined
    torch.testing.assert_close(fresh, again, atol=1e-12, rtol=1e-9)


def test_texts_are_repeated_with_what_is_open():
    base, action = pairs()
    texts = torch.tensor([[1, 6], [5, 2]])
    cache = kept(base, action, texts, DynamicCache(config=base.config)).cache
    cache.batch_repeat_interleave(2)
    out = kept(base, action, torch.tensor([[1], [6], [3], [5]]), cache)
    whole = torch.tensor([[1, 6, 1], [1, 6, 6], [5, 2, 3], [5, 2, 5]])
    torch.testing.assert_close(out.combined, law(base, action, "logits", 0.001, whole).combined[:, -1:])
    assert out.combined.shape[-1] == VOCAB
