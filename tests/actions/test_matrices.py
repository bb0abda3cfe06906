"""Matrices on vectors and on points; `test_base` holds them to the contract of all actions."""

from __future__ import annotations

import math

import pytest
import torch

from hf_equi.actions import Action, PointAction, TrivialAction, VectorAction
from hf_equi.errors import ActionError
from hf_equi.groups import E3, O3, SE3, SO2, SO3, DemographicGroup, FiniteGroup, ImageGroup, MatrixGroup

CONTINUOUS = [SO2(), O3(), SE3(), E3()]


def drawn(group, count):
    return group.sample(count, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("group", CONTINUOUS, ids=repr)
def test_each_cloud_moves_by_its_own_element(group):
    g, x = drawn(group, 5), torch.randn(5, 7, group.dimension, dtype=torch.float64)
    linear, translation = group.parts(g)
    turned = torch.einsum("rij,rnj->rni", linear, x)
    torch.testing.assert_close(VectorAction(group).apply(g, x), turned)
    torch.testing.assert_close(PointAction(group).apply(g, x), turned + translation[:, None])
    torch.testing.assert_close(PointAction(group).apply(g, x[:, 0]), turned[:, 0] + translation)
    torch.testing.assert_close(PointAction(group).apply(g[2], x[2]), (turned + translation[:, None])[2])
    assert PointAction(group).apply(g[:0], x[:0]).shape == (0, 7, group.dimension)
    assert PointAction(group).apply(g, x[:, :0]).shape == (5, 0, group.dimension)


def test_differences_of_points_are_vectors():
    group, x, y = SE3(), torch.randn(5, 4, 3).double(), torch.randn(5, 4, 3).double()
    g = drawn(group, 5)
    moved = PointAction(group).apply(g, x) - PointAction(group).apply(g, y)
    torch.testing.assert_close(moved, VectorAction(group).apply(g, x - y))


@pytest.mark.parametrize("group", CONTINUOUS, ids=repr)
def test_gradients_flow_to_points_and_elements(group):
    vector = torch.full((2, group.coordinates), 0.3, dtype=torch.float64, requires_grad=True)
    x = torch.randn(2, 2, group.dimension, dtype=torch.float64, requires_grad=True)
    action = PointAction(group)
    assert torch.autograd.gradcheck(lambda vector, x: action.apply(group.exp(vector), x), (vector, x))
    assert torch.autograd.gradcheck(lambda vector, x: action.invert(group.exp(vector), x), (vector, x))


def test_finite_and_continuous_groups_agree():
    for finite, group in ((MatrixGroup.icosahedron(), SO3()), (ImageGroup.rotations(8), SO2())):
        g, x = torch.arange(finite.order), torch.randn(finite.order, 4, group.dimension).double()
        expected = VectorAction(group).apply(finite.matrices, x)
        torch.testing.assert_close(VectorAction(finite).apply(g, x), expected)
        torch.testing.assert_close(VectorAction(finite).apply(3, x), VectorAction(group).apply(finite.matrices[3], x))


def test_signs_and_places_change_exactly():
    """Whatever the numbers, and whatever the batch."""
    cube = MatrixGroup.cube(mirrors=True)
    action, x = PointAction(cube), torch.randn(3, 5, 3)
    keys = action.keys(x)
    assert len(keys.unique()) == keys.numel()
    for g in range(cube.order):
        moved = action.apply(g, x)
        assert torch.equal(moved.abs().sort(-1).values, x.abs().sort(-1).values)
        assert torch.equal(action.invert(g, moved), x)
        assert torch.equal(action.keys(moved), keys[:, cube.product[:, g]])
    assert torch.equal(action.keys(x[1:2]), keys[1:2])


def test_signed_permutations_are_gathered_and_other_matrices_multiplied():
    """In one table or element by element: all members, and their keys."""
    for group, exact in ((MatrixGroup.cube(mirrors=True), True), (MatrixGroup.icosahedron(), False)):
        action, x = VectorAction(group), torch.randn(5, 3, dtype=torch.float64)
        expected = torch.einsum("gij,bj->bgi", group.matrices, x)
        members = action.orbit(x)
        torch.testing.assert_close(members, expected, rtol=0, atol=0 if exact else 1e-12)
        assert all(torch.equal(members[:, g], action.apply(g, x)) for g in range(group.order))
        elements = torch.tensor([0, 3, 7, 11, 2])
        assert torch.equal(action.apply(elements, x), members[torch.arange(5), elements])
        assert torch.equal(action.keys(x), Action.keys(action, x)) == exact
        assert action.orbit(x[:, None]).shape == (5, group.order, 1, 3)
        with pytest.raises(ActionError, match="acts on 3 coordinates"):
            action.orbit(x[:, :2])
    infinite = torch.tensor([[torch.inf, 1.0, -2.0]])
    assert VectorAction(MatrixGroup.cube()).apply(1, infinite).isinf().sum() == 1  # zero times infinity would be NaN
    with pytest.raises(ActionError, match="is not a finite group, so the members of an orbit cannot be listed"):
        VectorAction(SO3()).orbit(torch.zeros(1, 3))


@pytest.mark.parametrize("shape", [(3,), (4, 3)])
def test_rounding_does_not_change_which_member_is_the_smallest(shape):
    group = MatrixGroup.icosahedron()
    action, x = PointAction(group), torch.randn(20, *shape)
    smallest, keys = action.canonical_element(x), action.keys(x)
    assert keys.min() < 0 < keys.max()
    for g in range(group.order):
        again = action.canonical_element(action.apply(g, x))
        assert torch.equal(group.product[again, g], smallest)
        order = keys[:, group.product[:, g]].argsort(1)
        assert torch.equal(action.keys(action.apply(g, x)).argsort(1), order)
    with pytest.raises(ActionError, match="acts on 3 coordinates"):
        action.keys(x[..., :2])


def test_any_representation_acts():
    """A state of a pole, whose four numbers change their signs in a mirror."""
    mirror = FiniteGroup.cyclic(2)
    states = VectorAction(mirror, torch.stack([torch.eye(4), -torch.eye(4)]))
    assert states.apply(torch.tensor([0, 1]), torch.ones(2, 4)).tolist() == [[1.0] * 4, [-1.0] * 4]
    assert (states.dimension, repr(states)) == (4, f"VectorAction({mirror!r})")


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float16, 2e-3), (torch.bfloat16, 2e-2), (torch.float64, 1e-6)]
)
def test_other_precisions_are_rounded_once(dtype, tolerance):
    g, x = drawn(SE3(), 6).float(), torch.rand(6, 5, 3)
    received = PointAction(SE3()).apply(g, x.to(dtype))
    assert received.dtype == dtype
    expected = PointAction(SE3()).apply(g, x.to(dtype).float())
    assert torch.equal(received, expected.to(dtype)) or dtype == torch.float64
    torch.testing.assert_close(received.float(), PointAction(SE3()).apply(g, x), rtol=0, atol=3 * tolerance)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(PointAction(SE3()).apply(g, x.to(dtype)), received)
        assert torch.equal(PointAction(SE3()).invert(g, x.to(dtype)), PointAction(SE3()).invert(g, x.to(dtype)))


