from __future__ import annotations

import itertools
import json
import math
import pickle

import pytest
import torch

from hf_equi.errors import GroupError
from hf_equi.groups import DemographicGroup, FiniteGroup, ImageGroup
from hf_equi.testing import assert_group

GROUPS = [
    ImageGroup.trivial(),
    *map(ImageGroup.rotations, (1, 2, 3, 4, 7, 8, 28)),
    *map(ImageGroup.dihedral, (1, 2, 3, 4, 8)),
    *map(ImageGroup.flips, ("horizontal", "vertical", "both")),
]


def matrix(group: ImageGroup, g: int) -> torch.Tensor:
    """The element on points of the plane, x to the right and y upwards."""
    turn = math.radians(float(group.angles[g]))
    rotation = [[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]]
    mirror = [[-1.0 if group.mirrored[g] else 1.0, 0.0], [0.0, 1.0]]
    return torch.tensor(rotation, dtype=torch.float64) @ torch.tensor(mirror, dtype=torch.float64)


@pytest.mark.parametrize("group", GROUPS, ids=repr)
def test_products_compose_the_motions_of_the_plane(group):
    assert_group(group)
    motions = [matrix(group, g) for g in range(group.order)]
    torch.testing.assert_close(motions[0], torch.eye(2).double())
    torch.testing.assert_close(group.matrices, torch.stack(motions), atol=1e-14, rtol=0)
    whole = (group.rests == 0)[:, None, None].expand_as(group.matrices)
    assert set(group.matrices[whole].tolist()) <= {-1.0, 0.0, 1.0}
    for g, h in itertools.product(range(group.order), repeat=2):
        torch.testing.assert_close(motions[group.product[g, h]], motions[g] @ motions[h], atol=1e-9, rtol=0)
    apart = torch.cdist(torch.stack(motions).flatten(1), torch.stack(motions).flatten(1))
    assert (apart > 0.1).sum() == group.order * (group.order - 1), "two elements are one motion"


@pytest.mark.parametrize("group", GROUPS, ids=repr)
def test_angles_are_quarter_turns_and_a_rest(group):
    torch.testing.assert_close(group.angles, 90 * group.quarters + group.rests, atol=1e-9, rtol=0)
    assert group.quarters.dtype == torch.long
    assert ((group.quarters >= 0) & (group.quarters < 4) & (group.rests >= 0) & (group.rests < 90)).all()


def test_rests_are_equal_to_the_bit_where_angles_differ_by_quarter_turns():
    rests = ImageGroup.rotations(28).rests.view(4, 7)
    assert torch.equal(rests, rests[:1].expand(4, 7))
    assert rests[0, 1] == 360 / 28


def test_products_of_the_square_compose_pixels():
    image = torch.arange(9).view(3, 3)
    group = ImageGroup.dihedral(4)

    def act(g, x):
        k, mirrored = g % 4, g // 4
        return torch.rot90(x.flip(1) if mirrored else x, k, (0, 1))

    for g, h in itertools.product(range(8), repeat=2):
        assert torch.equal(act(int(group.product[g, h]), image), act(g, act(h, image)))
    assert group.product[1, 4] != group.product[4, 1]
    assert group.angles.tolist() == [0, 90, 180, 270] * 2
    assert group.mirrored.tolist() == [False] * 4 + [True] * 4


def test_names():
    assert ImageGroup.rotations(4).names == ("0°", "90°", "180°", "270°")
    assert ImageGroup.dihedral(2).names == ("0°", "180°", "0° mirrored", "180° mirrored")
    assert ImageGroup.rotations(8).names[1:4:2] == ("45°", "135°")
    assert ImageGroup.flips("both").names == ("identity", "horizontal", "vertical", "both")
    assert ImageGroup.flips("vertical").names == ("identity", "vertical")
    assert ImageGroup.trivial().names == ("identity",)


def test_flips_are_the_mirrors_that_they_are_named_after():
    both = ImageGroup.flips("both")
    assert both.angles.tolist() == [0, 0, 180, 180]
    assert both.mirrored.tolist() == [False, True, True, False]
    for axes, turn in (("horizontal", 0), ("vertical", 180)):
        group = ImageGroup.flips(axes)
        assert (group.angles.tolist(), group.mirrored.tolist()) == ([0, turn], [False, True])


@pytest.mark.parametrize(
    ("group", "exact", "needs_square"),
    [
        (ImageGroup.trivial(), True, False),
        (ImageGroup.rotations(1), True, False),
        (ImageGroup.rotations(2), True, False),
        (ImageGroup.rotations(3), False, True),
        (ImageGroup.rotations(4), True, True),
        (ImageGroup.rotations(8), False, True),
        (ImageGroup.dihedral(2), True, False),
        (ImageGroup.dihedral(4), True, True),
        (ImageGroup.flips("both"), True, False),
    ],
    ids=repr,
)
def test_what_a_group_asks_of_images(group, exact, needs_square):
    assert (group.exact, group.needs_square) == (exact, needs_square)


