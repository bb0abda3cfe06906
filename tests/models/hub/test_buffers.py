"""Buffers that no checkpoint stores, of what a model is given and of what it makes."""

from __future__ import annotations

import torch
from small_vision import classifier
from torch import nn

from hf_equi.models.hub.buffers import put_back, unsaved_buffers


class Grid(nn.Module):
    """One buffer that is saved, and one that is not."""

    def __init__(self):
        super().__init__()
        self.register_buffer("saved", torch.zeros(1))
        self.register_buffer("grid", torch.linspace(-1, 1, 3), persistent=False)
        self.register_buffer("none", None, persistent=False)


def test_they_are_found_by_name_and_put_back_as_the_module_is_now():
    module = nn.Sequential(Grid(), nn.ModuleDict({"in": Grid()}))
    kept = unsaved_buffers(module)
    assert [*kept] == ["0.grid", "1.in.grid"]
    with torch.no_grad():
        lost = module.to(torch.device("meta")).to_empty(device="cpu").double()
    put_back(lost, kept)
    assert lost[0].grid.dtype == torch.float64
    assert lost[1]["in"].grid.tolist() == [-1.0, 0.0, 1.0]


def test_models_of_transformers_make_theirs_again():
    module = nn.ModuleDict({"model": classifier("clip"), "own": Grid()})
    assert [*unsaved_buffers(module, of_models=False)] == ["own.grid"]
    assert any(name.startswith("model.") for name in unsaved_buffers(module))
