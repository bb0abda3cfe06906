import itertools
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_equi.errors import GroupError
from hf_equi.groups import MAX_ORDER, FiniteGroup
from hf_equi.testing import assert_group

SMALL = [
    FiniteGroup.trivial(),
    FiniteGroup.cyclic(5),
    FiniteGroup.dihedral(1),
    FiniteGroup.dihedral(2),
    FiniteGroup.dihedral(4),
    FiniteGroup.symmetric(3),
]
small_groups = st.sampled_from(SMALL)
# The smallest loop that is not a group: identity, inverses, each element once a row and column, yet not associative.
LOOP = [[0, 1, 2, 3, 4], [1, 0, 3, 4, 2], [2, 4, 0, 1, 3], [3, 2, 4, 0, 1], [4, 3, 1, 2, 0]]


@pytest.mark.parametrize("group", SMALL, ids=repr)
def test_constructors_give_groups(group):
    assert_group(group)
    assert len({tuple(row) for row in group.permutations.tolist()}) == group.order


@settings(max_examples=30, deadline=None)
@given(st.lists(st.permutations(range(4)), min_size=1, max_size=3))
def test_generated_groups_are_closed_left_actions(generators):
    group = FiniteGroup.from_generators(generators)
    assert_group(group)
    rows = {tuple(row) for row in group.permutations.tolist()}
    assert {tuple(generator) for generator in generators} <= rows
    composed = {tuple(a[b[v]] for v in range(4)) for a, b in itertools.product(rows, rows)}
    assert composed == rows


@settings(max_examples=20, deadline=None)
@given(small_groups, small_groups)
def test_products_are_row_major(first, second):
    group = first * second
    assert_group(group)
    assert group.order == first.order * second.order
    for a, b in itertools.product(range(group.order), repeat=2):
        (g1, h1), (g2, h2) = divmod(a, second.order), divmod(b, second.order)
        assert group.product[a, b] == first.product[g1, g2] * second.order + second.product[h1, h2]
    assert group.permutations.shape[1] == first.permutations.shape[1] + second.permutations.shape[1]


def test_dihedral_element_is_rotation_after_reflection():
    group = FiniteGroup.dihedral(4)
    r, s = group.element("r"), group.element("s")
    assert group.permutations[r].tolist() == [1, 2, 3, 0]
    assert group.permutations[s].tolist() == [0, 3, 2, 1]
    assert group.product[r, s] == group.element("rs") == 4 + 1
    assert group.product[s, r] == group.element("r3s") == 4 + 3


def test_symmetric_product_acts_as_first_after_second():
    group = FiniteGroup.symmetric(3)
    turn, swap = (group.permutations.tolist().index(row) for row in ([1, 2, 0], [1, 0, 2]))
    # 0 -> 1 by the swap, then 1 -> 2 by the turn.
    assert group.permutations[group.product[turn, swap]].tolist() == [2, 1, 0]
    assert group.permutations[group.product[swap, turn]].tolist() == [0, 2, 1]


def test_from_generators_agrees_with_dihedral():
    generated = FiniteGroup.from_generators([[1, 2, 3, 0], [0, 3, 2, 1]])
    rows = {tuple(row) for row in FiniteGroup.dihedral(4).permutations.tolist()}
    assert {tuple(row) for row in generated.permutations.tolist()} == rows


def test_generators_generate():
    group = FiniteGroup.dihedral(6)
    rows = [group.permutations[g].tolist() for g in group.generators]
    assert FiniteGroup.from_generators(rows).order == group.order
    assert FiniteGroup.trivial().generators == ()


def test_a_table_alone_gives_the_regular_representation():
    group = FiniteGroup(FiniteGroup.symmetric(3).product)
    assert_group(group)
    assert group.names == ("e", "g1", "g2", "g3", "g4", "g5")
    assert torch.equal(group.permutations, group.product)


def test_largest_order_is_checked_in_full():
    group = FiniteGroup.cyclic(32) * FiniteGroup.dihedral(16)
    assert group.order == MAX_ORDER
    assert group.product[0].tolist() == list(range(MAX_ORDER))


def test_tables_are_real_under_the_meta_device():
    with torch.device("meta"):
        groups = [FiniteGroup.dihedral(3) * FiniteGroup.cyclic(2), FiniteGroup.from_generators([[1, 0]])]
    for group in groups:
        assert {group.product.device.type, group.inverses.device.type, group.permutations.device.type} == {"cpu"}
        assert_group(group)


def test_equality_hash_repr_and_copies():
    assert FiniteGroup.cyclic(4) == FiniteGroup.cyclic(4)
    assert hash(FiniteGroup.cyclic(4)) == hash(FiniteGroup.cyclic(4))
    assert FiniteGroup.cyclic(4) != FiniteGroup.cyclic(2) * FiniteGroup.cyclic(2)
    assert FiniteGroup.cyclic(4) != "cyclic"
    assert pickle.loads(pickle.dumps(FiniteGroup.dihedral(3))) == FiniteGroup.dihedral(3)
    assert repr(FiniteGroup.cyclic(3)) == "FiniteGroup(order=3, names=[e, r, r2])"
    assert repr(FiniteGroup.cyclic(9)) == "FiniteGroup(order=9, names=[e, r, r2, r3, r4, r5, r6, r7, ...])"
    assert repr(FiniteGroup([[0]], names=["e\x1b"])) == r"FiniteGroup(order=1, names=[e\x1b])"


