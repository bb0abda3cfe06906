"""The dtype in which a model computes."""

from __future__ import annotations

import torch
from torch import nn

from hf_equi.bases.weight_dtype import weight_dtype


def test_it_is_that_of_the_first_floating_weight():
    model = nn.Module()
    model.table = nn.Parameter(torch.zeros(2, dtype=torch.long), requires_grad=False)
    assert weight_dtype(model, torch.float64) == torch.float64
    model.layer = nn.Linear(1, 1).bfloat16()
    assert weight_dtype(model, torch.float64) == torch.bfloat16
