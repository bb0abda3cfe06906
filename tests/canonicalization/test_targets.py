"""Targets of mixed batches: each sample by its own element, and what is given stays as it is."""

from __future__ import annotations

import copy

import pytest
import torch

from hf_equi import ImageGroup, PixelAction
from hf_equi.actions import ImageBoxAction, ImagePointAction
from hf_equi.actions.shapes import BOX_FORMS
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


@pytest.mark.parametrize("form", BOX_FORMS)
def test_all_targets_of_an_oblong_image_move_with_its_pixels(form):
    """By a mirror, in pixels: a box around two of them, its middle, and a map in which they are marked."""
    group, size = ImageGroup.flips("both"), (4, 8)
    marked = torch.zeros(2, *size)
    marked[:, 1, 5:7] = 1
    corners = torch.tensor([5.0, 1.0, 7.0, 2.0])
    middle, sides = (corners[:2] + corners[2:]) / 2, corners[2:] - corners[:2]
    forms = {"xyxy": corners, "xywh": torch.cat([corners[:2], sides]), "cxcywh": torch.cat([middle, sides])}
    targets = {"depth": marked, "boxes": [forms[form][None]] * 2, "points": middle.expand(2, 1, 2)}
    elements = torch.tensor([group.element("horizontal"), group.element("both")])
    moved = move_targets(group, elements, targets, size, box_form=form)
    for row, (left, top) in enumerate(((1, 1), (1, 2))):
        assert moved["depth"][row].nonzero().tolist() == [[top, left], [top, left + 1]]
        assert moved["points"][row].tolist() == [[left + 1, top + 0.5]]
        box = {
            "xyxy": [left, top, left + 2, top + 1],
            "xywh": [left, top, 2, 1],
            "cxcywh": [left + 1, top + 0.5, 2, 1],
        }
        assert moved["boxes"][row].tolist() == [box[form]]


def test_maps_are_continued_as_the_models_images_are():
    group, maps = ImageGroup.rotations(8), torch.rand(2, 9, 9, generator=torch.Generator().manual_seed(0))
    for padding in ("reflect", "circular"):
        expected = PixelAction(group, padding).apply(1, maps[:, None])[:, 0]
        found = move_targets(group, torch.ones(2, dtype=torch.long), {"depth": maps}, (9, 9), padding=padding)
        assert torch.equal(found["depth"], expected)
    with pytest.raises(ActionError, match="padding='zeros'"):
        move_targets(group, torch.ones(2, dtype=torch.long), {"depth": maps}, (9, 9), padding="zeros")


def test_samples_may_differ_in_number():
    whole = batch()
    ragged = {
        name: [value[row][: 1 + row % 2] for row in range(4)] for name, value in whole.items() if value.dim() > 2
    }
    ragged["depth"] = list(whole["depth"])  # one map, (H, W), for each
    moved = move_targets(SQUARE, ELEMENTS, ragged, SIZE)
    assert torch.equal(torch.stack(moved.pop("depth")), move_targets(SQUARE, ELEMENTS, whole, SIZE)["depth"])
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
    with pytest.raises(ActionError, match=r"unknown how 'corners' moves with an image: pass kinds=\{'corners': ...\}"):
        move_targets(SQUARE, ELEMENTS, {"corners": corners}, SIZE)
    with pytest.raises(ActionError, match="kind='dots' is not known to the target 'corners'"):
        move_targets(SQUARE, ELEMENTS, {"corners": corners}, SIZE, {"corners": "dots"})


def test_labels_that_may_be_maps_need_a_kind():
    maps, classes = batch()["depth"], torch.zeros(4, 2, 3)
    for labels in (maps, list(maps)):
        with pytest.raises(
            ActionError, match=r"labels has samples of the shape \(6, 6\): .* kinds=\{'labels': \"map\"\}"
        ):
            move_targets(SQUARE, ELEMENTS, {"labels": labels}, SIZE)
    moved = move_targets(SQUARE, ELEMENTS, {"labels": maps}, SIZE, {"labels": "map"})["labels"]
    assert torch.equal(moved, move_targets(SQUARE, ELEMENTS, {"depth": maps}, SIZE)["depth"])
    assert torch.equal(
        move_targets(SQUARE, ELEMENTS, {"labels": classes}, SIZE, {"labels": "class"})["labels"], classes
    )


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            [{"class_labels": torch.tensor([1]), "boxes": torch.rand(1, 4)}],
            r"holds dict, .*\[one\['class_labels'\] for",
        ),
        ([3, 5], "labels holds int, which no action moves. Pass a tensor with one entry for each sample"),
        (torch.tensor(3), "labels holds Tensor, which no action moves"),
        (None, "labels holds NoneType"),
    ],
)
def test_what_is_not_made_of_tensors_is_refused(labels, message):
    with pytest.raises(ActionError, match=message):
        move_targets(SQUARE, torch.tensor([1]), {"labels": labels}, SIZE)


def test_maps_of_numbers_of_classes_are_not_resampled():
    group, classes = ImageGroup.rotations(8), torch.zeros(1, 9, 9, dtype=torch.long)
    with pytest.raises(ActionError, match=r"masks is a map of torch.int64, and .*rotations\(8\).* is not a class"):
        move_targets(group, torch.tensor([1]), {"masks": classes}, (9, 9))


def test_groups_of_all_angles_are_refused():
    with pytest.raises(ActionError, match=r"SO2\(\) is not an ImageGroup.*masks by PlaneAction"):
        move_targets(SO2(), SO2().sample(1), {"labels": torch.tensor([0])}, size=(8, 8))
