from __future__ import annotations

import copy

import torch
from small_models import base_model

from hf_equi.bases.weights_fingerprint import weights_fingerprint


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


def test_weights_are_read_as_if_they_were_loaded_in_another_type() -> None:
    half = copy.deepcopy(base_model()).bfloat16()
    whole = copy.deepcopy(half).float()
    assert weights_fingerprint(half, torch.float32) == weights_fingerprint(whole) != weights_fingerprint(half)
    assert weights_fingerprint(half, torch.bfloat16) == weights_fingerprint(half)
