"""What is measured is the model, in float32, and nothing of it is changed."""

from __future__ import annotations

import copy

import pytest
import torch
from small_models import BOTH, GENDER, base_model, tokenizer
from wrapped_vision import TURNS
from wrapped_vision import wrap as wrap_classifier

import hf_equi
from hf_equi import DemographicGroup, ImageGroup
from hf_equi.errors import ConfigurationError, HfEquiWarning
from hf_equi.models.cards.measuring import MOST_ELEMENTS, _elements, measure
from hf_equi.testing import TOLERANCES


def wrap(base=None, group=BOTH, **settings):
    return hf_equi.symmetrize(base or base_model(), group, tokenizer=tokenizer(), **settings)


@pytest.mark.parametrize(
    "settings", [{}, {"method": "mixture"}, {"method": "canonical"}, {"average": "probabilities"}]
)
def test_an_equivariant_model_and_a_base_that_is_not(settings):
    found = measure(wrap(**settings))
    assert found.error <= TOLERANCES[torch.float32] < 0.1 < found.base_error
    assert (found.bound, found.elements, found.dtype) == ("at most 1e-05", BOTH.order - 1, torch.float32)


def test_what_is_not_equivariant_is_told_with_its_error():
    found = measure(wrap(method="identity"))
    assert found.error == found.base_error > 0.1
    assert found.bound == found.base_bound == f"{found.error:.2g}"


def test_a_relaxed_model_is_measured_where_it_claims_something():
    found = measure(wrap(group=GENDER.relax(neutral=["nurse", "driver"])))
    assert found.error <= TOLERANCES[torch.float32] < found.base_error
    assert "among equality and neutral tokens" in found.probe.said


def test_half_precision_is_measured_in_a_copy():
    base = copy.deepcopy(base_model()).bfloat16()
    found = measure(wrap(base))
    assert (found.dtype, found.bound) == (torch.float32, "at most 1e-05")
    assert found.weights == "bfloat16, read as float32"
    assert base.dtype == torch.bfloat16


def test_a_large_model_is_measured_as_it_is(monkeypatch):
    monkeypatch.setattr("hf_equi.models.cards.measuring.MOST_COPIED", 10)
    found = measure(wrap(copy.deepcopy(base_model()).bfloat16()))
    assert (found.dtype, found.bound) == (torch.bfloat16, "at most 1e-01")
    assert found.weights == "bfloat16"


def test_modes_and_random_numbers_stay():
    model = wrap_classifier("resnet", TURNS).train()
    model.base.resnet.embedder.eval()
    before = [module.training for module in model.modules()]
    state = torch.random.get_rng_state()
    assert measure(model).error <= TOLERANCES[torch.float32]
    assert [module.training for module in model.modules()] == before
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_group_that_moves_nothing_has_no_error():
    found = measure(wrap_classifier("resnet", ImageGroup.trivial()))
    assert (found.error, found.bound) == (None, "–")
    with pytest.warns(HfEquiWarning, match="stay as they are with this tokenizer"):
        lm = wrap(group=DemographicGroup([["grandfatherly", "grandmotherly"]]), multi_token="skip")
    assert measure(lm).error is None  # which would be 0, of the base too


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_error_that_is_not_finite_is_refused(value):
    base = copy.deepcopy(base_model())
    base.lm_head.weight.data.fill_(value)
    with pytest.raises(ConfigurationError, match=r"error of the EquiLM is nan.*weights that are not finite"):
        measure(wrap(base))


def test_a_base_may_rule_a_word_out_and_may_not_give_nan(monkeypatch):
    model, of_base = wrap(), float("inf")
    monkeypatch.setattr("hf_equi.models.cards.measuring._error", lambda each, *_: of_base if each is model.base else 0)
    assert measure(model).base_bound == "inf"
    of_base = float("nan")
    with pytest.raises(ConfigurationError, match="error of the GPT2LMHeadModel is nan"):
        measure(model)


def test_of_large_groups_some_elements_are_tried():
    assert _elements(4) == [1, 2, 3]
    tried = _elements(100)
    assert len(tried) == MOST_ELEMENTS
    assert (tried[0], tried[-1]) == (1, 99)
