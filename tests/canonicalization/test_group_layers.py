"""Group convolutions against a literal sum, and maps that are halved alike from both ends."""

from __future__ import annotations

import math

import pytest
import torch

from hf_equi import ImageGroup, PixelAction
from hf_equi.canonicalization.group_layers import GroupLayer, _sampled, disc, halved


def literal(layer, maps):
    """The equation of a full layer, as sums over h and q, before norm and ReLU: `(B, C, G, H, W)`."""
    group, action = layer.group, PixelAction(layer.group)
    side = layer.weight.shape[-1] // 2
    padded = torch.nn.functional.pad(maps, (side,) * 4)
    height, width = maps.shape[-2:]
    out = torch.zeros(len(maps), layer.weight.shape[0], group.order, height, width, dtype=maps.dtype)
    for g in range(group.order):
        for h in range(1 if layer.lifting else group.order):
            place = 0 if layer.lifting else int(group.product[group.inverse(g), h])
            weight = action.apply(g, layer.weight[:, :, place].contiguous())  # (C, inputs, k, k)
            for i in range(2 * side + 1):
                for j in range(2 * side + 1):
                    shifted = padded[..., i : i + height, j : j + width]
                    part = shifted if layer.lifting else shifted[:, :, h]
                    out[:, :, g] += torch.einsum("oc,bchw->bohw", weight[:, :, i, j], part)
    return out


@pytest.mark.parametrize("lifting", [True, False])
@pytest.mark.parametrize(
    "group", [ImageGroup.rotations(4), ImageGroup.dihedral(4), ImageGroup.flips("both")], ids=repr
)
def test_a_layer_is_the_sum_of_its_equation(group, lifting):
    torch.manual_seed(0)
    layer = GroupLayer(group, 2, 3, 3, lifting).double()
    shape = (2, 2, 5, 4) if not group.needs_square else (2, 2, 5, 5)
    maps = torch.randn(shape if lifting else (*shape[:2], group.order, *shape[2:]), dtype=torch.float64)
    layer.norm = torch.nn.Identity()
    torch.testing.assert_close(layer(maps), literal(layer, maps).relu(), atol=1e-12, rtol=1e-12)


def test_sampled_filters_move_as_images_do():
    """Those of quarter turns and mirrors to rounding, and a Gaussian in the middle stays under all turns."""
    group, weight = ImageGroup.dihedral(4), torch.randn(2, 3, 5, 5, dtype=torch.float64)
    sampled = _sampled(group, weight)
    torch.testing.assert_close(sampled, PixelAction(group).orbit(sampled[:, 0]))
    middle = torch.zeros(1, 1, 5, 5)
    middle[..., 2, 2] = 1
    turned = _sampled(ImageGroup.rotations(8), middle)[0]
    torch.testing.assert_close(turned, turned[:1].expand_as(turned))
    above = torch.zeros(1, 1, 5, 5)
    above[..., 1, 2] = 1  # goes to the upper left by 45° counter-clockwise
    turned = _sampled(ImageGroup.rotations(8), above)[0, 1, 0]
    grid = torch.cartesian_prod(torch.arange(5.0), torch.arange(5.0)) - 2
    middle = (turned.flatten()[:, None] * grid).sum(0) / turned.sum()
    torch.testing.assert_close(middle, torch.tensor([-1.0, -1.0]) * math.sqrt(0.5), atol=0.02, rtol=0)


@pytest.mark.parametrize("size", [(7, 7), (8, 8), (3, 9), (4, 2), (1, 1)])
def test_maps_are_halved_alike_from_both_ends(size):
    maps = torch.randn(2, 3, 4, *size, dtype=torch.float64)
    half = halved(maps)
    assert half.shape[-2:] == tuple(length if length < 4 else length // 2 for length in size)
    torch.testing.assert_close(halved(maps.flip(-1)), half.flip(-1))
    torch.testing.assert_close(halved(maps.flip(-2)), half.flip(-2))


def test_the_disc_is_what_no_turn_moves_out():
    inside = disc(8, 8, torch.zeros(1))
    assert inside.sum() == 32
    assert torch.equal(inside, inside.rot90())
