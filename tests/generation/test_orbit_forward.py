"""How the tokens of a call are cut into segments, and what the base is called with."""

from __future__ import annotations

import inspect

import pytest
import torch
from small_models import BOTH, GENDER, base_model, calls_of, tokenizer
from transformers import LlamaConfig, LlamaForCausalLM, MambaConfig, MambaForCausalLM

import hf_equi
from hf_equi.errors import UnsupportedModelError
from hf_equi.generation import OrbitInputs, check_base, forward_orbit
from hf_equi.generation.orbit_forward import MINIMUM_SAVING
from hf_equi.symmetrizers import Equitune


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
        check_base(MambaForCausalLM)
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


def test_other_errors_pass(lm):
    with pytest.raises(IndexError):
        lm(torch.tensor([[10**6]]))
