"""Finite groups of matrices: polygons, solids, groups from generators, and what does not form one."""

from __future__ import annotations

import itertools
import json
import math
import pickle

import pytest
import torch

from hf_equi.errors import GroupError
from hf_equi.groups import FiniteGroup, ImageGroup, MatrixGroup, read_group
from hf_equi.groups.matrices import check_representation
from hf_equi.testing import assert_group

SOLIDS = {
    "tetrahedron": (12, {1: 1, 2: 3, 3: 8}),
    "cube": (24, {1: 1, 2: 9, 3: 8, 4: 6}),
    "icosahedron": (60, {1: 1, 2: 15, 3: 20, 5: 24}),
}
GOLDEN = (1 + math.sqrt(5)) / 2
TURN, MIRROR = [[0.0, -1.0], [1.0, 0.0]], [[-1.0, 0.0], [0.0, 1.0]]


def corners(solid: str) -> torch.Tensor:
    """The corners of a tetrahedron, a cube or an icosahedron, `(n, 3)`."""
    signs = torch.tensor(list(itertools.product((1.0, -1.0), repeat=3)), dtype=torch.float64)
    if solid == "icosahedron":
        edge = torch.tensor([1.0, 0.0, GOLDEN], dtype=torch.float64) * signs
        return torch.cat([edge.roll(shift, 1) for shift in range(3)]).unique(dim=0)
    return signs[signs.prod(1) > 0] if solid == "tetrahedron" else signs


def orders(group: FiniteGroup) -> dict[int, int]:
    """How many elements have each order."""
    found: dict[int, int] = {}
    for g in range(group.order):
        order, power = 1, g
        while power:
            order, power = order + 1, int(group.product[power, g])
        found[order] = found.get(order, 0) + 1
    return found


@pytest.mark.parametrize("mirrors", [False, True])
@pytest.mark.parametrize("solid", SOLIDS)
def test_solids_are_moved_onto_themselves_by_all_their_symmetries(solid, mirrors):
    group, (rotations, expected) = getattr(MatrixGroup, solid)(mirrors=mirrors), SOLIDS[solid]
    assert_group(group)
    assert group.order == rotations * (2 if mirrors else 1)
    if not mirrors:
        assert orders(group) == expected
    products = group.matrices[:, None] @ group.matrices
    torch.testing.assert_close(group.matrices[group.product], products, rtol=0, atol=1e-15)
    assert int((torch.linalg.det(group.matrices) < 0).sum()) == (rotations if mirrors else 0)
    points = corners(solid)
    moved = points @ group.matrices.mT
    assert float(torch.cdist(moved, points.expand(group.order, -1, -1)).min(-1).values.max()) < 1e-14
    if solid != "icosahedron":
        assert set(group.matrices.flatten().tolist()) == {-1.0, 0.0, 1.0}


@pytest.mark.parametrize("n", [1, 2, 3, 4, 8, 12])
def test_polygons_are_the_groups_of_images(n):
    for make, make_image in ((MatrixGroup.cyclic, ImageGroup.rotations), (MatrixGroup.dihedral, ImageGroup.dihedral)):
        group, image = make(n), make_image(n)
        assert type(group) is MatrixGroup
        assert torch.equal(group.product, image.product)
        assert (group.names, group.matrices.tolist()) == (image.names, image.matrices.tolist())
    with pytest.raises(GroupError, match=r"n=0 is not a size for cyclic\(n\)"):
        MatrixGroup.cyclic(0)


