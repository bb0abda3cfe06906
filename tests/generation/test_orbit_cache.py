"""The forking cache, against whole texts without a cache."""

from __future__ import annotations

import pytest
import torch
from small_models import BOTH, GENDER, base_model, tokenizer
from transformers import DynamicCache, StaticCache
from wrapped_texts import wrap

import hf_equi
from hf_equi.bases.compat import cache_of, cached
from hf_equi.errors import UnsupportedModelError


@pytest.fixture
def lm():
    return hf_equi.symmetrize(base_model("llama"), BOTH, tokenizer=tokenizer())


def ids(*texts):
    return tokenizer()(list(texts), return_tensors="pt")["input_ids"]


@torch.no_grad()
def step(lm, tokens, cache):
    return lm(tokens, cache=cache, use_cache=True, logits_to_keep=1)


def assert_same(lm, cached, whole):
    with torch.no_grad():
        torch.testing.assert_close(cached.logits[:, -1], lm(whole).logits[:, -1], atol=1e-5, rtol=1e-5)


def test_rows_fork_at_the_first_token_that_separates_members(lm):
    texts = ids(" person person", " man person")
    out = lm(texts[:, :1], use_cache=True)
    assert out.cache.orbit.counts.tolist() == [1, 2]
    rows = [out.cache.orbit.rows]
    woman, white = ids(" woman").item(), ids(" white").item()
    whole = texts[:, :1]
    for token in (texts[:, 1:2], torch.tensor([[woman], [white]]), torch.tensor([[white], [woman]])):
        out = step(lm, token, out.cache)
        whole = torch.cat([whole, token], dim=1)
        rows.append(out.cache.orbit.rows)
        assert_same(lm, out, whole)
    assert rows == [3, 3, 8, 12]


def test_reorder_repeat_and_select_act_on_whole_orbits(lm):
    texts = ids(" man person", " person person", " white man")
    next_token = ids(" woman", " man", " white")
    for change, expected in (
        (lambda cache: cache.reorder_cache(torch.tensor([2, 2, 0])), [2, 2, 0]),
        (lambda cache: cache.batch_repeat_interleave(2), [0, 0, 1, 1, 2, 2]),
        (lambda cache: cache.batch_select_indices(torch.tensor([1])), [1]),
        (lambda cache: cache.batch_select_indices(torch.tensor([True, False, True])), [0, 2]),
    ):
        cache = step(lm, texts, None).cache
        change(cache)
        tokens = next_token[expected]
        assert_same(lm, step(lm, tokens, cache), torch.cat([texts[expected], tokens], dim=1))


def test_crop_forgets_tokens(lm):
    texts, extra = ids(" person person"), ids(" man white")
    cache = step(lm, torch.cat([texts, extra], dim=1), None).cache
    cache.crop(-extra.shape[1])
    assert cache.get_seq_length() == texts.shape[1]
    assert_same(lm, step(lm, extra, cache), torch.cat([texts, extra], dim=1))


def test_other_members_are_taken_up_where_a_window_has_forgotten_the_first_tokens():
    lm = hf_equi.symmetrize(base_model("mistral"), BOTH, "mixture", tokenizer=tokenizer())  # windows of 6 tokens
    texts, first, other = ids(" person person person person man black white man"), torch.tensor([0]), torch.tensor([5])
    with torch.no_grad():
        cache = lm(texts, elements=first, use_cache=True).cache
        cache.take_up(other[:, None], texts)
        again = lm(texts[:, cache.get_seq_length() :], cache=cache, elements=other)
        torch.testing.assert_close(again.logits[:, -1], lm(texts, elements=other).logits[:, -1], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("empty", [lambda cache: cache.reset(), lambda cache: cache.crop(-2)], ids=["reset", "crop"])
def test_an_emptied_cache_starts_again_with_any_texts_and_any_group(lm, empty):
    cache, texts = step(lm, ids(" man white"), None).cache, ids(" person man", " man person")
    empty(cache)
    assert cache.get_seq_length() == 0
    with torch.no_grad():
        lm(texts, cache=cache, group=GENDER)
        kept = lm(texts[:, :1], cache=cache, group=GENDER).logits[:, -1]
        whole = lm(torch.cat([texts, texts[:, :1]], 1), group=GENDER).logits[:, -1]
    torch.testing.assert_close(kept, whole, atol=1e-5, rtol=1e-5)
    assert (cache.orbit.rows, cache.action.group) == (4, GENDER)


def test_several_tokens_after_a_cache(lm):
    texts = ids(" man person person white", " person person man black")
    out = lm(texts[:, :1], use_cache=True)
    with torch.no_grad():
        rest = lm(texts[:, 1:], cache=out.cache)
        torch.testing.assert_close(rest.logits, lm(texts).logits[:, 1:], atol=1e-5, rtol=1e-5)


def test_cache_of_another_model_is_refused(lm):
    cache = DynamicCache(config=lm.base.config)
    lm.base(ids(" man"), use_cache=True, **cached(cache))
    with pytest.raises(UnsupportedModelError, match="filled by another model"):
        lm(ids(" man"), cache=cache)


@torch.no_grad()
@pytest.mark.parametrize(("family", "kind"), [("jamba", "dynamic"), ("jamba", "static"), ("llama", "static")])
def test_states_and_room_are_made_anew_for_another_number_of_rows(family, kind):
    """`reset` of transformers leaves both of them for the rows that were there."""
    lm, given = wrap(family, GENDER), {"max_new_tokens": 3, "return_dict_in_generate": True}
    two, one = ids(" person man", " man person"), ids(" man white man")
    cache = cache_of(lm.generate(two, **{**given, "max_new_tokens": 6}, cache_implementation=kind))
    cache.reset()
    kept, whole = (lm.generate(one, **given, **again).sequences for again in (cached(cache), {}))
    assert kept.tolist() == whole.tolist()


@torch.no_grad()
def test_room_that_a_user_made_for_texts_is_made_anew_for_their_orbits(lm):
    config, texts = lm.base.config, ids(" person man", " man person")
    cache = StaticCache(config, max_cache_len=8)
    cache.early_initialization(2, config.num_key_value_heads, config.head_dim, torch.float32, torch.device("cpu"))
    out = lm(texts, **cached(cache))
    torch.testing.assert_close(out.logits, lm(texts).logits, atol=1e-5, rtol=1e-5)


def test_what_was_made_for_the_rows_is_made_anew_where_they_change(lm):
    cache = step(lm, ids(" person person", " person person")[:, :1], None).cache
    made = []

    def note(origin):
        return cache.note(origin, lambda: made.append(origin) or len(made))

    first, second = object(), object()
    assert [note(first), note(first)] == [1, 1]
    person = ids(" person").repeat(2, 1)
    step(lm, person, cache)  # separates nothing
    assert note(first) == 1
    step(lm, torch.cat([ids(" man"), ids(" person")]), cache)
    assert [note(first), note(first)] == [2, 2]
    cache.reorder_cache(torch.tensor([1, 0]))
    assert note(first) == 3
    assert [note(second), note(second)] == [4, 4]
    assert made == [first, first, first, second]
