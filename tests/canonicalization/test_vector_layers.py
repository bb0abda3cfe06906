"""Layers of vector neurons against their equations."""

from __future__ import annotations

import pytest
import torch
from small_clouds import draw
from torch import nn

from hf_equi.canonicalization.vector_layers import VectorLayer, VectorLinear, VectorNorm, weighted_mean
from hf_equi.groups import O3


def factor(lengths, longest):
    return lengths.square() / (lengths + longest / 100).square()


def test_the_norm_is_the_batch_norm_of_lengths():
    """With the statistics that torch's own keeps, in training and in evaluation."""
    own, known = VectorNorm(4).double(), nn.BatchNorm1d(4).double()
    for norm in (own, known):
        nn.init.normal_(norm.weight, generator=torch.Generator().manual_seed(0))
        nn.init.normal_(norm.bias, generator=torch.Generator().manual_seed(1))
    for _ in range(2):
        x = draw(6, 5, 4, 3)
        lengths = x.norm(dim=-1)  # (B, N, C)
        longest = lengths.flatten(1).amax(1)[:, None, None]
        wanted = known(lengths.flatten(0, 1)).view_as(lengths) * factor(lengths, longest)
        torch.testing.assert_close(own(x, torch.ones(6, 5).double()), x / lengths[..., None] * wanted[..., None])
        torch.testing.assert_close(own.mean, known.running_mean)
        torch.testing.assert_close(own.variance, known.running_var)
        own.eval(), known.eval()
    own.reset_parameters()
    assert (own.weight.sum(), own.bias.sum(), own.mean.sum(), own.variance.sum()) == (4, 0, 0, 4)


def test_places_of_weight_0_change_nothing():
    x, weights = draw(2, 5, 4, 3), torch.ones(2, 5).double()
    weights[1, 3:] = 0
    other = torch.where(weights[..., None, None] > 0, x, 100 * draw(2, 5, 4, 3, seed=1))
    layers = [VectorLayer(4, 2).double() for _ in range(2)]
    layers[1].load_state_dict(layers[0].state_dict())
    first, second = (layer(one, weights) for layer, one in zip(layers, (x, other), strict=True))
    kept = weights > 0
    torch.testing.assert_close(first[kept], second[kept])
    torch.testing.assert_close(layers[0].norm.variance, layers[1].norm.variance)
    torch.testing.assert_close(weighted_mean(first, weights)[1], first[1, :3].mean(0))


def test_the_relu_cuts_what_points_against_the_direction():
    layer, x = VectorLayer(3, 2).double().eval().requires_grad_(False), draw(1, 4, 3, 3)
    found = layer(x, torch.ones(1, 4).double())
    query = torch.einsum("cd,bndi->bnci", layer.linear.weight, x)
    key = torch.einsum("cd,bndi->bnci", layer.direction.weight, x)
    lengths = query.norm(dim=-1)
    query = query / lengths[..., None] * (lengths / (1 + 1e-5) ** 0.5 * factor(lengths, lengths.max()))[..., None]
    limit = 1e-6 * key.norm(dim=-1).max() ** 2
    for place in range(4):
        for c in range(2):
            q, k = query[0, place, c], key[0, place, c]
            against = min(float(q @ k), 0.0)
            torch.testing.assert_close(found[0, place, c], q - against / (k @ k + limit) * k)


@pytest.mark.parametrize("layer", [VectorLinear(3, 2).double(), VectorLayer(3, 2).double()], ids=type)
def test_they_turn_with_their_input(layer):
    x, weights, g = draw(2, 4, 3, 3), torch.ones(2, 4).double(), O3().sample(1, torch.Generator().manual_seed(0))
    given = () if isinstance(layer, VectorLinear) else (weights,)
    torch.testing.assert_close(layer(x @ g.mT, *given), layer(x, *given) @ g.mT)