def test_elements_by_name_and_index():
    group = FiniteGroup.dihedral(3)
    assert group.element("r2") == group.element(2) == 2
    for unknown in ("r7", 6, -1):
        with pytest.raises(GroupError, match=r"No element .*from 0 to 5 or one of 'e', 'r', 'r2', 's', 'rs', 'r2s'"):
            group.element(unknown)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([[0, 1], [1, 0], [0, 1]], r"must be square.*received shape \(3, 2\)"),
        ([], "must be square"),
        ([[0, 1], [1]], "rectangular array of integers"),
        ([[0.0]], "must hold integers.*float32"),
        ([[True]], "must hold integers.*bool"),
        ([[0, 1], [1, 2]], r"Closure fails: product\[1, 1\] is 2"),
        ([[0, 1], [1, -1]], r"Closure fails: product\[1, 1\] is -1"),
        ([[1, 0], [0, 1]], r"Element 0 must be the identity, but product\[0, 0\] is 1"),
        ([[0, 1, 2], [1, 2, 0], [1, 0, 2]], r"Element 0 must be the identity.*product\[2, 0\] is 1"),
        (LOOP, r"Associativity fails: \(1 \* 1\) \* 2 is 2, but 1 \* \(1 \* 2\) is 4"),
        ([[0, 1], [1, 1]], "Element 1 has no inverse"),
    ],
)
def test_each_axiom_is_checked(table, message):
    with pytest.raises(GroupError, match=message):
        FiniteGroup(table)


@settings(max_examples=30, deadline=None)
@given(small_groups.filter(lambda group: group.order > 2), st.data())
def test_one_changed_entry_is_always_found(group, data):
    table = group.product.clone()
    entries = st.integers(0, group.order - 1)
    g, h = data.draw(entries), data.draw(entries)
    table[g, h] = data.draw(entries.filter(lambda entry: entry != table[g, h]))
    with pytest.raises(GroupError, match=r"identity|Associativity|inverse"):
        FiniteGroup(table)


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"names": ["e"]}, "names needs a list of 2 names"),
        ({"names": "ab"}, "names needs a list of 2 names"),
        ({"names": ["a", "a"]}, "Two elements are named 'a'"),
        ({"permutations": [[0, 1]]}, r"shape \(2, degree\); received \(1, 2\)"),
        ({"permutations": [[0, 1], [1, 1]]}, "Row 1 of permutations is not a permutation"),
        ({"permutations": [[1, 0], [1, 0]]}, "Row 0 of permutations must be the identity"),
        ({"permutations": [[0, 1, 2], [1, 2, 0]]}, r"not a representation: permutations\[product\[1, 1\]\]"),
    ],
)
def test_names_and_permutations_are_checked(settings_, message):
    with pytest.raises(GroupError, match=message):
        FiniteGroup([[0, 1], [1, 0]], **settings_)


def test_a_right_action_is_rejected():
    group = FiniteGroup.symmetric(3)
    with pytest.raises(GroupError, match="acts as g after h"):
        FiniteGroup(group.product.T, permutations=group.permutations)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FiniteGroup.cyclic(1025), r"at most 1024 elements, but cyclic\(1025\)"),
        (lambda: FiniteGroup.dihedral(513), r"at most 1024 elements, but dihedral\(513\)"),
        (lambda: FiniteGroup.symmetric(7), r"at most 1024 elements, but symmetric\(7\)"),
        (lambda: FiniteGroup.symmetric(10**9), "at most 1024 elements"),
        (lambda: FiniteGroup.from_generators([[1, 0, *range(2, 9)], [*range(1, 9), 0]]), "at least 362880"),
        (lambda: FiniteGroup.cyclic(64) * FiniteGroup.cyclic(64), "product of groups of orders 64 and 64"),
        (lambda: FiniteGroup(torch.zeros(2000, 1)), "a table of this many rows"),
    ],
)
def test_too_large_groups_are_refused(make, message):
    with pytest.raises(GroupError, match=message):
        make()


@pytest.mark.parametrize("n", [0, -1, 1.5, True, "3"])
@pytest.mark.parametrize("make", [FiniteGroup.cyclic, FiniteGroup.dihedral, FiniteGroup.symmetric])
def test_sizes_are_checked(make, n):
    with pytest.raises(GroupError, match=r"n=.* is not a size for .*\(n\): use an int, 1 or more$"):
        make(n)


@pytest.mark.parametrize(
    ("generators", "message"),
    [
        ([], "At least one generator"),
        ([[]], "At least one generator"),
        ([[0, 0]], r"Generator 0 must hold each of 0..1 once.*\[0, 0\]"),
        ([[0, 1, 2], [1, 0]], "Generator 1 must hold each of 0..2 once"),
    ],
)
def test_generators_are_checked(generators, message):
    with pytest.raises(GroupError, match=message):
        FiniteGroup.from_generators(generators)


def test_only_groups_multiply():
    with pytest.raises(TypeError, match="unsupported operand"):
        FiniteGroup.cyclic(2) * 3
