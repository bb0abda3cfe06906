"""How the tokens of a call are cut into segments, and what the base is called with."""

from __future__ import annotations

import inspect

import pytest
import torch
from small_models import BOTH, GENDER, base_model, calls_of, tokenizer
from small_networks import pad
from small_seq2seq import SIX, base, tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, MambaConfig, MambaForCausalLM

import hf_equi
from hf_equi import TokenPairAction
from hf_equi.actions.resolution import resolve_pair
from hf_equi.actions.token_maps import TokenMap
from hf_equi.errors import UnsupportedModelError
from hf_equi.generation import OrbitInputs, check_base, forward_orbit
from hf_equi.generation.encoded_source import EncodedSource, encode_orbit
from hf_equi.generation.orbit_forward import MINIMUM_SAVING
from hf_equi.symmetrizers import Equitune, Equizero, LambdaEquitune, MaxProbability
from hf_equi.symmetrizers.weigh import normalise_log_weights


def shapes(lm, text, **settings):
    """The calls that one prefill makes."""
    ids = tokenizer()(text, return_tensors="pt")["input_ids"]
    with calls_of(lm.base) as calls, torch.no_grad():
        lm(ids, use_cache=True, logits_to_keep=1, **settings)
    return calls, ids.shape[1]


@pytest.fixture
def lm():
    config = LlamaConfig(
        vocab_size=len(tokenizer()), hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1
    )
    return hf_equi.symmetrize(LlamaForCausalLM(config).eval(), BOTH, tokenizer=tokenizer())


def test_short_prefix_is_not_worth_a_call(lm):
    calls, tokens = shapes(lm, "a person and a man")
    assert calls == [(2, tokens)]


def test_long_prefix_is_fed_once(lm):
    calls, tokens = shapes(lm, "a person and a" + " song" * MINIMUM_SAVING + " man")
    assert calls == [(1, tokens - 1), (2, 1)]


def test_the_split_saves_the_most(lm):
    """A gender word early and a colour late: one row, then two, would be three calls; the better split is taken."""
    text = "a" + " song" * 20 + " man" + " song" * (2 * MINIMUM_SAVING) + " black"
    calls, tokens = shapes(lm, text)
    assert calls == [(2, tokens - 1), (6, 1)]


def test_logits_of_all_places_need_one_call(lm):
    ids = tokenizer()("a" + " song" * (MINIMUM_SAVING + 1) + " man", return_tensors="pt")["input_ids"]
    with calls_of(lm.base) as calls, torch.no_grad():
        cached = lm(ids, use_cache=True)
        torch.testing.assert_close(cached.logits, lm(ids).logits, atol=1e-5, rtol=1e-5)
    assert [rows for rows, _ in calls] == [2, 2]


def test_chunks_cut_a_prefill_by_tokens(lm):
    lm.config.orbit_chunk_size = 2
    calls, tokens = shapes(lm, "the black man said that he")
    assert {rows for rows, _ in calls} == {6}
    assert all(rows * width <= 2 * tokens for rows, width in calls)
    assert sum(width for _, width in calls) == tokens


def test_identity_is_the_base(lm):
    ids = tokenizer()("the black man said", return_tensors="pt")["input_ids"]
    inputs = OrbitInputs(ids, use_cache=True, logits_to_keep=1)
    elements = torch.arange(BOTH.order)[None]
    with torch.no_grad():
        out = forward_orbit(lm.base, lm.action, Equitune(), elements, inputs, keep_identity=True)
        torch.testing.assert_close(out.identity, lm.base(ids).logits[:, -1:].log_softmax(-1), atol=1e-5, rtol=1e-5)


def test_extra_arguments_reach_the_base():
    base = base_model("gpt2")
    lm = hf_equi.symmetrize(base, GENDER, tokenizer=tokenizer())
    ids = tokenizer()("the man said", return_tensors="pt")["input_ids"]
    with_types = lm(ids, token_type_ids=torch.full_like(ids, 5)[:1].expand(2, -1)).logits
    assert not torch.allclose(with_types, lm(ids).logits)


def test_purely_recurrent_models_are_refused():
    with pytest.raises(UnsupportedModelError, match="MambaForCausalLM"):
        check_base(MambaForCausalLM(MambaConfig(vocab_size=5, hidden_size=8, num_hidden_layers=1)))
    check_base(base_model("jamba"))


@pytest.mark.parametrize("use_cache", [False, True])
def test_out_of_memory_says_what_chunks_would_do(lm, monkeypatch, use_cache):
    """A base that has memory for 2 rows of the prompt."""
    ids = tokenizer()("the black man said", return_tensors="pt")["input_ids"]
    forward = type(lm.base).forward

    def small(self, input_ids=None, **kwargs):
        if input_ids.numel() > 2 * ids.numel():
            raise torch.OutOfMemoryError("out of memory")
        return forward(self, input_ids=input_ids, **kwargs)

    small.__signature__ = inspect.signature(forward)
    monkeypatch.setattr(type(lm.base), "forward", small)
    with pytest.raises(UnsupportedModelError, match=r"up to 6 rows; 6 members.*orbit_chunk_size=1"):
        lm(ids, use_cache=use_cache, logits_to_keep=1)
    lm.config.orbit_chunk_size = 2
    assert lm(ids, use_cache=use_cache, logits_to_keep=1).logits.shape == (1, 1, lm.config.vocab_size)


def test_other_errors_pass(lm, monkeypatch):
    monkeypatch.setattr(lm.base.get_input_embeddings(), "forward", lambda ids: {}["row"])
    with pytest.raises(KeyError):
        lm(torch.tensor([[1]]))


