"""The continuous groups by their axioms, their paths, their distances, and what they refuse."""

from __future__ import annotations

import copy
import json
import math
import pickle

import pytest
import torch

from hf_equi.errors import GroupError
from hf_equi.groups import (
    E2,
    E3,
    O2,
    O3,
    SE2,
    SE3,
    SO2,
    SO2Z,
    SO3,
    ContinuousGroup,
    ImageGroup,
    MatrixGroup,
    read_group,
)
from hf_equi.testing import assert_group

GROUPS = [SO2(), O2(), SO3(), O3(), SE2(), SE3(), E2(), E3(), SO2Z()]
by_name = pytest.mark.parametrize("group", GROUPS, ids=repr)


def drawn(group: ContinuousGroup, count: int = 6, seed: int = 0) -> torch.Tensor:
    return group.sample(count, torch.Generator().manual_seed(seed))


def connected(group: ContinuousGroup, count: int = 6) -> torch.Tensor:
    """Elements that do not mirror."""
    elements = drawn(group, 10 * count)
    return elements[~group.mirrored(elements)][:count]


@by_name
def test_it_is_a_group(group):
    assert_group(group)
    elements = group.check(drawn(group))
    assert elements.dtype == group.identity.dtype == torch.float64
    assert elements.shape == (6, group.side, group.side)
    group.check(group.compose(elements, elements.flip(0)))
    group.check(group.inverse(elements).float())
    assert bool(group.mirrored(drawn(group, 50)).any()) == group.mirrors
    assert bool((group.parts(elements)[1] != 0).any()) == group.translates


@by_name
def test_elements_broadcast_in_both_precisions(group):
    a, b = drawn(group, 3)[:, None].float(), drawn(group, 4, seed=1).float()
    products = group.compose(a, b)
    assert products.dtype == torch.float32
    torch.testing.assert_close(products, a @ b)
    torch.testing.assert_close(group.inverse(products), torch.linalg.inv(products), rtol=0, atol=1e-5)
    assert group.distance(a, b).shape == (3, 4)


@by_name
def test_the_exponential_and_the_logarithm_undo_each_other(group):
    elements = connected(group)
    vectors = group.log(elements)
    assert vectors.shape == (6, group.coordinates)
    torch.testing.assert_close(group.exp(vectors), elements, rtol=0, atol=1e-12)
    torch.testing.assert_close(group.log(group.exp(vectors)), vectors, rtol=0, atol=1e-12)
    torch.testing.assert_close(group.exp(torch.zeros(group.coordinates).double()), group.identity)
    # Along one vector, times add up.
    steps = group.exp(0.25 * vectors)
    whole = group.compose(steps, group.exp(0.75 * vectors))
    torch.testing.assert_close(whole, elements, rtol=0, atol=1e-12)


