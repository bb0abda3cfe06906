from __future__ import annotations

import pytest
import torch

from hf_equi.actions import TrivialAction
from hf_equi.errors import ActionError
from hf_equi.groups import FiniteGroup, ImageGroup
from hf_equi.testing import assert_action

ACTION = TrivialAction(ImageGroup.dihedral(4))


def test_it_is_an_action_that_leaves_everything_as_it_is():
    scores = torch.randn(3, 5)
    assert_action(ACTION, [scores])
    elements = torch.tensor([0, 7, 3])
    for received in (
        ACTION.apply(7, scores),
        ACTION.invert(7, scores),
        ACTION.apply_each(elements, scores),
        ACTION.invert_each(elements, scores),
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


@pytest.mark.parametrize("g", [8, -1, "90°", 0.0])
def test_elements_of_other_groups_are_refused(g):
    for act in (ACTION.apply, ACTION.invert):
        with pytest.raises(ActionError, match=r"No element .* in ImageGroup\.dihedral\(4\): .* 0 to 7"):
            act(g, torch.zeros(1))


@pytest.mark.parametrize("elements", [torch.tensor([0, 8]), torch.tensor([-1, 0])])
def test_each_element_is_checked(elements):
    with pytest.raises(ActionError, match="No element"):
        ACTION.apply_each(elements, torch.zeros(2, 3))


@pytest.mark.parametrize("elements", [torch.tensor([0]), torch.tensor([0.0, 1.0]), torch.tensor([[0], [1]])])
def test_one_element_a_sample_is_needed(elements):
    with pytest.raises(ActionError, match=r"One element a sample is needed, int64 of shape \(2,\)"):
        ACTION.invert_each(elements, torch.zeros(2, 3))
