"""Virtual tokens in a base: the same numbers as those of peft, in a form that orbits can run through."""

from __future__ import annotations

import copy

import pytest
import torch
from peft import get_peft_model
from small_adapters import OF_PEFT, PEFT_FITS, encoded, greedily, prompts, stirred
from small_models import GENDER, base_model, tokenizer

import hf_equi
from hf_equi.bases.compat import cache_of
from hf_equi.errors import UnsupportedModelError
from hf_equi.models.peft.prompt_tuned_lm import PromptTunedLM

pytestmark = [
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"),  # by peft
    pytest.mark.filterwarnings(OF_PEFT),
    pytest.mark.filterwarnings("ignore:Position ids are not supported:UserWarning"),  # peft leaves them out
]


def tuned(kind, family="llama"):
    torch.manual_seed(0)
    return stirred(get_peft_model(copy.deepcopy(base_model(family)), prompts(kind)))


@pytest.mark.parametrize(
    ("kind", "family"),
    [("prompt", "llama"), ("prefix", "llama"), ("p", "llama"), ("prefix", "mistral"), ("prompt", "gpt2")],
)
@torch.no_grad()
def test_without_a_group_it_is_the_model_of_peft_to_the_bit(kind, family):
    model, batch = tuned(kind, family), encoded()
    same = hf_equi.symmetrize(model, GENDER, "identity", tokenizer=tokenizer())
    assert isinstance(same.base, PromptTunedLM)
    assert not same.base.training
    length = batch["input_ids"].shape[1]
    expected = model(**batch).logits[:, -length:].log_softmax(-1)
    assert torch.equal(same(**batch).logits, expected)
    plain = base_model(family)(**batch).logits.log_softmax(-1)
    assert (expected - plain)[batch["attention_mask"] == 1].abs().max() > 0.1
    greedy = {"max_new_tokens": 5, "do_sample": False}
    if kind == "prefix":  # peft counts the places of padding when it scores, and not when it writes
        batch = {name: value[:1] for name, value in batch.items()}
        assert batch["attention_mask"].all()
    assert torch.equal(same.generate(**batch, **greedy), greedily(model, 5, **batch))
    if PEFT_FITS:
        assert torch.equal(same.generate(**encoded(), **greedy), model.generate(**encoded(), **greedy))


@pytest.mark.parametrize("kind", ["prompt", "prefix"])
@torch.no_grad()
def test_caches_have_the_length_of_the_text(kind):
    lm = hf_equi.symmetrize(tuned(kind), GENDER, tokenizer=tokenizer())
    ids = encoded()["input_ids"][:1]
    whole = lm(ids).logits
    out = lm(ids[:, :2], use_cache=True)
    assert out.cache.get_seq_length() == 2
    assert torch.allclose(out.logits, whole[:, :2], atol=1e-5)
    out = lm(ids[:, 2:], cache=out.cache)
    assert torch.allclose(out.logits, whole[:, 2:], atol=1e-5)
    assert torch.allclose(lm(ids, logits_to_keep=1).logits, whole[:, -1:], atol=1e-5)
    first = lm.generate(ids, max_new_tokens=2, do_sample=False, return_dict_in_generate=True)
    longer = lm.generate(first.sequences, max_new_tokens=2, do_sample=False, cache=cache_of(first))
    assert torch.equal(longer, lm.generate(ids, max_new_tokens=4, do_sample=False))


@torch.no_grad()
def test_positions_of_a_call_stand_behind_a_prefix():
    lm = PromptTunedLM(tuned("prefix"))
    ids = encoded()["input_ids"][:1]
    positions = torch.arange(ids.shape[1])[None]
    assert torch.equal(lm(ids, position_ids=positions).logits, lm(ids).logits)
    assert not torch.allclose(lm(ids, position_ids=positions * 2).logits, lm(ids).logits, atol=1e-2)


def test_what_has_no_room_for_virtual_tokens_is_refused():
    lm = hf_equi.symmetrize(tuned("prefix"), GENDER, tokenizer=tokenizer())
    with pytest.raises(UnsupportedModelError, match="leave cache_implementation out"):
        lm.generate(**encoded(), max_new_tokens=2, cache_implementation="static")
    lm.train()
    lm.activation_checkpointing_enable()
    with pytest.raises(UnsupportedModelError, match="switch checkpointing off"):
        lm(**encoded())
