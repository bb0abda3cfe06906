"""What models with virtual tokens share, whatever they read and write."""

from __future__ import annotations

import copy

import pytest
import torch
from peft import get_peft_model
from small_adapters import PAIRS, encoded, prompts, stirred
from small_models import GENDER, base_model, tokenizer
from small_seq2seq import encode, fresh, targets, wrap

from hf_equi import symmetrize
from hf_equi.errors import UnsupportedModelError
from hf_equi.models.peft.bases import bare_base
from hf_equi.models.peft.prompt_tuned import PromptTunedModel
from hf_equi.models.peft.prompt_tuned_lm import PromptTunedLM
from hf_equi.models.peft.prompt_tuned_seq2seq_lm import PromptTunedSeq2SeqLM

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # by peft


def causal(kind="prompt"):
    return get_peft_model(copy.deepcopy(base_model("llama")), prompts(kind))


def pairs(kind="prompt"):
    return get_peft_model(fresh("t5"), prompts(kind, **PAIRS))


@pytest.mark.parametrize(("make", "expected"), [(causal, PromptTunedLM), (pairs, PromptTunedSeq2SeqLM)])
def test_the_class_goes_by_the_task(make, expected):
    model = bare_base(make())
    assert type(model) is expected
    assert isinstance(model, PromptTunedModel)
    assert model.can_generate()
    assert model.virtual_tokens == 3
    assert not model.has_prefix
    assert bare_base(make("prefix")).has_prefix
    assert model.get_input_embeddings() is model.model.get_input_embeddings()
    assert model.get_output_embeddings() is model.model.get_output_embeddings()


@pytest.mark.parametrize("make", [causal, pairs])
def test_virtual_tokens_stand_before_texts_and_masks(make):
    model = bare_base(make())
    ids = torch.tensor([[5, 6], [7, 0]])
    embeddings = model.prompted(ids)
    assert embeddings.shape[:2] == (2, 5)
    assert torch.equal(embeddings[:, :3], model.prompt_encoder["default"].embedding.weight[:3].expand(2, -1, -1))
    assert torch.equal(embeddings[:, 3:], model.get_input_embeddings()(ids))
    assert model.lengthened(torch.tensor([[1, 1], [1, 0]])).tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 1, 0]]
    assert model.lengthened(None) is None


@pytest.mark.parametrize("make", [causal, pairs])
def test_a_copy_has_parts_of_its_own(make):
    model = bare_base(make())
    other = copy.deepcopy(model)
    with torch.no_grad():
        for weight in other.parameters():
            weight.zero_()
    assert not other.prompted(torch.tensor([[5, 6]])).any()
    assert model.prompted(torch.tensor([[5, 6]])).any()


def test_an_adapter_for_another_task_is_refused():
    with pytest.raises(UnsupportedModelError, match="task_type='CAUSAL_LM' does not fit a T5ForConditionalGeneration"):
        bare_base(get_peft_model(fresh("t5"), prompts("prompt")))
    wrong = get_peft_model(copy.deepcopy(base_model("llama")), prompts("prompt", **PAIRS))
    with pytest.raises(UnsupportedModelError, match="task_type='SEQ_2_SEQ_LM' does not fit a LlamaForCausalLM"):
        bare_base(wrong)


@pytest.mark.parametrize("kind", ["prompt", "prefix", "p"])
@torch.no_grad()
def test_over_a_base_in_half_precision_they_stay_in_float32(kind, tmp_path):
    base = copy.deepcopy(base_model("gpt2")).bfloat16()
    lm = symmetrize(stirred(get_peft_model(base, prompts(kind))), GENDER, tokenizer=tokenizer())
    seq2seq = wrap(stirred(get_peft_model(fresh("bart").bfloat16(), prompts(kind, num_layers=2, **PAIRS))))
    for model, batch in ((lm, encoded()), (seq2seq, {**encode(seq2seq), "decoder_input_ids": targets(seq2seq)})):
        folder = tmp_path / type(model).__name__
        model.save_pretrained(folder)
        loaded = type(model).from_pretrained(folder)
        assert loaded.base.model.dtype == torch.bfloat16
        assert {weight.dtype for weight in loaded.base.prompt_encoder.parameters()} == {torch.float32}
        assert torch.equal(loaded(**batch).logits, model(**batch).logits)