def test_it_is_exported_and_moves_on_the_meta_device():
    class Turned(torch.nn.Module):
        def forward(self, g, x):
            return PointAction(SE3()).invert(g, x)

    g, x = drawn(SE3(), 3).float(), torch.randn(3, 4, 3)
    program = torch.export.export(Turned(), (g, x)).module()
    torch.testing.assert_close(program(g.flip(0), x), Turned()(g.flip(0), x))
    assert Turned()(g.to("meta"), x.to("meta")).shape == x.shape


@pytest.mark.parametrize(
    ("group", "elements", "x", "message"),
    [
        (SO3(), torch.eye(3), torch.zeros(2, 4), r"SO3\(\) acts on 3 coordinates.*received the shape \(2, 4\)"),
        (SO3(), torch.eye(3), torch.zeros(()), r"received the shape \(\)"),
        (SO3(), torch.eye(3), torch.zeros(2, 3, dtype=torch.long), "floating numbers; received torch.int64"),
        (
            SO3(),
            torch.eye(3).expand(3, 3, 3),
            torch.zeros(2, 3),
            r"shape \(2, 3, 3\), or one for all; received \(3, 3, 3",
        ),
        (SO3(), -torch.eye(3), torch.zeros(2, 3), r"No such element in SO3\(\). The element .* mirrors"),
        (SO3(), math.nan * torch.eye(3), torch.zeros(2, 3), "holds NaN"),
        (SO3(), 1, torch.zeros(2, 3), "float32 or float64; received 1"),
        (SE3(), torch.eye(3), torch.zeros(2, 3), r"matrices, \(..., 4, 4\); received the shape \(3, 3\)"),
        (MatrixGroup.cube(), 24, torch.zeros(2, 3), "No element 24"),
        (MatrixGroup.cube(), 0, torch.zeros(2, 2), "acts on 3 coordinates"),
    ],
)
def test_what_does_not_fit_is_refused(group, elements, x, message):
    for act in (PointAction(group).apply, PointAction(group).invert):
        with pytest.raises(ActionError, match=message):
            act(elements, x)


@pytest.mark.parametrize(
    ("group", "matrices", "message"),
    [
        (FiniteGroup.cyclic(2), None, r"has no matrices: pass matrices=, one for each element, or use a MatrixGroup"),
        (DemographicGroup([["he", "she"]]), None, "has no matrices"),
        (FiniteGroup.cyclic(2), [[[1.0]], [[2.0]]], r"do not multiply like the elements of .*FiniteGroup"),
        (SO3(), [[[1.0]]], r"The elements of SO3\(\) are matrices themselves: leave matrices= out"),
        ("cube", None, "'cube' is neither a continuous nor a finite group"),
    ],
)
def test_groups_without_matrices_are_refused(group, matrices, message):
    with pytest.raises(ActionError, match=message):
        VectorAction(group, matrices)


def test_what_does_not_move_checks_its_elements():
    action = TrivialAction(SO3())
    assert action.apply(torch.eye(3), "a class") == "a class"
    assert action.to("meta").images.shape == (0, 0)
    with pytest.raises(ActionError, match="No such element"):
        action.apply(2 * torch.eye(3), torch.zeros(2, 5))
    with pytest.raises(ActionError, match=r"SO3\(\) is not a finite group"):
        action.keys(torch.zeros(2, 5))
