"""What all our models that write have in common, with every release of transformers."""

from __future__ import annotations

import copy

import pytest
import torch
from peft import get_peft_model
from small_adapters import prompts, stirred
from small_models import GENDER, base_model, tokenizer
from small_seq2seq import TWO, base, wrap
from transformers import LogitsProcessorList, PrefixConstrainedLogitsProcessor

import hf_equi
from hf_equi.bases.compat import cache_of
from hf_equi.generation.draft_cache import DraftCache

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # by peft
OLD = "past_key_values"
SOURCES = torch.tensor([[3, 4, 5, 6], [7, 4, 8, 3], [3, 3, 4, 4]])


def causal(plain=None):
    return hf_equi.symmetrize(base_model("gpt2") if plain is None else plain, GENDER, tokenizer=tokenizer())


def prompted():
    return causal(stirred(get_peft_model(copy.deepcopy(base_model("llama")), prompts("prefix"))))


MODELS = {
    "EquiLM": causal,
    "with a prefix": prompted,
    "EquiForSeq2SeqLM": lambda: wrap("t5", TWO),
    "RecurrentSeq2Seq": lambda: base("lstm"),
}


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("name", ["cache", OLD])
@pytest.mark.filterwarnings(f"ignore:.*{OLD}. is deprecated:FutureWarning")
def test_generate_goes_on_from_a_cache_of_either_name(make, name):
    model = make()
    writes = {"do_sample": False, "max_new_tokens": 3, "min_new_tokens": 3, "pad_token_id": 1}
    out = model.generate(SOURCES, **writes, return_dict_in_generate=True)
    assert out.cache is getattr(out, OLD) is cache_of(out)
    grown = {}
    if model.config.is_encoder_decoder:  # a mask tells that these are not the new tokens alone
        mask = torch.ones_like(out.sequences)
        grown = {"decoder_input_ids": out.sequences, "decoder_attention_mask": mask}
    inputs = SOURCES if grown else out.sequences
    expected = model.generate(inputs, **grown, **writes)
    assert torch.equal(model.generate(inputs, **grown, **writes, **{name: out.cache}), expected)
    assert model.can_generate()


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_a_constraint_is_given_the_number_of_the_prompt(make):
    seen = set()

    def allowed(number, sent):
        seen.add(number)
        return [3 + number]

    settings = {"do_sample": True, "num_return_sequences": 2, "max_new_tokens": 2, "pad_token_id": 1}
    texts = make().generate(SOURCES, prefix_allowed_tokens_fn=allowed, **settings)
    assert seen == {0, 1, 2}
    assert texts[:, -1].tolist() == [3, 3, 4, 4, 5, 5]


def test_a_constraint_of_the_users_own_stays_as_it_is():
    """Of its class, and asked for what it counts itself, also beside one of `generate`."""
    calls, seen = [], set()

    class Counting(PrefixConstrainedLogitsProcessor):
        def __call__(self, input_ids, scores):
            calls.append(len(input_ids))
            return super().__call__(input_ids, scores)

    own = LogitsProcessorList([Counting(lambda number, sent: seen.add(number) or [5, 6, 7], 1)])
    settings = {"do_sample": True, "num_return_sequences": 2, "max_new_tokens": 2}
    other = {"prefix_allowed_tokens_fn": lambda number, sent: [5 + number]}
    texts = causal().generate(SOURCES, logits_processor=own, **settings, **other)
    assert calls == [6, 6]
    assert seen == {0, 1, 2, 3, 4, 5}
    assert texts[:, -1].tolist() == [5, 5, 6, 6, 7, 7]


def test_code_from_the_hub_that_prepares_its_inputs_by_the_older_name_writes_the_same():
    """It takes what it does not know in `**kwargs`, and leaves it out: without its cache it would read one token."""
    plain = copy.deepcopy(base_model("gpt2"))

    class Remote(type(plain)):
        def prepare_inputs_for_generation(self, input_ids, past_key_values=None, **kwargs):
            known = ("attention_mask", "position_ids", "use_cache")
            rest = {name: kwargs[name] for name in known if name in kwargs}
            return {"input_ids": input_ids, OLD: past_key_values, **rest}

    remote = copy.deepcopy(plain)
    remote.__class__ = Remote
    inputs = tokenizer()(["the man met", "He met the woman"], return_tensors="pt", padding=True)
    expected = causal(plain).generate(**inputs, max_new_tokens=5)
    assert torch.equal(causal(remote).generate(**inputs, max_new_tokens=5), expected)
    ids = inputs["input_ids"][:, None]
    drafts = [DraftCache(base) for base in (plain, remote)]
    with torch.no_grad():
        assert torch.equal(*[draft.feed(ids, torch.ones_like(ids), torch.arange(2)) for draft in drafts])
        assert torch.equal(*[draft.step(torch.tensor([5, 6])) for draft in drafts])


def test_drafts_of_an_assistant_need_a_cache_that_grows():
    with pytest.raises(ValueError, match=r"[Ss]tatic|cropped"):
        causal().generate(SOURCES[:1], prompt_lookup_num_tokens=2, cache_implementation="static", max_new_tokens=3)