@pytest.mark.parametrize("group", GROUPS, ids=repr)
def test_groups_survive_json_and_pickle(group):
    content = json.loads(json.dumps(group.to_dict()))
    assert content["type"] == "image"
    for copy in (ImageGroup.from_dict(content), pickle.loads(pickle.dumps(group)), eval(repr(group))):
        assert copy == group
        assert hash(copy) == hash(group)
        assert repr(copy) == repr(group)
        assert torch.equal(copy.angles, group.angles)
        assert torch.equal(copy.product, group.product)


def test_groups_differ_by_kind_and_parameter():
    assert len(set(GROUPS)) == len(GROUPS)
    for first, second in itertools.combinations(GROUPS, 2):
        assert first != second
    assert ImageGroup.rotations(4) != FiniteGroup.cyclic(4)
    assert FiniteGroup.cyclic(4) != ImageGroup.rotations(4)


def test_attributes_say_how_a_group_was_made():
    assert [(g.kind, g.n, g.axes) for g in (ImageGroup.dihedral(4), ImageGroup.flips(), ImageGroup.trivial())] == [
        ("dihedral", 4, None),
        ("flips", None, "both"),
        ("trivial", None, None),
    ]
    assert ImageGroup.dihedral(4).to_dict() == {"type": "image", "kind": "dihedral", "n": 4}
    assert ImageGroup.flips("vertical").to_dict() == {"type": "image", "kind": "flips", "axes": "vertical"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], r'described by {"type": "image".*received \[\]'),
        ({"kind": "trivial"}, 'described by {"type": "image"'),
        (DemographicGroup([["he", "she"]]).to_dict(), 'described by {"type": "image"'),
        ({"type": "image"}, "needs a kind, one of dihedral, flips, rotations, trivial"),
        (
            {"type": "image", "kind": "shear"},
            "kind='shear' is not known to ImageGroup: use one of 'dihedral'",
        ),
        ({"type": "image", "kind": ["flips"]}, r"kind=\['flips'\] is not known to ImageGroup"),
        ({"type": "image", "kind": "trivial", "order": 1}, "No key 'order'"),
        ({"type": "image", "kind": "rotations"}, "'rotations' needs n: n is an integer"),
        ({"type": "image", "kind": "rotations", "n": 4, "axes": "both"}, "takes only n; received axes='both'"),
        ({"type": "image", "kind": "trivial", "n": 1}, "takes nothing; received n=1"),
        ({"type": "image", "kind": "rotations", "n": "4"}, "n='4' is not a size for cyclic"),
        ({"type": "image", "kind": "dihedral", "n": 0}, "n=0 is not a size for dihedral"),
        ({"type": "image", "kind": "flips"}, "'flips' needs axes: axes is one of horizontal, vertical, both"),
        (
            {"type": "image", "kind": "flips", "axes": "diagonal"},
            "axes='diagonal' is not known to flips",
        ),
        ({"type": "image", "kind": "flips", "axes": ["both"]}, r"axes=\['both'\] is not known"),
    ],
)
def test_descriptions_of_no_group_are_refused_by_name(content, message):
    with pytest.raises(GroupError, match=message):
        ImageGroup.from_dict(content)


def test_demographic_groups_refuse_the_description_of_an_image_group():
    with pytest.raises(GroupError, match="described by"):
        DemographicGroup.from_dict(ImageGroup.flips().to_dict())


@pytest.mark.parametrize(
    "make",
    [
        lambda: ImageGroup.rotations(0),
        lambda: ImageGroup.rotations(True),
        lambda: ImageGroup.rotations(None),
        lambda: ImageGroup.rotations(1025),
        lambda: ImageGroup.dihedral(513),
        lambda: ImageGroup.dihedral(2.0),
        lambda: ImageGroup.flips(None),
        lambda: ImageGroup.flips("left"),
    ],
)
def test_constructors_refuse_what_makes_no_group(make):
    with pytest.raises(GroupError, match=r"needs|is not known|is not a size|at most"):
        make()


def test_groups_of_images_do_not_multiply():
    with pytest.raises(GroupError, match=r"rotations\(4\) \* .*flips\('both'\) is not a group.*ImageGroup\.dihedral"):
        ImageGroup.rotations(4) * ImageGroup.flips()
    product = ImageGroup.flips("vertical") * DemographicGroup([["he", "she"]])
    assert_group(product)
    assert product.order == 4
    assert (DemographicGroup([["he", "she"]]) * ImageGroup.rotations(3)).order == 6


def test_groups_are_made_on_the_cpu_whatever_the_default_device():
    with torch.device("meta"):
        groups = [ImageGroup.dihedral(3), ImageGroup.flips()]
    for group in groups:
        tables = (group.product, group.angles, group.mirrored, group.quarters, group.rests)
        assert {table.device.type for table in tables} == {"cpu"}
