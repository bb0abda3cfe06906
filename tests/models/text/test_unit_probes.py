"""Texts of words of several tokens that models are measured with."""

from __future__ import annotations

import itertools

import pytest
import torch
from small_models import base_model, tokenizer

import hf_equi
from hf_equi import DemographicGroup
from hf_equi.models.cards.measuring import measure
from hf_equi.models.text.probes import text_probe

GROUP = DemographicGroup([["man", "woman"], ["uncle", "aunt"], ["old king", "queen"]])
PRODUCT = GROUP * DemographicGroup([["tiger", "lion", "bear"]])


def wrap(group=GROUP, **settings):
    return hf_equi.symmetrize(base_model(), group, tokenizer=tokenizer(), multi_token="compose", **settings)


@pytest.mark.parametrize("group", [GROUP, PRODUCT, GROUP.relax(neutral=["nurse", "driver"])])
def test_images_differ_in_length_and_the_model_alone_follows_them(group):
    lm = wrap(group, look_ahead=0.05)
    found = measure(lm)
    assert found.error <= 1e-5
    assert found.base_error > 0.01
    assert found.probe.said.endswith("that begins no word of several tokens")


def test_an_action_on_texts_of_different_lengths():
    probe = text_probe(wrap(PRODUCT))
    action = probe.input_action
    for g, h in itertools.product(range(PRODUCT.order), repeat=2):
        moved = action.apply(g, action.apply(torch.full((len(probe.inputs),), h), probe.inputs))
        assert torch.equal(moved, action.apply(PRODUCT.compose(g, h), probe.inputs))
    assert torch.equal(action.apply(0, probe.inputs), probe.inputs)
    lengths = {int((action.apply(g, probe.inputs)[0] >= 0).sum()) for g in range(PRODUCT.order)}
    assert len(lengths) > 1


def test_what_is_compared_is_the_law_of_the_base_after_each_word():
    lm = wrap()
    probe, action = text_probe(lm), lm.action
    with torch.no_grad():
        said = probe.run(lm.base, probe.inputs)
        text = [token for token in probe.inputs[0].tolist() if token >= 0]
        ends = list(itertools.accumulate(len(action.write([unit])) for unit in action.read(text)))
        law = lm.base(torch.tensor([text])).logits[0].log_softmax(-1)
    assert len(ends) < len(text)
    for place, end in enumerate(ends):
        if (said[0, place] != 0).any():
            torch.testing.assert_close(said[0, place][action.alone], law[end - 1][action.alone])
            assert (said[0, place][~action.alone] == -torch.inf).all()
    assert not action.alone.all()
