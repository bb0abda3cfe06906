"""Which bases can be called, and what with."""

from __future__ import annotations

import pytest
import torch
from small_models import base_model
from small_networks import network
from transformers import (
    BartForConditionalGeneration,
    BertLMHeadModel,
    GPT2LMHeadModel,
    MarianMTModel,
    PreTrainedModel,
    SpeechT5ForSpeechToText,
    T5ForConditionalGeneration,
    WhisperForConditionalGeneration,
)

from hf_equi.bases.signatures import parameters
from hf_equi.errors import UnsupportedModelError
from hf_equi.generation.base_call import call_base, check_base, check_seq2seq_base
from hf_equi.networks import GroupRecurrentSeq2Seq, RecurrentSeq2Seq


@pytest.mark.parametrize(
    "kind",
    [
        T5ForConditionalGeneration,
        BartForConditionalGeneration,
        MarianMTModel,
        RecurrentSeq2Seq,
        GroupRecurrentSeq2Seq,
        network(),
    ],
    ids=["t5", "bart", "marian", "recurrent", "group", "object"],
)
def test_models_from_text_to_text_pass(kind):
    check_seq2seq_base(kind)


@pytest.mark.parametrize(
    ("kind", "missing"),
    [
        (GPT2LMHeadModel, "decoder_input_ids, encoder_outputs"),
        (BertLMHeadModel, "decoder_input_ids, encoder_outputs"),
        (WhisperForConditionalGeneration, "input_ids"),
        (SpeechT5ForSpeechToText, "input_ids"),
    ],
)
def test_other_models_are_refused_and_told_what_they_lack(kind, missing):
    message = rf"^{kind.__name__} takes no {missing}, so it is not a text-to-text model\. Load one with AutoModelFor"
    with pytest.raises(UnsupportedModelError, match=message):
        check_seq2seq_base(kind)


def test_an_object_is_refused_as_its_class_is():
    with pytest.raises(UnsupportedModelError, match="GPT2LMHeadModel takes no decoder_input_ids"):
        check_seq2seq_base(base_model("gpt2"))


def test_a_model_without_a_cache_is_no_base():
    class Plain(PreTrainedModel):
        def forward(self, input_ids):
            return input_ids

    with pytest.raises(UnsupportedModelError, match="Plain takes no key-value cache"):
        check_base(Plain)
    check_base(base_model("gpt2"))


def test_only_the_last_places_are_scored():
    ids = torch.tensor([[3, 4, 5]])
    base = base_model("gpt2")
    with torch.no_grad():
        last = call_base(base, {"input_ids": ids, "return_dict": False}, 2).logits
        assert last.shape[1] == 2
        assert torch.equal(last, base(ids).logits[:, 1:])
        assert call_base(base, {"input_ids": ids}, 0).logits.shape[1] == 3


@pytest.mark.parametrize("keep", [0, 1, 2])
def test_a_base_that_cannot_leave_places_out_scores_them_all(keep):
    base, ids = network(), torch.tensor([[3, 4, 5]])
    assert "logits_to_keep" not in parameters(type(base).forward)
    arguments = {"input_ids": ids, "decoder_input_ids": ids, "position_ids": ids, "logits_to_keep": 7}
    with torch.no_grad():
        out = call_base(base, arguments, keep)
        assert torch.equal(out.logits, base(ids, decoder_input_ids=ids).logits[:, -keep:])
