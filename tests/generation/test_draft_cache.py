"""The cache of a search: the scores are those of whole texts, whatever is taken back, and little is computed twice."""

from __future__ import annotations

import pytest
import torch
from searches import action_of, hashed
from small_models import BOTH, GENDER, base_model, calls_of, configs, tokenizer
from transformers import DynamicCache, StaticCache

from hf_equi import DemographicGroup
from hf_equi.bases.compat import CACHE, cached
from hf_equi.errors import ConfigurationError
from hf_equi.generation import EquizeroSearch
from hf_equi.generation.draft_cache import DraftCache

FAMILIES = list(configs())
FIRST = torch.arange(1)


def whole(base, rows, mask=None):
    """Scores of the next token after whole texts, one at a time and without padding."""
    mask = torch.ones_like(rows) if mask is None else mask
    with torch.no_grad():
        return torch.cat(
            [
                base(input_ids=row[keep.bool()][None], use_cache=False).logits[:, -1].float()
                for row, keep in zip(rows, mask, strict=True)
            ]
        )


def assert_same(scores, base, rows, mask=None):
    torch.testing.assert_close(scores, whole(base, rows, mask), atol=1e-4, rtol=1e-4)


def draft(cache, base, rows, tokens, mask=None):
    """Feed drafts of some tokens to the rows and check all scores; return the rows with their drafts."""
    for place in range(tokens.shape[1]):
        rows = torch.cat([rows, tokens[:, place : place + 1]], 1)
        mask = None if mask is None else torch.cat([mask, torch.ones_like(mask[:, :1])], 1)
        assert_same(cache.step(tokens[:, place]), base, rows, mask)
    return rows


def random_ids(*shape):
    return torch.randint(2, len(tokenizer()), shape)


@pytest.mark.parametrize("family", FAMILIES)
def test_scores_are_those_of_whole_texts(family):
    """Two texts of three rows each with padding, drafts taken back, and then one text alone."""
    base, cache = base_model(family), DraftCache(base_model(family))
    ids, mask = random_ids(2, 3, 9), torch.ones(2, 3, 9, dtype=torch.long)
    ids[1, 2] = ids[1, 1]  # two rows that are equal
    ids[1, :, :2], mask[1, :, :2] = 1, 0
    rows, row_mask = ids.flatten(0, 1), mask.flatten(0, 1)
    assert_same(cache.feed(ids, mask, torch.arange(2)), base, rows, row_mask)
    drafted = draft(cache, base, rows, random_ids(6, 2), row_mask)
    # The draft of the second row of each text wins; its last token was not fed yet.
    context = torch.cat(
        [ids, drafted.view(2, 3, -1)[:, 1:2, 9:].expand(-1, 3, -1), random_ids(2, 1, 1).expand(-1, 3, -1)], 2
    )
    grown = torch.cat([mask, torch.ones(2, 3, 3, dtype=torch.long)], 2)
    assert_same(cache.feed(context, grown, torch.arange(2)), base, context.flatten(0, 1), grown.flatten(0, 1))
    draft(cache, base, context.flatten(0, 1), random_ids(6, 3), grown.flatten(0, 1))
    last = torch.cat([context[1:], random_ids(1, 1, 4).expand(-1, 3, -1)], 2)
    last_mask = torch.cat([grown[1:], torch.ones(1, 3, 4, dtype=torch.long)], 2)
    assert_same(cache.feed(last, last_mask, torch.tensor([1])), base, last[0], last_mask[0])


@pytest.mark.parametrize("family", ["gpt2", "mistral", "gemma3", "jamba"])
@pytest.mark.parametrize("kept", [12, 11, 8, 5, 1, 0])
def test_any_number_of_tokens_can_be_taken_back(family, kept):
    """Also more than the last draft, as where a text is tokenised anew; windows of 6 tokens are long full."""
    base, cache = base_model(family), DraftCache(base_model(family))
    ids = random_ids(1, 2, 10)
    ones = torch.ones_like(ids)
    cache.feed(ids, ones, FIRST)
    rows = draft(cache, base, ids[0], random_ids(2, 3))
    anew = torch.cat([rows[:, :kept], random_ids(2, 14 - kept)], 1)
    assert_same(cache.feed(anew[None], torch.ones(1, 2, 14), FIRST), base, anew)
    draft(cache, base, anew, random_ids(2, 2))


@pytest.mark.parametrize("family", ["gpt2", "mistral", "jamba"])
def test_rows_take_the_cache_of_the_row_that_they_begin_as(family):
    base, cache = base_model(family), DraftCache(base_model(family))
    ids = random_ids(1, 3, 8)
    cache.feed(ids, torch.ones_like(ids), FIRST)
    rows = draft(cache, base, ids[0], random_ids(3, 2))
    turned = torch.cat([rows[[2, 0, 1]], random_ids(3, 1)], 1)
    with calls_of(base) as calls:
        scores = cache.feed(turned[None], torch.ones(1, 3, 11), FIRST)
    assert_same(scores, base, turned)
    assert calls == [(3, 11) if family == "jamba" else (3, 1)]


