"""Descriptions differ where texts may, and only there."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from peft import get_peft_model
from small_adapters import layers
from small_models import BOTH, GENDER, base_model, tokenizer

import hf_equi
from hf_equi.fairness.auditing.fingerprints import describe_model, describe_scorer
from hf_equi.generation.scorers import SubjectMask
from hf_equi.models.text.fingerprint import weights_fingerprint


def test_a_model_is_known_by_what_it_does_and_not_by_where_it_lies(tmp_path) -> None:
    base_model().save_pretrained(tmp_path)
    loaded = type(base_model()).from_pretrained(tmp_path)
    assert describe_model(loaded, {}) == describe_model(base_model(), {})
    loaded.generation_config.repetition_penalty = 1.2
    assert describe_model(loaded, {}) != describe_model(base_model(), {})


@pytest.mark.parametrize(
    "other",
    [
        {"method": "mixture"},
        {"group": GENDER},
        {"group": BOTH.relax(neutral=["nurse"])},
        {"average": "probabilities"},
    ],
)
def test_the_settings_of_a_method_count(other) -> None:
    first, second = (
        hf_equi.symmetrize(base_model(), tokenizer=tokenizer(), **{"group": BOTH, **settings})
        for settings in ({}, other)
    )
    assert describe_model(first, {}) != describe_model(second, {})
    assert describe_model(first, {})["weights"] == describe_model(base_model(), {})["weights"]


@pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to False:UserWarning")  # peft mends it for GPT-2
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # by peft
def test_the_weights_of_an_adapted_base_have_the_names_of_the_base() -> None:
    """As the card of the model looks for them."""
    adapted = get_peft_model(copy.deepcopy(base_model()), layers("lora", target_modules=["c_attn"]))
    lm = hf_equi.symmetrize(adapted, GENDER, tokenizer=tokenizer())
    assert describe_model(lm, {})["weights"] == weights_fingerprint(lm.base)


def test_a_base_that_models_share_is_read_once() -> None:
    known = {id(base_model()): "read before"}
    lm = hf_equi.symmetrize(base_model(), GENDER, tokenizer=tokenizer())
    assert describe_model(lm, known)["weights"] == "read before"


def test_scorers_are_told_apart(regard) -> None:
    def loss(texts: list[str]) -> torch.Tensor:
        return torch.zeros(len(texts))

    scorers = [regard(), regard(SubjectMask(GENDER)), regard(SubjectMask(BOTH)), loss]
    described = [json.dumps(describe_scorer(scorer, {})) for scorer in scorers]
    assert len(set(described)) == 4
    assert describe_scorer(regard(), {}) == describe_scorer(regard(), {})


def test_the_weights_of_a_scorer_count(regard) -> None:
    first, second = regard(), regard()
    first.model, second.model = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    assert describe_scorer(first, {}) != describe_scorer(second, {})