SOURCES = ("run and jump", "walk left", "twice and left", "look")  # 2, 3, 1 and 3 distinct members
TARGETS = torch.tensor([[1, 4, 6, 9], [1, 9, 4, 7], [1, 9, 9, 9], [1, 5, 4, 6]])


def paired(family, weights=False):
    """An encoder-decoder, the group on both its vocabularies, and its encoded sources."""
    model, (own, other) = base(family), tokenizers(family)
    action = TokenPairAction.of_maps(SIX, *resolve_pair(SIX, own, other))
    ids, mask = pad([torch.tensor(own(text)["input_ids"]) for text in SOURCES])
    elements = torch.arange(6).expand(len(ids), -1)
    encoded = encode_orbit(model, action.source, elements, ids, mask)
    if weights:  # a function of the members, as a network of λ is
        encoded.log_weights = normalise_log_weights(10 * encoded.last_hidden_state[:, :, 0].mean(-1))
    return model, action, ids, mask, EncodedSource(encoded, mask)


def literal_members(model, action, ids, mask, targets):
    """`g⁻¹ log p_M(gy | gx)` by whole calls of the base, `(B, G, T, V)`."""
    members = []
    for g in range(action.group.order):
        moved = action.source.apply(g, ids), action.target.apply(g, targets)
        logits = model(input_ids=moved[0], attention_mask=mask, decoder_input_ids=moved[1]).logits
        members.append(action.target.pull_back(g, logits.log_softmax(-1)))
    return torch.stack(members, 1)


def run_paired(model, action, method, source, targets, **settings):
    return forward_orbit(
        model, action.target, method, source.elements, OrbitInputs(targets, source=source, **settings)
    )


@pytest.mark.parametrize("chunk", [None, 1])
@pytest.mark.parametrize("family", ["lstm", "t5", "marian-pair"])
@torch.no_grad()
def test_targets_are_scored_by_the_orbits_of_their_sources(family, chunk):
    model, action, ids, mask, source = paired(family)
    required = literal_members(model, action, ids, mask, TARGETS).mean(1).log_softmax(-1)
    out = run_paired(model, action, Equitune(), source, TARGETS, chunk=chunk)
    torch.testing.assert_close(out.combined, required, rtol=0, atol=1e-5)
    assert out.cache is None
    last = run_paired(model, action, Equitune(), source, TARGETS, chunk=chunk, logits_to_keep=1)
    torch.testing.assert_close(last.combined, required[:, -1:], rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", ["lstm", "t5", "marian-pair"])
@torch.no_grad()
def test_targets_are_continued_from_their_cache(family):
    model, action, ids, mask, source = paired(family)
    required = literal_members(model, action, ids, mask, TARGETS).mean(1).log_softmax(-1)
    out = run_paired(model, action, Equitune(), source, TARGETS[:, :2], use_cache=True)
    torch.testing.assert_close(out.combined, required[:, :2], rtol=0, atol=1e-5)
    for place in (2, 3):
        step = TARGETS[:, place : place + 1]
        out = run_paired(model, action, Equitune(), source, step, use_cache=True, cache=out.cache, logits_to_keep=1)
        torch.testing.assert_close(out.combined, required[:, place : place + 1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("use_cache", [False, True])
@pytest.mark.parametrize("family", ["lstm", "t5"])
@torch.no_grad()
def test_members_weigh_by_their_sources(family, use_cache):
    model, action, ids, mask, source = paired(family, weights=True)
    share = source.encoded.log_weights.softmax(1)[..., None, None]
    assert (source.encoded.log_weights - source.encoded.log_weights[:, :1]).abs().max() > 0.1
    required = (literal_members(model, action, ids, mask, TARGETS) * share).sum(1).log_softmax(-1)
    out = run_paired(model, action, LambdaEquitune(), source, TARGETS, use_cache=use_cache)
    torch.testing.assert_close(out.combined, required, rtol=0, atol=1e-5)
    last = run_paired(model, action, LambdaEquitune(), source, TARGETS, use_cache=use_cache, logits_to_keep=1)
    torch.testing.assert_close(last.combined, required[:, -1:], rtol=0, atol=1e-5)


@pytest.mark.parametrize("settings", [{}, {"chunk": 1}, {"use_cache": True}], ids=["whole", "chunks", "cache"])
@pytest.mark.parametrize("family", ["lstm", "t5"])
@torch.no_grad()
def test_members_are_chosen_by_the_places_that_count(family, settings):
    model, action, ids, mask, source = paired(family)
    members = literal_members(model, action, ids, mask, TARGETS)
    counted = torch.tensor([[1, 1, 1, 1], [1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1]]).bool()
    losses = torch.stack([MaxProbability()(members[:, g], counted) for g in range(6)], 1)
    out = run_paired(model, action, Equizero(), source, TARGETS, counted=counted, **settings)
    for text, g in enumerate(out.decision.chosen_element.tolist()):
        # Equal members are one row, so any of their elements is right: what counts is its loss and its scores.
        assert losses[text, g] == pytest.approx(float(losses[text].min()), abs=1e-6)
        torch.testing.assert_close(out.combined[text], members[text, g], rtol=0, atol=1e-5)
    assert (losses.amax(1) - losses.amin(1)).max() > 0.01


def test_a_cache_of_other_orbits_is_refused():
    model, action, _, _, source = paired("t5")
    still = TokenMap(action.target.token_map.vocab_size, ((), ()))
    other = TokenPairAction.of_maps(SIX, action.source.token_map, still)
    with torch.no_grad():
        out = run_paired(model, action, Equitune(), source, TARGETS[:, :1], use_cache=True)
        with pytest.raises(UnsupportedModelError, match="cannot be continued with"):
            run_paired(model, other, Equitune(), source, TARGETS[:, 1:2], cache=out.cache)
