"""Nearest neighbours and edge convolutions, against pairs written out."""

from __future__ import annotations

import pytest
import torch
from small_point_clouds import clouds, literal_edges, lively, padding

from hf_equi.networks.point_clouds import neighbours as module
from hf_equi.networks.point_clouds.neighbours import EdgeConvolution, nearest


@pytest.mark.parametrize("channels", [3, 7])
@pytest.mark.parametrize("at_once", [1, 20, 10**6])
def test_neighbours_are_the_nearest_in_any_pieces(channels, at_once):
    x = torch.randn(3, 12, channels, generator=torch.Generator().manual_seed(0)) + 5
    for kept in (None, padding() > 0):
        apart = (x[:, :, None] - x[:, None]).square().sum(-1)
        if kept is not None:
            apart = apart.masked_fill(~kept[:, None], torch.inf)
        expected = apart.argsort(-1)[..., :4].sort().values
        assert torch.equal(nearest(x, kept, 4, at_once).sort().values, expected)


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
