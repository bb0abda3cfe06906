"""The one contract of actions, held by every action of the library and by ones from outside."""

from __future__ import annotations

import math

import pytest
import torch

from hf_equi import DemographicGroup, ImageGroup
from hf_equi.actions import (
    Action,
    ColumnAction,
    GridAction,
    PixelAction,
    PointAction,
    TokenAction,
    TokenPairAction,
    TrivialAction,
    VectorAction,
    WordAction,
)
from hf_equi.actions.token_maps import TokenMap
from hf_equi.errors import ActionError
from hf_equi.groups import E2, O3, SE3, FiniteGroup, MatrixGroup
from hf_equi.testing import assert_action

WORDS = DemographicGroup([["man", "woman"]]) * DemographicGroup([["a", "b", "c"]])
TOKENS = TokenAction(WORDS, TokenMap(7, (((1, 4),), ((6, 2, 5),))))
PAIR = TokenPairAction(TOKENS, TokenAction(WORDS, TokenMap(5, (((3, 0),), ()))))
D4 = ImageGroup.dihedral(4)
S3 = FiniteGroup.symmetric(3)
COLUMNS = ColumnAction(S3, [[0, *(v + 1 for v in row)] for row in S3.permutations.tolist()])


class Signs(Action):
    """The group of two elements on vectors, by their signs: an action from outside."""

    group = FiniteGroup.cyclic(2)

    def apply(self, elements, x):
        signs = 1 - 2 * torch.as_tensor(elements)
        return x * (signs.view(-1, *[1] * (x.dim() - 1)) if signs.dim() else signs)


class Circle:
    """The rotations of the plane: a continuous group, whose elements are matrices."""

    identity = torch.eye(2, dtype=torch.float64)

    def compose(self, g, h):
        return g @ h

    def inverse(self, g):
        return g.mT

    def sample(self, count, generator=None):
        angles = 2 * math.pi * torch.rand(count, generator=generator, dtype=torch.float64)
        cos, sin = angles.cos(), angles.sin()
        return torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)


class Vectors(Action):
    group = Circle()

    def apply(self, elements, x):
        return (elements @ x.unsqueeze(-1)).squeeze(-1)


def numbers(*shape):
    return torch.arange(math.prod(shape)).view(shape).float()


IDS, TARGETS = torch.tensor([[1, 0, 6], [2, 4, 3], [5, 5, 1]]), torch.tensor([[3, 1], [0, 0], [2, 3]])
CASES = {
    "tokens": (TOKENS, IDS),
    "scores": (TOKENS, numbers(4, 2, 7)),
    "pairs": (PAIR, (IDS, TARGETS)),
    "words": (WordAction(WORDS), ["a man", "B woman, c", ""]),
    "one text": (WordAction(WORDS), "A man, a b"),
    "pixels": (PixelAction(D4), numbers(3, 2, 4, 4)),
    "grid": (GridAction(D4, special=1), numbers(3, 10, 2)),
    "columns": (COLUMNS, numbers(5, 4)),
    "labels": (COLUMNS, torch.tensor([0, 3, 1, 2])),
    "nothing": (TrivialAction(D4), numbers(2, 3)),
    "cube": (PointAction(MatrixGroup.cube()), numbers(3, 2, 3)),
    "signs": (VectorAction(FiniteGroup.cyclic(2), [[[1.0]], [[-1.0]]]), numbers(3, 1)),
    "outside": (Signs(), numbers(3, 2, 2)),
    "continuous from outside": (Vectors(), numbers(4, 2).double()),
    "vectors": (VectorAction(O3()), numbers(4, 3)),
    "rigid points": (PointAction(SE3()), numbers(3, 2, 3)),
    "mirrored points": (PointAction(E2()), numbers(3, 2, 4, 2).double()),
    "nothing, by all turns": (TrivialAction(O3()), numbers(2, 3)),
}
FINITE = [case for case, (action, _) in CASES.items() if isinstance(action.group, FiniteGroup) and case != "one text"]


@pytest.mark.parametrize("case", CASES)
def test_it_holds_the_contract(case):
    action, x = CASES[case]
    assert isinstance(action, Action)
    assert_action(action, [x])


@pytest.mark.parametrize("case", FINITE)
def test_keys_tell_members_apart_and_move_with_them(case):
    action, x = CASES[case]
    keys, group = action.keys(x), action.group
    assert (keys.dtype, keys.shape[1]) == (torch.long, group.order)
    for h in range(group.order):
        assert torch.equal(action.keys(action.apply(h, x)), keys[:, group.product[:, h]])
    if case == "nothing":
        assert torch.equal(keys, keys[:, :1].expand_as(keys))
    elif case in ("tokens", "pairs", "words", "pixels", "cube"):
        assert len(keys.unique()) > len(keys)


