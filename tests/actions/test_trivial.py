from __future__ import annotations

import torch

from hf_equi.actions import TrivialAction
from hf_equi.groups import FiniteGroup, ImageGroup
from hf_equi.testing import assert_action

ACTION = TrivialAction(ImageGroup.dihedral(4))


def test_it_is_an_action_that_leaves_everything_as_it_is():
    scores = torch.randn(3, 5)
    assert_action(ACTION, [scores])
    elements = torch.tensor([0, 7, 3])
    for received in (
        ACTION.apply(7, scores),
        ACTION.invert(elements, scores),
        ACTION.pull_back(elements, scores),
        ACTION.pull_back(3, scores),
    ):
        assert received is scores


def test_its_tables_are_those_of_an_action_that_moves_no_column():
    assert (ACTION.moved.shape, ACTION.moved.dtype) == ((0,), torch.long)
    assert (ACTION.images.shape, ACTION.images.dtype) == ((8, 0), torch.long)
    assert ACTION.general is None
    scores = torch.randn(2, 8, 5)
    # As a fold takes the moved columns, and puts them back.
    assert scores[..., ACTION.moved].shape == (2, 8, 0)
    assert torch.equal(scores.clone().index_copy_(-1, ACTION.moved, scores[..., ACTION.moved]), scores)
    assert torch.searchsorted(ACTION.moved, ACTION.images).shape == (8, 0)


def test_tables_follow_the_device():
    assert ACTION.to("cpu") is ACTION
    moved = ACTION.to("meta")
    assert {moved.device.type, moved.moved.device.type, moved.images.device.type} == {"meta"}
    assert moved.group is ACTION.group
    with torch.device("meta"):
        assert TrivialAction(FiniteGroup.cyclic(2)).moved.device.type == "cpu"
