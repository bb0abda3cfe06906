"""The centre of a cloud."""

from __future__ import annotations

import torch
from small_clouds import draw

from hf_equi.actions import PointAction
from hf_equi.canonicalization import Centre
from hf_equi.groups import E3
from hf_equi.testing import assert_equivariant


def test_it_moves_with_the_cloud_and_padding_counts_for_nothing():
    x, mask = draw(3, 5, 3), torch.ones(3, 5)
    mask[1, 2:] = 0
    assert_equivariant(Centre(), x, PointAction(E3()), PointAction(E3()))
    torch.testing.assert_close(Centre()(x, mask)[1], x[1, :2].mean(0))
    torch.testing.assert_close(Centre()(x)[1], x[1].mean(0))
