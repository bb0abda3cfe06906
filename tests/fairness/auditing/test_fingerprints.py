"""Descriptions differ where texts may, and only there."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from small_models import BOTH, GENDER, base_model, tokenizer

import hf_equi
from hf_equi.fairness.auditing.fingerprints import describe_model, describe_scorer, weights_fingerprint
from hf_equi.generation.scorers import SubjectMask


def test_one_changed_weight_changes_the_fingerprint() -> None:
    model = copy.deepcopy(base_model())
    assert weights_fingerprint(model) == weights_fingerprint(base_model())
    with torch.no_grad():
        model.transformer.h[1].mlp.c_fc.weight[3, 5] += 1e-6
    assert weights_fingerprint(model) != weights_fingerprint(base_model())


def test_types_and_offloaded_weights_count() -> None:
    layer = torch.nn.Linear(2, 2)
    prints = {weights_fingerprint(layer), weights_fingerprint(copy.deepcopy(layer).bfloat16())}
    assert len(prints | {weights_fingerprint(layer.to("meta"))}) == 3


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