@by_name
def test_gradients_flow_through_all_methods(group):
    def path(vector):
        g = group.exp(vector)
        return group.log(group.compose(g, group.inverse(group.compose(g, g)))), group.distance(g, fixed)

    fixed = connected(group, 1)
    vector = (0.3 * torch.ones(1, group.coordinates, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(path, vector)
    equal = group.exp(vector)
    (gradient,) = torch.autograd.grad(group.distance(equal, equal.detach()).sum(), vector)
    assert torch.equal(gradient, torch.zeros_like(gradient))


@by_name
def test_distances_do_not_change_from_the_left(group):
    g, h, k = connected(group), connected(group).flip(0), drawn(group, seed=1)
    away = group.distance(g, h)
    torch.testing.assert_close(group.distance(group.compose(k, g), group.compose(k, h)), away)
    torch.testing.assert_close(group.distance(h, g), away)
    if not group.translates:
        torch.testing.assert_close(group.distance(group.compose(g, k), group.compose(h, k)), away)
    assert float(group.distance(g, g).max()) < 1e-7
    vectors = torch.zeros(group.coordinates).double()
    vectors[-1] = 0.25
    torch.testing.assert_close(group.distance(group.exp(vectors), group.identity), torch.tensor(0.25).double())
    if group.translates:
        vectors[-1], vectors[0] = 0.0, 2.0
        torch.testing.assert_close(group.distance(group.exp(vectors), group.identity), torch.tensor(2.0).double())


def test_no_path_leads_to_a_mirror():
    mirror = torch.diag(torch.tensor([-1.0, 1.0, 1.0]))
    away = O3().distance(torch.stack([mirror, torch.eye(3)]).requires_grad_(), torch.eye(3))
    assert away.tolist() == [math.inf, 0.0]
    with pytest.raises(GroupError, match="Element 1 of 2 mirrors, so no path leads to it"):
        O3().log(torch.stack([torch.eye(3), mirror]))
    with pytest.raises(GroupError, match="The element mirrors"):
        O3().log(mirror)


def test_a_rigid_motion_turns_before_it_translates():
    group = SE2()
    g = group.exp(torch.tensor([math.pi / 2, 0.0, math.pi / 2]))  # a quarter of a circle around (0, 1)
    linear, translation = group.parts(g)
    torch.testing.assert_close(linear, torch.tensor([[0.0, -1.0], [1.0, 0.0]]))
    torch.testing.assert_close(translation, torch.tensor([1.0, 1.0]))


def test_translations_are_scaled():
    group = SE3()
    small = group.sample(2000, torch.Generator().manual_seed(0), scale=0.1)
    large = drawn(group, 2000)
    assert torch.equal(small[:, :3, :3], large[:, :3, :3])
    torch.testing.assert_close(small[:, :3, 3], 0.1 * large[:, :3, 3])
    assert 0.97 < float(large[:, :3, 3].std()) < 1.03
    with pytest.raises(GroupError, match=r"SO3\(\) does not translate, so scale=2 has no effect: leave it out"):
        SO3().sample(1, scale=2)


def test_finite_subgroups_lie_in_it():
    for group, finite in (
        (SO2(), ImageGroup.rotations(8)),
        (O2(), ImageGroup.dihedral(8)),
        (SO3(), MatrixGroup.icosahedron()),
        (O3(), MatrixGroup.cube(mirrors=True)),
        (SO2Z(), MatrixGroup.cyclic(8, dimension=3)),
    ):
        group.check(finite.matrices)
        group.check(finite.matrices.float())


def spoilt(group: ContinuousGroup, place: tuple[int, ...], value: float) -> torch.Tensor:
    elements = drawn(group, 3)
    elements[place] = value
    return elements


@pytest.mark.parametrize(
    ("group", "elements", "message"),
    [
        (SO3(), torch.eye(2), r"Elements of SO3\(\) are matrices, \(..., 3, 3\); received the shape \(2, 2\)"),
        (SE2(), torch.eye(2), r"are matrices, \(..., 3, 3\)"),
        (SO2(), torch.eye(2).half(), "float32 or float64; received torch.float16. Half precision holds"),
        (SO2(), torch.eye(2).long(), "received torch.int64"),
        (SO2(), 0, "float32 or float64; received 0"),
        (SO3(), spoilt(SO3(), (1, 0, 2), math.nan), r"Element 1 of 3 is not in SO3\(\): it holds NaN"),
        (SE3(), spoilt(SE3(), (2, 0, 3), math.inf), "Element 2 of 3 .* infinity"),
        (O3(), 1.01 * torch.eye(3), r"The element is not in O3\(\): R Rᵀ differs from the identity by 0.02"),
        (SE2(), spoilt(SE2(), (0, 0, 1), 2.0), "Element 0 of 3 .* Orthonormalise R"),
        (SO2(), torch.diag(torch.tensor([1.0, -1.0])), "its determinant is -1, so it mirrors"),
        (SE2(), spoilt(SE2(), (1, 2, 0), 0.5), r"Element 1 of 3 .* last row of a homogeneous matrix is 0, ..., 0, 1"),
    ],
)
def test_what_is_not_in_the_group_is_named(group, elements, message):
    with pytest.raises(GroupError, match=message):
        group.check(elements)


def test_rounded_elements_are_in_the_group():
    elements = drawn(SO3())
    for _ in range(8):  # 256 factors
        elements = SO3().compose(elements.float(), elements.float())
    SO3().check(elements)
    SO3().check(drawn(SO3()).float().double())
    SO3().check(drawn(SO3())[:0])
    assert SO3().check(torch.zeros(5, 3, 3, device="meta")).is_meta


def test_vectors_of_another_length_are_refused():
    with pytest.raises(GroupError, match=r"A logarithm in SE3\(\) has 6 coordinates.*received the shape \(2, 3\)"):
        SE3().exp(torch.zeros(2, 3))
    with pytest.raises(GroupError, match="A vector of a continuous group is float32 or float64"):
        SO2().exp(torch.zeros(1, dtype=torch.long))


@by_name
def test_groups_survive_json_and_pickle(group):
    stored = json.loads(json.dumps(group.to_dict()))
    for again in (read_group(stored), pickle.loads(pickle.dumps(group)), copy.deepcopy(group), eval(repr(group))):
        assert again == group
        assert hash(again) == hash(group)
        assert repr(again) == repr(group)
    assert sum(group == other for other in GROUPS) == 1
    assert group != "SO3()"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"type": "continuous", "name": "SO4"}, "name='SO4' is not known among the continuous groups: did you mean"),
        ({"type": "continuous"}, r"described by .*; received the keys \['type'\]"),
        ({"type": "image", "name": "SO3"}, "A continuous group is described by"),
    ],
)
def test_what_describes_no_group_is_refused(content, message):
    with pytest.raises(GroupError, match=message):
        ContinuousGroup.from_dict(content)


def test_the_base_is_not_a_group():
    with pytest.raises(GroupError, match="ContinuousGroup is not itself a group: use one of SO2, O2, SO3"):
        ContinuousGroup()


def test_it_works_while_models_are_built_without_memory():
    with torch.device("meta"):
        for group in GROUPS:
            elements = drawn(group, 3)
            group.check(group.compose(elements, group.inverse(elements)))
            assert group.distance(elements, elements).device.type == "cpu"
            assert group.exp(group.log(connected(group))).device.type == "cpu"
