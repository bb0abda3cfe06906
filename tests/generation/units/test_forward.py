"""Forwards of texts in which words of several tokens move."""

from __future__ import annotations

import itertools

import pytest
import torch
from literal_units import toy_base
from small_models import base_model, calls_of, configs
from token_actions import units_of
from toy_units import ACTIONS, PAIRS, SHARE, VOCAB, law
from transformers import DynamicCache
from unit_models import toy_lm

from hf_equi.errors import UnsupportedModelError
from hf_equi.generation import OrbitInputs, forward_orbit
from hf_equi.generation.units.forward import MINIMUM_SAVING
from hf_equi.generation.units.laws import LookAhead
from hf_equi.symmetrizers import Equitune


def everything(length):
    return torch.tensor(list(itertools.product(range(VOCAB), repeat=length)))


@pytest.mark.parametrize("average", ["logits", "probabilities"])
@pytest.mark.parametrize("look_ahead", [0, 0.01, 1])
def test_sums_to_one_and_is_the_base_with_the_identity_alone(average, look_ahead):
    """All strings of three tokens."""
    base, ids, action = toy_base(VOCAB, torch.float32), everything(3), units_of(VOCAB, PAIRS)
    out = law(base, action, average, look_ahead, ids).combined
    torch.testing.assert_close(out.exp().sum(-1), torch.ones(ids.shape), atol=1e-6, rtol=0)
    if look_ahead == 0:
        inputs, alone = OrbitInputs(ids, look=LookAhead(0, SHARE)), torch.zeros(len(ids), 1, dtype=torch.long)
        with torch.no_grad():
            found = forward_orbit(base, action, Equitune(average), alone, inputs).combined
            torch.testing.assert_close(found.exp(), base(ids).logits.softmax(-1), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ACTIONS)
@pytest.mark.parametrize("average", ["logits", "probabilities"])
@pytest.mark.parametrize("look_ahead", [0, 0.01, 1])
def test_images_of_texts_are_as_probable(name, average, look_ahead):
    """P(gy | gx) = P(y | x) for all y of two units, closed by a token that begins and ends no word."""
    action = units_of(VOCAB + 1, *ACTIONS[name])
    texts = [(3, VOCAB, *pair, VOCAB) for pair in itertools.product(range(action.units), repeat=2)]
    texts = [units for units in texts if _reads_back(action, units)][:: 1 if name == "order 2" else 3]
    members = [action.write(action.move(g, units)) for g in range(action.group.order) for units in texts]
    for dtype, bound in ((torch.float32, 1e-5), (torch.float64, 1e-10)):
        base = toy_base(VOCAB + 1, dtype)
        said = _log_probability(base, action, average, look_ahead, members).view(action.group.order, -1)
        torch.testing.assert_close(said, said[:1].expand_as(said), atol=bound, rtol=bound)


def _reads_back(action, units):
    text = action.write(units)
    return action.read(text) == list(units) and action.reads_back(text)


def _log_probability(base, action, average, look_ahead, texts):
    """The probability of each text after its first two tokens."""
    width = max(map(len, texts))
    ids = torch.tensor([[*text, *[0] * (width - len(text))] for text in texts])
    mask = torch.tensor([[1] * len(text) + [0] * (width - len(text)) for text in texts])
    out = law(base, action, average, look_ahead, ids, attention_mask=mask).combined
    said = out[:, :-1].gather(-1, ids[:, 1:, None]).squeeze(-1)
    return said.where(mask[:, 1:] == 1, 0.0)[:, 1:].sum(1)


@pytest.mark.parametrize("look_ahead", [0, 1])
def test_a_beginning_that_no_image_reads_back_is_that_of_a_longer_word(look_ahead):
    """3 2 alone is the image of the word 2 3, but 3 and 2 3 are the images of 2 and 1. With a cache and without."""
    action = units_of(VOCAB + 1, [[(1,), (2, 3)], [(2,), (3,)]])
    texts = [[VOCAB, 5, 2, 1, VOCAB, 4, 1, VOCAB], [VOCAB, 5, 3, 2, 3, VOCAB, 4, 2, 3, VOCAB]]
    assert action.member(1, texts[0]) == texts[1]
    assert not action.reads_back(texts[1][:4])
    base = toy_base(VOCAB + 1, torch.float64)
    said = _log_probability(base, action, "logits", look_ahead, texts)
    torch.testing.assert_close(said[0], said[1], atol=1e-10, rtol=1e-10)
    ids, cache = torch.tensor([texts[1]]), DynamicCache(config=base.config)
    whole = law(base, action, "logits", look_ahead, ids).combined
    for place in range(len(texts[1])):
        out = law(base, action, "logits", look_ahead, ids[:, place : place + 1], cache=cache, use_cache=True)
        torch.testing.assert_close(out.combined[:, -1], whole[:, place], atol=1e-10, rtol=1e-10)
        cache = out.cache


