"""Heat maps, moved by finite and continuous groups, against flips and exchanges by hand."""

from __future__ import annotations

import pytest
import torch

from hf_equi import ImageGroup
from hf_equi.actions import HeatMapAction, PixelAction, PlaneAction
from hf_equi.errors import ActionError
from hf_equi.groups import O2
from hf_equi.testing import assert_action

SQUARE = ImageGroup.dihedral(4)
PAIRS = [(0, 2), (1, 3)]


def test_it_is_an_action_of_finite_and_continuous_groups():
    maps = torch.randn(3, 5, 6, 6)
    assert_action(HeatMapAction(PixelAction(SQUARE), PAIRS, 5), [maps])
    plane, group = HeatMapAction(PlaneAction(O2()), PAIRS, 5), O2()
    quarter = group.exp(torch.tensor([torch.pi / 2], dtype=torch.float64))
    mirror = torch.tensor([[-1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    finite = HeatMapAction(PixelAction(SQUARE), PAIRS, 5)
    torch.testing.assert_close(plane.apply(mirror, maps), finite.apply(4, maps))
    torch.testing.assert_close(
        plane.apply(torch.stack([quarter, mirror, quarter @ mirror]), maps),
        finite.apply(torch.tensor([1, 4, 5]), maps),
    )


def test_mirrors_exchange_and_turns_do_not():
    maps = torch.randn(4, 4, 5)  # one image; the middle axes of a half turn need no square
    action = HeatMapAction(PixelAction(ImageGroup.flips("both")), PAIRS, 4)
    assert torch.equal(action.apply(1, maps), maps[[2, 3, 0, 1]].flip(-1))
    assert torch.equal(action.apply(3, maps), maps.flip((-2, -1)))
    assert torch.equal(action.invert(1, action.apply(1, maps)), maps)


def test_other_channels_and_pairs_are_refused():
    with pytest.raises(ActionError, match=r"need 4 channels, \(\.\.\., 4, H, W\); received the shape \(1, 3, 5, 5\)"):
        HeatMapAction(PixelAction(SQUARE), PAIRS, 4).apply(1, torch.zeros(1, 3, 5, 5))
    for pairs in ([(0, 4)], [(0, 0)], [(0, 1), (1, 2)], [(0,)], [("a", "b")]):
        with pytest.raises(
            ActionError, match=r"does not exchange two channels: name two different numbers from 0 to 3"
        ):
            HeatMapAction(PixelAction(SQUARE), pairs, 4)
