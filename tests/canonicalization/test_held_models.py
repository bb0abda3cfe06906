"""Models of transformers inside canonicalizers."""

from __future__ import annotations

import pytest
import torch
from small_vision import classifier, images
from torch import nn

from hf_equi.canonicalization.held_models import answer_of, described, read_described
from hf_equi.errors import ConfigurationError


def test_a_model_is_described_by_its_class_and_config():
    model = classifier("resnet")
    again = read_described(described(model))
    again.load_state_dict(model.state_dict())
    assert torch.equal(answer_of(again.eval(), images()), answer_of(model, images()))
    assert described(nn.Linear(1, 1)) is None
    own = type("Own", (type(model),), {})(model.config)
    assert described(own) is None
    with pytest.raises(ConfigurationError, match="transformers has no model 'AutoConfig'"):
        read_described({"class": "AutoConfig", "config": {}})


def test_an_output_without_scores_is_refused():
    with pytest.raises(ConfigurationError, match="A Pair returns neither a tensor nor logits"):
        answer_of(type("Pair", (nn.Module,), {"forward": lambda self, x: (x, x)})(), images())
