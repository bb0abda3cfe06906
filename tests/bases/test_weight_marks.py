"""Any way of writing to weights is seen, and no way of moving them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hf_equi.bases.weight_marks import mark_weights, weights_changed


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(30, 30), nn.BatchNorm1d(30), nn.Embedding(7, 2))


@torch.no_grad()
def add(model):
    model[0].weight[3, 2] += 1  # which torch counts


def add_past_the_count(model):
    model[0].weight.data += 1e-3


def exchange(model):
    model[2].weight.data = torch.zeros(7, 2)


def replace(model):
    model[2] = nn.Embedding(7, 2)


def observe(model):
    model[1](torch.randn(4, 30))  # running means, while no weight is trained


def wrap(model):
    model[0] = nn.Sequential(model[0])


@pytest.mark.parametrize("change", [add, add_past_the_count, exchange, replace, observe, wrap])
def test_what_is_written_is_seen(change):
    model = network()
    marks = mark_weights(model)
    assert not weights_changed(model, marks)
    change(model)
    assert weights_changed(model, marks)


def test_what_is_moved_is_the_same():
    model = network()
    marks = mark_weights(model)
    for move in (nn.Module.eval, nn.Module.bfloat16):
        move(model)
        assert not weights_changed(model, marks)


def test_narrowed_weights_are_others_when_they_are_wide_again():
    model = network()
    marks = mark_weights(model)
    assert weights_changed(model.bfloat16().float(), marks)
