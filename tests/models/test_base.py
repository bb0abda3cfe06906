"""What every wrapper does with its base, seen through one of each task."""

from __future__ import annotations

import copy

import pytest
import torch
from small_models import GENDER, base_model, tokenizer
from small_seq2seq import SIX, fresh, tokenizers
from transformers import MambaConfig, MambaForCausalLM

import hf_equi
from hf_equi.errors import UnsupportedModelError


@pytest.fixture(params=["gpt2", "t5", "bart", "lstm", "marian-pair"])
def lm(request):
    if request.param == "gpt2":
        return hf_equi.symmetrize(copy.deepcopy(base_model()), GENDER, tokenizer=tokenizer())
    source, target = tokenizers(request.param)
    return hf_equi.symmetrize(fresh(request.param), SIX, tokenizer=source, target_tokenizer=target)


def test_base_and_wrapper_share_their_config(lm):
    assert lm.config.base_config is lm.base.config
    assert lm.unwrap() is lm.base
    assert lm.config._attn_implementation == lm.base.config._attn_implementation
    assert lm._is_stateful == lm.base._is_stateful


def test_settings_of_generation_are_a_copy_of_the_base_s(lm):
    assert lm.generation_config.to_dict() == lm.base.generation_config.to_dict()
    lm.generation_config.max_new_tokens = 3
    assert lm.base.generation_config.max_new_tokens is None


def test_embeddings_are_the_base_s(lm):
    assert lm.get_input_embeddings() is lm.base.get_input_embeddings()
    assert lm.get_output_embeddings() is lm.base.get_output_embeddings()
    old, head = lm.get_input_embeddings(), lm.get_output_embeddings()
    new, new_head = copy.deepcopy(old), copy.deepcopy(head)
    lm.set_input_embeddings(new)
    lm.set_output_embeddings(new_head)
    assert lm.base.get_input_embeddings() is new
    assert lm.base.get_output_embeddings() is new_head


def test_weights_of_a_base_that_was_passed_stay_to_the_bit(lm):
    base = copy.deepcopy(lm.base)
    for part in (*base.modules(), *base.parameters()):  # as in a base whose weights come from elsewhere
        part.__dict__.pop("_is_hf_initialized", None)
    again = type(lm)(copy.deepcopy(lm.config), base)
    assert again.base is base
    before = lm.base.state_dict()
    assert all(torch.equal(value, before[name]) for name, value in again.base.state_dict().items())
    again.init_weights()
    assert all(torch.equal(value, before[name]) for name, value in again.base.state_dict().items())


def test_weights_of_a_new_base_are_initialised_as_the_base_does(lm):
    torch.manual_seed(7)
    new = type(lm)(copy.deepcopy(lm.config))
    assert type(new.base) is type(lm.base)
    torch.manual_seed(7)
    alone = type(lm).auto_class.from_config(lm.config.base_config)
    assert set(alone.state_dict()) == set(new.base.state_dict())
    changed = [name for name, weight in alone.named_parameters() if weight.std() > 0 and weight.dim() > 1]
    own = new.base.state_dict()
    for name in changed:
        torch.testing.assert_close(own[name].std(), alone.state_dict()[name].std(), rtol=0.35, atol=1e-3)
    assert not all(torch.equal(own[name], lm.base.state_dict()[name]) for name in changed)


def test_a_base_that_cannot_be_wrapped_is_refused():
    lm = hf_equi.symmetrize(base_model(), GENDER, tokenizer=tokenizer())
    before = lm.config.to_dict(), lm.base.config._attn_implementation
    mamba = MambaForCausalLM(MambaConfig(vocab_size=len(tokenizer()), hidden_size=8, num_hidden_layers=1))
    with pytest.raises(UnsupportedModelError, match="MambaForCausalLM takes no key-value cache"):
        type(lm)(lm.config, mamba)
    assert lm.base is base_model()
    assert (lm.config.to_dict(), lm.base.config._attn_implementation) == before


def test_quantised_bases_say_so(lm):
    quantised = copy.deepcopy(lm.base)
    quantised.config.quantization_config = {"bits": 4}
    quantised.hf_quantizer = "the quantiser"
    again = type(lm)(copy.deepcopy(lm.config), quantised)
    assert again.is_quantized
    assert again.hf_quantizer == "the quantiser"
    assert again.config.quantization_config == {"bits": 4}
    assert not getattr(lm, "is_quantized", False)


@torch.no_grad()
def test_outputs_are_tuples_where_the_config_says_so(lm):
    ids = torch.tensor([[3, 4]])
    batch = {"input_ids": ids, **({"decoder_input_ids": ids} if lm.config.is_encoder_decoder else {})}
    named, texts = lm(**batch), lm.generate(ids, max_new_tokens=3)
    lm.config.return_dict = False
    plain = lm(**batch)
    assert isinstance(plain, tuple)
    assert torch.equal(plain[0], named.logits)
    assert torch.equal(lm(**batch, return_dict=True).logits, named.logits)
    assert torch.equal(lm.generate(ids, max_new_tokens=3), texts)
