"""Canonicalizers inside models: `vision/test_canonicalization.py` and `point_clouds/test_model.py` have the rest."""

from __future__ import annotations

import pytest
import torch
from small_point_clouds import classifier, clouds

import hf_equi
from hf_equi.canonicalization import VectorNeurons
from hf_equi.errors import ConfigurationError
from hf_equi.groups import SO3
from hf_equi.models.canonicalized import CanonicalizedModel


def test_a_frozen_canonicalizer_keeps_its_statistics():
    model = hf_equi.symmetrize(classifier(), SO3(), "canonical")
    assert isinstance(model, CanonicalizedModel)
    model.select_network.requires_grad_(False)
    model.train()
    assert not model.select_network.training
    assert model.base.training
    model.select_network.requires_grad_(True)
    assert model.train().select_network.training


def test_only_the_canonicalizer_trains_without_labels():
    model = hf_equi.symmetrize(classifier(), SO3(), "canonical", task_weight=0.0).train()
    out = model(clouds())
    assert out.logits is None
    out.loss.backward()
    assert all(weight.grad is None for weight in model.base.parameters())
    assert any(weight.grad is not None for weight in model.select_network.parameters())
    torch.testing.assert_close(out.loss, 100 * out.prior_loss)


def test_a_canonicalizer_belongs_to_a_method_and_a_group():
    with pytest.raises(ConfigurationError, match="canonicalizer: the method 'equitune' does not use these settings"):
        hf_equi.symmetrize(classifier(), SO3(), canonicalizer=VectorNeurons(SO3()))
    with pytest.raises(ConfigurationError, match="is a class: make one"):
        hf_equi.symmetrize(classifier(), SO3(), "canonical", canonicalizer=VectorNeurons)
