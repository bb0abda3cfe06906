"""Activation checkpointing computes again what was not kept, and changes no gradient."""

from __future__ import annotations

import pytest
import torch
from small_trainable import CASES, classifier, drop, recurrent, sequence
from torch.utils.checkpoint import checkpoint

KINDS = ("EquiLM", "EquiForSeq2SeqLM-t5", "EquiForSeq2SeqLM-gru", "EquiForImageClassification", "EquiCLIPModel")


def gradients(case, batch):
    torch.manual_seed(3)  # of dropout and of draws
    case.model.zero_grad()
    case.model.train()(**batch).loss.backward()
    return {name: weight.grad.clone() for name, weight in case.model.named_parameters() if weight.grad is not None}


def check(case, chunk=None, reentrant=False):
    """That gradients with checkpoints, of which there are some, are those without, of all members at once."""
    batch, calls = case.batch(), []

    def counted(*args, **kwargs):
        calls.append(1)
        return checkpoint(*args, **{"use_reentrant": reentrant, **kwargs})

    plain = gradients(case, batch)
    case.model.config.orbit_chunk_size = chunk
    case.model.activation_checkpointing_enable()
    assert case.model.is_activation_checkpointing
    for module in case.model.modules():
        if getattr(module, "gradient_checkpointing", False):
            module._gradient_checkpointing_func = counted
    found = gradients(case, batch)
    assert calls
    assert plain.keys() == found.keys()
    for key, value in plain.items():
        torch.testing.assert_close(found[key], value, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_the_same(name):
    case = CASES[name]()
    drop(case.model, 0.2)
    check(case)


@pytest.mark.parametrize("name", KINDS)
def test_gradients_are_the_same_in_chunks(name):
    case = CASES[name]()
    drop(case.model, 0.0)  # chunks would draw other numbers than one batch of all
    check(case, chunk=1)


@pytest.mark.parametrize("name", KINDS)
def test_gradients_are_the_same_with_reentrant_checkpoints(name):
    """Which see no gradient of what comes in lists, so that the recurrent networks take the other kind."""
    case = CASES[name]()
    drop(case.model, 0.0)
    check(case, chunk=1, reentrant=True)


@pytest.mark.parametrize(
    "make",
    [lambda: recurrent(teacher_forcing_ratio=0.0), lambda: sequence("gru", teacher_forcing_ratio=0.0)],
    ids=["network", "wrapped"],
)
def test_recurrent_networks_keep_their_state(make):
    """Unlike a cache of keys and values, which checkpointing takes away, so that own tokens are refused."""
    check(make())


@pytest.mark.parametrize("name", KINDS)
def test_in_the_hands_of_the_trainer(name, tmp_path):
    runs = []
    for settings in ({}, {"activation_checkpointing": True}):
        case = CASES[name]()
        drop(case.model, 0.0)
        case.trainer(tmp_path, max_steps=2, optim="sgd", learning_rate=0.1, **settings).train()
        assert case.model.is_activation_checkpointing == bool(settings)
        runs.append(case.model.state_dict())
    for key, value in runs[0].items():
        torch.testing.assert_close(runs[1][key], value, atol=1e-6, rtol=1e-5)


def test_a_base_without_it_is_named_as_transformers_names_it(tmp_path):
    case = classifier("equitune", "resnet-basic")
    with pytest.raises(ValueError, match="EquiForImageClassification does not support activation checkpointing"):
        case.trainer(tmp_path, activation_checkpointing=True).train()