def test_where_all_is_known_one_token_is_fed():
    base, cache = base_model(), DraftCache(base_model())
    ids = random_ids(1, 2, 6)
    cache.feed(ids, torch.ones_like(ids), FIRST)
    with calls_of(base) as calls:
        again = cache.feed(ids, torch.ones_like(ids), FIRST)
    assert_same(again, base, ids[0])
    assert calls == [(2, 1)]


def test_padding_that_moves_is_read_anew():
    base, cache = base_model(), DraftCache(base_model())
    ids = random_ids(1, 2, 6)
    cache.feed(ids, torch.ones_like(ids), FIRST)
    moved = torch.cat([torch.ones_like(ids[..., :1]), ids], 2)
    mask = torch.ones_like(moved)
    mask[..., 0] = 0
    assert_same(cache.feed(moved, mask, FIRST), base, ids[0])


# What a search computes.


def calls_of_search(prompts, group, m, new_tokens, family="gpt2", **settings):
    """Shapes of the forwards, and how many texts the scorer got in each call."""
    scored = []

    def scorer(texts):
        scored.append(len(texts))
        return hashed(texts)

    encoded = tokenizer()(prompts, return_tensors="pt", padding=True)
    with calls_of(base_model(family)) as calls:
        base_model(family).generate(
            **encoded,
            custom_generate=EquizeroSearch(group, tokenizer(), scorer, m),
            **{"do_sample": True, "max_new_tokens": new_tokens, "seed": 2, "eos_token_id": None, **settings},
        )
    return calls, scored


def test_a_round_is_one_forward_of_new_tokens_and_single_ones():
    prompts = ["the man worked as a", "the woman said"]
    length = max(map(len, tokenizer()(prompts)["input_ids"]))
    calls, scored = calls_of_search(prompts, GENDER, 4, 10)
    first, rest = calls[0], calls[1:]
    assert first == (4, length)
    assert rest[:3] == [(4, 1)] * 3
    assert len(calls) == 10  # as many as plain decoding
    feeds = [rest[3], rest[7]]
    assert all(rows == 4 and 1 <= new <= 4 for rows, new in feeds)
    assert [shape for place, shape in enumerate(rest) if place not in (3, 7)] == [(4, 1)] * 7
    assert len(scored) == 3
    assert max(scored) <= 4


def test_equal_contexts_are_prefilled_once():
    """A prompt that contains no listed word has one context, however large the group is."""
    many = BOTH * DemographicGroup([["nurse", "driver"]])
    assert many.order == 12
    calls, scored = calls_of_search(["person", "it was a song"], many, 3, 3)
    assert calls[0][0] == 2
    assert calls[1:] == [(24, 1)] * 2
    assert len(scored) == 1
    calls, _ = calls_of_search(["the man worked as"], many, 3, 3)
    assert calls[0][0] == 2  # race and the third factor do not move it
    calls, _ = calls_of_search(["person", "person"], GENDER, 3, 3)
    assert calls[0][0] == 1


def test_recurrent_models_read_texts_anew_in_every_round():
    calls, _ = calls_of_search(["the man worked as a"], GENDER, 3, 6, "jamba")
    length = len(tokenizer()("the man worked as a")["input_ids"])
    assert calls == [(2, length), (2, 1), (2, 1), (2, length + 3), (2, 1), (2, 1)]


def test_texts_that_have_ended_are_dropped():
    calls, scored = calls_of_search(
        ["the man worked as a", "the woman said", "an asian person"],
        GENDER,
        2,
        12,
        eos_token_id=[token for token in range(0, 340, 3) if not action_of(GENDER).is_moved[token]],
    )
    rows = [rows for rows, _ in calls[1::2]]  # of the single tokens; before those distinct contexts alone are read
    assert rows[0] == 6
    assert rows == sorted(rows, reverse=True)
    assert rows[-1] < rows[0]
    assert scored[-1] < scored[0]


def test_caches_that_cannot_be_taken_back_are_refused():
    base = base_model()
    static = StaticCache(config=base.config, max_cache_len=16)
    with pytest.raises(ConfigurationError, match="leave cache_implementation out"):
        DraftCache(base, static)
    filled = DynamicCache(config=base.config)
    base(input_ids=random_ids(1, 4), **cached(filled))
    with pytest.raises(ConfigurationError, match=f"leave {CACHE}= out"):
        DraftCache(base, filled)
    with pytest.raises(ConfigurationError, match="leave cache_implementation out"):
        base.generate(
            random_ids(1, 4),
            custom_generate=EquizeroSearch(GENDER, tokenizer(), hashed, 2),
            max_new_tokens=4,
            cache_implementation="static",
        )
