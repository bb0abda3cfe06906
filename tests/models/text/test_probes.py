"""Inputs that every element moves."""

from __future__ import annotations

import pytest
import torch
from small_models import BOTH, GENDER, base_model, tokenizer
from small_seq2seq import SIX
from small_seq2seq import wrap as wrap_seq2seq
from wrapped_vision import SQUARE
from wrapped_vision import wrap as wrap_classifier

import hf_equi
from hf_equi.models.text.probes import pair_probe, text_probe
from hf_equi.models.vision.probes import image_probe


def causal(group=BOTH):
    return hf_equi.symmetrize(base_model(), group, tokenizer=tokenizer())


@pytest.mark.parametrize(
    "make",
    [
        lambda: text_probe(causal()),
        lambda: pair_probe(wrap_seq2seq("lstm", SIX)),
        lambda: image_probe(wrap_classifier("resnet", SQUARE)),
    ],
)
def test_every_element_moves_every_input_and_none_is_drawn_anew(make):
    probe = make()
    group = probe.input_action.group
    for g in range(1, group.order):
        moved = probe.input_action.apply(g, probe.inputs)
        assert ((moved != probe.inputs).flatten(1).any(1)).all()
    assert torch.equal(probe.inputs, make().inputs)


def test_texts_have_no_special_token_unless_it_is_moved():
    model = causal(GENDER)
    assert not set(text_probe(model).inputs.flatten().tolist()) & set(model.tokenizer.all_special_ids)


def test_the_base_is_asked_the_same():
    model = causal()
    probe = text_probe(model)
    with torch.no_grad():
        expected = model.base(probe.inputs).logits.log_softmax(-1)
        torch.testing.assert_close(probe.run(model.base, probe.inputs), expected)
        assert not torch.allclose(probe.run(model, probe.inputs), expected, atol=0.1)


def test_relaxed_models_are_asked_for_odds_alone():
    model = causal(GENDER.relax(neutral=["nurse"]))
    probe = text_probe(model)
    with torch.no_grad():
        scores = probe.run(model, probe.inputs)
    general = model.action.general
    assert (scores[..., general] == -torch.inf).all()
    torch.testing.assert_close(scores[..., ~general].exp().sum(-1), torch.ones(scores.shape[:2]))
