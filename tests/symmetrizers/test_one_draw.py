from __future__ import annotations

import torch

from hf_equi.actions import PixelAction
from hf_equi.groups import ImageGroup
from hf_equi.symmetrizers import Draws, KeyedDraws, OneDraw

SQUARE = PixelAction(ImageGroup.dihedral(4))


def test_it_asks_for_one_member_and_needs_no_training():
    method = OneDraw()
    assert (method.name, method.selects_one, method.needs_training, method.relaxable) == (
        "mixture",
        True,
        False,
        False,
    )
    assert method.select(SQUARE, torch.randn(5, 1, 4, 4)).elements.shape == (5, 1)


def test_draws_from_a_seed_are_the_same_for_all_members_of_an_orbit_and_uniform():
    images = torch.randn(400, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    drawn = KeyedDraws(3).elements(SQUARE, images, None)
    read = SQUARE.apply(drawn, images)
    for g in range(8):
        moved = SQUARE.apply(g, images)
        assert torch.equal(SQUARE.apply(KeyedDraws(3).elements(SQUARE, moved, None), moved), read)
    counts = drawn.bincount(minlength=8)
    assert (counts - 50).square().sum() / 50 < 24.3  # χ² with 7 degrees of freedom, one in a thousand
    assert not torch.equal(KeyedDraws(4).elements(SQUARE, images, None), drawn)
    assert torch.equal(KeyedDraws(3).elements(SQUARE, images[7:9], None), drawn[7:9])
    assert len(Draws().elements(SQUARE, images, None).unique()) == 8