@pytest.mark.parametrize("case", FINITE)
def test_members_of_an_orbit_have_one_smallest_member(case):
    action, x = CASES[case]
    if case == "scores":  # tokens are compared, not scores of them
        return
    if case == "words":  # which read one text at a time
        assert action.group.names[action.canonical_element("B woman")] == "woman c"  # to A man
        return
    elements = action.canonical_element(x)
    assert elements.dtype == torch.long
    smallest = action.keys(action.apply(elements, x))[:, 0]
    for h in range(action.group.order):
        member = action.apply(h, x)
        assert torch.equal(action.keys(action.apply(action.canonical_element(member), member))[:, 0], smallest)


def test_what_has_no_smallest_member_says_so():
    for ask in (Vectors().keys, Vectors().canonical_element):
        with pytest.raises(ActionError, match=r"Circle.* is not a finite group"):
            ask(numbers(4, 2).double())
    with pytest.raises(ActionError, match=r"Signs needs its own canonical_element\(x, mask\)"):
        Signs().canonical_element(numbers(3, 2, 2), torch.ones(3, 2))


@pytest.mark.parametrize("case", FINITE)
@pytest.mark.parametrize("elements", [-1, 10_000, 0.5, "e", torch.tensor([0]), torch.tensor([0.0, 0.0, 0.0])])
def test_elements_that_there_are_not_are_refused(case, elements):
    action, x = CASES[case]
    if case != "outside":
        for act in (action.apply, action.invert):
            with pytest.raises(ActionError, match=r"No element|One element per sample is needed, int64"):
                act(elements, x)


# Columns ------------------------------------------------------------------------------------------------------------


def test_columns_are_told_by_what_moves():
    assert COLUMNS.moved.tolist() == [1, 2, 3]
    assert torch.equal(COLUMNS.images, COLUMNS.permutations[:, 1:])
    assert COLUMNS.general is None
    assert COLUMNS.to("cpu") is COLUMNS
    assert COLUMNS.to("meta").images.device.type == "meta"
    assert repr(COLUMNS).endswith("3 of 4 moved)")


def test_scores_go_where_their_columns_go():
    labels, scores = torch.tensor([2, 1]), numbers(2, 4)
    for g in range(6):
        moved = COLUMNS.apply(g, scores)
        for row, label in enumerate(COLUMNS.apply(g, labels).tolist()):
            assert moved[row, label] == scores[row, labels[row]]
        assert torch.equal(COLUMNS.pull_back(g, moved), scores)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_the_moved_columns_are_pulled_back_alone(shape):
    elements, rows = torch.tensor([[0, 1, 2], [3, 4, 5]]), torch.tensor([[1, 0, 1], [2, 2, 0]])
    scores = numbers(3, *shape, 4)
    pulled = COLUMNS.pull_back_moved(scores[..., COLUMNS.moved], COLUMNS.find_moved(elements, rows))
    assert pulled.shape == (2, 3, *shape, 3)
    for text in range(2):
        for member in range(3):
            whole = COLUMNS.pull_back(int(elements[text, member]), scores[rows[text, member]])
            assert torch.equal(pulled[text, member], whole[..., COLUMNS.moved])


@pytest.mark.parametrize(
    "permutations", [[[0, 1], [0, 0]], [[0, 1]], [[1, 0], [1, 0]], [[0, 1, 2], [1, 2, 0]], "columns"]
)
def test_what_is_no_representation_is_refused(permutations):
    with pytest.raises(ActionError, match="The permutations do not multiply like the elements of"):
        ColumnAction(FiniteGroup.cyclic(2), permutations)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(2, 7), r"need their 4 columns in the last axis; received the shape \(2, 7\)"),
        (torch.tensor([True, False]), "received booleans"),
        (torch.tensor([[0, 4]]), "The columns lie between 0 and 4; there are 4"),
        (torch.tensor([[0, -1]]), "The columns lie between -1 and 0"),
    ],
)
def test_what_is_no_column_is_refused(x, message):
    for act in (COLUMNS.apply, COLUMNS.invert):
        with pytest.raises(ActionError, match=message):
            act(1, x)
    assert COLUMNS.apply(1, torch.tensor([1, 2], dtype=torch.uint8)).dtype == torch.uint8


def test_tables_move_of_whatever_subclass():
    class Own(ColumnAction):
        def __init__(self, group):
            super().__init__(group, group.permutations)

    moved = Own(S3).to("meta")
    assert type(moved) is Own
    assert {table.device.type for table in (moved.permutations, moved.moved, moved.images)} == {"meta"}