def test_elements_are_named_by_angle_and_axis():
    cube = MatrixGroup.cube(mirrors=True)
    turn = cube.matrices[cube.element("90° about (0, 0, 1)")]
    assert turn.tolist() == [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    assert cube.matrices[cube.element("0° inverted")].tolist() == (-torch.eye(3)).tolist()
    assert "120° about (1, 1, -1)" in cube.names
    assert "72° about (0.618, 0, 1)" in MatrixGroup.icosahedron().names
    assert MatrixGroup([[[1.0]], [[-1.0]]]).names == ("e", "g1")
    assert MatrixGroup([[[1.0]], [[-1.0]]], names=["stay", "turn"]).names == ("stay", "turn")


def test_generators_make_a_group():
    assert_group(square := MatrixGroup.generated([TURN, MIRROR]))
    assert (square.order, square.generators) == (8, (1, 2))
    shear = torch.tensor([[1.0, 1.0], [0.0, -1.0]])  # of order 2, and not orthogonal
    assert MatrixGroup.generated(shear[None]).order == 2
    slightly_off = torch.tensor([[1e-9, -1.0], [1.0, 3e-8]])
    assert MatrixGroup.generated(slightly_off[None]).matrices.unique().tolist() == [-1.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("generators", "message"),
    [
        ([[[1.0, 1.0], [0.0, 1.0]]], "at most 1024 elements, but the group of these matrices would have more"),
        ([[[0.0, 1.0], [0.0, 0.0]]], "Element 1 has no inverse"),
        ([[1.0, 0.0]], r"needs the shape \(G, d, d\).*received \(1, 2\)"),
        ([[[1.0, 0.0]]], r"received \(1, 1, 2\)"),
        ([[["a"]]], "rectangular array of numbers"),
        ([[[math.nan]]], "Matrix 0 of 1 holds NaN"),
    ],
)
def test_generators_that_make_none_are_refused(generators, message):
    with pytest.raises(GroupError, match=message):
        MatrixGroup.generated(generators)


@pytest.mark.parametrize(
    ("matrices", "message"),
    [
        ([TURN], "Matrix 0 must be the identity"),
        (torch.stack([torch.eye(2), torch.tensor(TURN)]), r"the product of matrices 1 and 1 is not one of the 2"),
        (torch.eye(2).expand(2, 2, 2), "Matrices 0 and 1 are equal"),
        (torch.eye(1).expand(2000, 1, 1), "at most 1024 elements"),
        ([], r"received \(0,\)"),
    ],
)
def test_what_is_not_a_group_of_matrices_is_refused(matrices, message):
    with pytest.raises(GroupError, match=message):
        MatrixGroup(matrices)


def test_groups_survive_json_and_pickle():
    groups = [MatrixGroup.icosahedron(), MatrixGroup.cyclic(7), MatrixGroup([[[1.0]], [[-1.0]]], names=["a", "b"])]
    for group in groups:
        for again in (read_group(json.loads(json.dumps(group.to_dict()))), pickle.loads(pickle.dumps(group))):
            assert again == group
            assert hash(again) == hash(group)
            assert torch.equal(again.matrices, group.matrices)
            assert torch.equal(again.product, group.product)
    assert len(set(groups)) == 3
    assert MatrixGroup.cyclic(2) != MatrixGroup.generated([[[-1.0, 0.0], [0.0, -1.0]]])
    with pytest.raises(GroupError, match=r"A group of matrices is described by .*received the keys \['type'\]"):
        MatrixGroup.from_dict({"type": "matrix"})
    with torch.device("meta"):
        assert read_group(groups[0].to_dict()).matrices.device.type == "cpu"


def test_matrices_need_not_tell_elements_apart_to_represent_them():
    group = FiniteGroup.cyclic(4)
    signs = check_representation(group, [[[1]], [[-1]], [[1]], [[-1]]])
    assert (signs.dtype, signs.flatten().tolist()) == (torch.float64, [1, -1, 1, -1])
    for matrices, message in (
        ([[[1]], [[-1]]], r"one matrix per element, \(4, d, d\); received \(2, 1, 1\)"),
        (
            [[[1]], [[1]], [[-1]], [[1]]],
            r"matrices\[product\[1, 1\]\] differs from matrices\[1\] @ matrices\[1\] by up",
        ),
        ([[[-1]], [[1]], [[-1]], [[1]]], r"matrices\[product\[0, \d\]\] differs"),
    ):
        with pytest.raises(GroupError, match=message):
            check_representation(group, matrices)