def test_a_cache_of_a_text_that_no_longer_reads_back_changes_nothing():
    action = units_of(VOCAB, [[(0,), (1, 4, 0)], [(1, 1, 1), (0, 1)]], [[(2, 0), (3, 5)]])
    base, ids = toy_base(VOCAB), torch.tensor([[5, 1, 4, 0, 1, 5, 6]])
    assert [action.reads_back(ids[0, :size].tolist()) for size in (4, 5, 6)] == [True, False, False]
    whole, cache = law(base, action, "logits", 0, ids).combined, DynamicCache(config=base.config)
    for place in range(ids.shape[1]):
        out = law(base, action, "logits", 0, ids[:, place : place + 1], cache=cache, use_cache=True)
        cache = out.cache
        if place > 4:
            torch.testing.assert_close(out.combined[:, -1], whole[:, place], atol=1e-10, rtol=1e-8)


@pytest.mark.parametrize("family", configs())
def test_a_cache_changes_nothing(family):
    """Left padding, several tokens at once, reordered texts; windows are filled, and recurrent layers read again."""
    base, vocab = base_model(family), configs()[family].vocab_size
    shift = [[tuple(token + 50 for token in word) for word in row] for row in PAIRS]
    action = units_of(vocab, shift)
    texts = [[52, 53, 55, 51, 56, 56, 54, 57], [57, 52, 55, 54], [60, 56, 51, 53, 61, 52], [70, 71, 72, 73, 74, 50]]
    width = max(map(len, texts))
    mask = torch.tensor([[0] * (width - len(text)) + [1] * len(text) for text in texts])
    ids = torch.tensor([[1] * (width - len(text)) + text for text in texts])
    whole = law(base, action, "logits", 0.002, ids, attention_mask=mask).combined
    cache, order, start = DynamicCache(config=base.config), torch.arange(len(texts)), 0
    for stop in (5, 6, 8):
        out = law(
            base,
            action,
            "logits",
            0.002,
            ids[order, start:stop],
            attention_mask=mask[order, :stop],
            cache=cache,
            use_cache=True,
            logits_to_keep=stop - start if start else 1,
        )
        kept = out.combined.shape[1]
        there = mask[order, stop - kept : stop].bool()
        torch.testing.assert_close(
            out.combined[there], whole[order, stop - kept : stop][there], atol=2e-4, rtol=1e-4, msg=family
        )
        cache, start = out.cache, stop
        turned = torch.tensor([2, 0, 3, 1])
        cache.reorder_cache(turned)
        order = order[turned]


def test_an_export_is_refused_by_name():
    lm = toy_lm(units_of(12, PAIRS))
    with pytest.raises(UnsupportedModelError, match='export a model with multi_token="skip"'):
        torch.export.export(lm, (torch.tensor([[2, 3, 1]]),), {"use_cache": False}, strict=False)


@pytest.mark.parametrize("chunk", [None, 1])
def test_gradients_pass_through_what_is_looked_at(chunk):
    """The derivative of a text's log-probability along a random direction, beside a difference quotient."""
    base, action = toy_base(VOCAB), units_of(VOCAB, PAIRS)
    ids = torch.tensor([[2, 5, 4, 6, 1, 3, 0], [1, 2, 3, 7, 6, 6, 2]])
    elements = torch.arange(2).expand(2, -1)
    direction = [torch.randn_like(weight) for weight in base.parameters()]

    def loss(step):
        with torch.no_grad():
            for weight, along in zip(base.parameters(), direction, strict=True):
                weight.add_(along, alpha=step)
        out = forward_orbit(
            base, action, Equitune(), elements, OrbitInputs(ids, look=LookAhead(0.001, SHARE), chunk=chunk)
        )
        return out.combined[:, :-1].gather(-1, ids[:, 1:, None]).sum()

    found = torch.autograd.grad(loss(0), list(base.parameters()))
    slope = sum((gradient * along).sum() for gradient, along in zip(found, direction, strict=True))
    size = 1e-4  # the base computes some of its numbers in float32
    with torch.no_grad():
        quotient = (loss(size) - loss(-2 * size)) / (2 * size)
    torch.testing.assert_close(slope, quotient, atol=0, rtol=1e-3)


def test_a_long_beginning_that_members_share_is_fed_once():
    base, action = toy_base(VOCAB), units_of(VOCAB, [[(2, 3), (4,)]])
    shared = [5, 1] * MINIMUM_SAVING
    ids = torch.tensor([[*shared, 2, 3, 5]])
    with calls_of(base) as calls:
        kept = law(base, action, "logits", 1, ids, cache=DynamicCache(), use_cache=True, logits_to_keep=1)
    assert calls == [(1, len(shared)), (2, 3)]
    whole = law(base, action, "logits", 1, ids).combined[:, -1:]
    torch.testing.assert_close(kept.combined, whole, atol=1e-10, rtol=1e-8)
