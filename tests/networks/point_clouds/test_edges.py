"""Edge convolutions against pairs written out."""

from __future__ import annotations

import pytest
import torch
from small_point_clouds import clouds, literal_edges, lively

from hf_equi.networks.point_clouds import edges as module
from hf_equi.networks.point_clouds.edges import EdgeConvolution


@pytest.mark.parametrize("sizes", [[6], [6, 5]])
@pytest.mark.parametrize("at_once", [50, 10**6])
def test_edge_convolutions_are_those_of_pairs(monkeypatch, sizes, at_once):
    monkeypatch.setattr(module, "AT_ONCE", at_once)
    torch.manual_seed(0)
    layer, x = lively(EdgeConvolution(3, sizes, 4)).double(), clouds().double()
    assert (layer.norm.weight < 0).any()  # these turn the order of numbers around
    torch.testing.assert_close(layer(x, None), literal_edges(layer, x, 4))
    layer.train()
    torch.testing.assert_close(layer(x, None), literal_edges(layer, x, 4))
