"""Targets of mixed batches: each sample by its own element, and what is given stays as it is."""

from __future__ import annotations

import copy

import pytest
import torch

from hf_equi import ImageGroup, PixelAction
from hf_equi.actions import ImageBoxAction, ImagePointAction
from hf_equi.canonicalization import move_targets
from hf_equi.errors import ActionError
from hf_equi.groups import SO2

SQUARE = ImageGroup.dihedral(4)
SIZE = (6, 6)
ELEMENTS = torch.tensor([0, 5, 1, 4])  # the identity, a turned mirror, a turn and a mirror


def batch():
    generator = torch.Generator().manual_seed(0)
    boxes = torch.rand(4, 3, 4, generator=generator).sort(-1).values
    return {
        "labels": torch.tensor([3, 1, 2, 0]),
        "masks": torch.rand(4, 2, *SIZE, generator=generator) > 0.5,
        "depth": torch.rand(4, *SIZE, generator=generator),
        "boxes": boxes,
        "points": torch.rand(4, 3, 2, generator=generator),
    }


def test_each_sample_moves_by_its_own_element():
    targets = batch()
    given = copy.deepcopy(targets)
    moved = move_targets(SQUARE, ELEMENTS, targets, SIZE)
    actions = {
        "masks": PixelAction(SQUARE),
        "boxes": ImageBoxAction(SQUARE, SIZE),
        "points": ImagePointAction(SQUARE, SIZE),
    }
    for row, g in enumerate(ELEMENTS.tolist()):
        for name, action in actions.items():
            assert torch.equal(moved[name][row], action.apply(g, given[name][row : row + 1])[0])
        depth = PixelAction(SQUARE).apply(g, given["depth"][row][None, None])[0, 0]
        assert torch.equal(moved["depth"][row], depth)
    assert torch.equal(moved["labels"], given["labels"])
    # The two that are not mirrored see no reflection: turned back, they are the given ones.
    assert torch.equal(moved["depth"][2].rot90(-1), given["depth"][2])
    back = move_targets(SQUARE, SQUARE.inverse(ELEMENTS), moved, SIZE)
    for name in targets:
        torch.testing.assert_close(back[name], given[name], atol=1e-6, rtol=0)


@pytest.mark.parametrize("elements", [ELEMENTS, torch.zeros(4, dtype=torch.long)])
def test_what_is_given_stays_whatever_is_done_to_the_result(elements):
    targets = batch()
    given = copy.deepcopy(targets)
    for value in move_targets(SQUARE, elements, targets, SIZE).values():
        value.fill_(0)
    assert all(torch.equal(targets[name], given[name]) for name in given)


def test_samples_may_differ_in_number():
    whole = batch()
    ragged = {
        name: [value[row][: 1 + row % 2] for row in range(4)] for name, value in whole.items() if value.dim() > 2
    }
    ragged.pop("depth")
    moved = move_targets(SQUARE, ELEMENTS, ragged, SIZE)
    expected = move_targets(SQUARE, ELEMENTS, whole, SIZE)
    for name, values in moved.items():
        assert isinstance(values, list)
        for row, value in enumerate(values):
            assert torch.equal(value, expected[name][row][: 1 + row % 2])
    with pytest.raises(ActionError, match="boxes has 3 entries for 4 samples"):
        move_targets(SQUARE, ELEMENTS, {"boxes": ragged["boxes"][:3]}, SIZE)


def test_a_kind_may_be_named_and_has_to_be_known():
    corners = batch()["points"]
    moved = move_targets(SQUARE, ELEMENTS, {"corners": corners}, SIZE, {"corners": "points"})
    assert torch.equal(moved["corners"], move_targets(SQUARE, ELEMENTS, {"points": corners}, SIZE)["points"])
    with pytest.raises(ActionError, match=r"unknown how corners move with an image: pass kinds=\{'corners': ...\}"):
        move_targets(SQUARE, ELEMENTS, {"corners": corners}, SIZE)
    with pytest.raises(ActionError, match="kind='dots' is not known to the target 'corners'"):
        move_targets(SQUARE, ELEMENTS, {"corners": corners}, SIZE, {"corners": "dots"})


def test_groups_of_all_angles_are_refused():
    with pytest.raises(ActionError, match=r"SO2\(\) is not an ImageGroup.*masks by PlaneAction"):
        move_targets(SO2(), SO2().sample(1), {"labels": torch.tensor([0])}, size=(8, 8))
