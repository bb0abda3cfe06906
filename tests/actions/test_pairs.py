"""One group on two vocabularies."""

from __future__ import annotations

import pytest
import torch

from hf_equi import DemographicGroup, TokenAction, TokenPairAction
from hf_equi.actions.token_maps import TokenMap
from hf_equi.errors import ActionError

GROUP = DemographicGroup([["a", "b"]]) * DemographicGroup([["c", "d", "e"]])
# The source moves both factors; the target has two sets of the first, and none of the second.
SOURCE = TokenMap(7, (((1, 4),), ((6, 2, 5),)))
TARGET = TokenMap(6, (((5, 0), (2, 3)), ()))
PAIR = TokenPairAction.of_maps(GROUP, SOURCE, TARGET)
SOURCES = torch.tensor([[1, 0, 6], [2, 4, 3]])
TARGETS = torch.tensor([[5, 2], [1, 3]])


def relaxed_pair():
    """`f` is general in the first factor and neutral in the second: token 3 of the source, 4 of the target."""
    group = DemographicGroup([["a", "b"]], general=["f"]) * DemographicGroup([["c", "d", "e"]], neutral=["f"])
    source = TokenMap(7, SOURCE.sets, (None, (3,)), ((3,), None))
    target = TokenMap(6, TARGET.sets, (None, (4,)), ((4,), None))
    return TokenPairAction.of_maps(group, source, target)


@pytest.mark.parametrize("g", range(6))
def test_both_sides_move_by_one_element(g):
    first, second = GROUP.coordinates[g]
    moved = {"source": PAIR.source.apply(g, SOURCES), "target": PAIR.target.apply(g, TARGETS)}
    two, three = [1, 4], [6, 2, 5]
    expected = {1: two[first], 4: two[first - 1], **{three[i]: three[(i + second) % 3] for i in range(3)}}
    assert moved["source"].tolist() == [[expected.get(v, v) for v in row] for row in SOURCES.tolist()]
    swap = {5: 0, 0: 5, 2: 3, 3: 2} if first else {}
    assert moved["target"].tolist() == [[swap.get(v, v) for v in row] for row in TARGETS.tolist()]


@pytest.mark.parametrize("pair", [PAIR, relaxed_pair()], ids=["plain", "relaxed"])
@pytest.mark.parametrize("g", range(6))
def test_joint_action_is_that_of_both_sides(pair, g):
    joined = pair.join(SOURCES, TARGETS)
    assert joined.tolist() == [[1, 0, 6, 12, 9], [2, 4, 3, 8, 10]]
    moved = pair.join(pair.source.apply(g, SOURCES), pair.target.apply(g, TARGETS))
    assert torch.equal(pair.joint.apply(g, joined), moved)
    assert pair.joint.token_map.vocab_size == 13
    assert pair.joint.group == pair.group


def test_joint_action_sees_what_either_side_moves():
    """k(x) of a pair whose source nothing moves is decided by its target."""
    still = torch.tensor([[0, 3], [0, 3]])
    joined = PAIR.join(still, torch.tensor([[1, 5], [1, 0]]))
    assert PAIR.source.canonical_element(still).tolist() == [0, 0]
    k = PAIR.joint.canonical_element(joined)
    canonical = PAIR.joint.apply(k, joined)
    assert k[0] != k[1]
    assert torch.equal(canonical[0], canonical[1])


def test_joint_action_of_a_relaxed_group_keeps_what_either_side_lists():
    joint = relaxed_pair().joint
    assert joint.token_map.general == ((3, 11), None)
    assert joint.token_map.neutral == (None, (3, 11))
    # Of the second factor all but its neutral words are general, and what moves is not.
    assert joint.general.nonzero().flatten().tolist() == [0, 3, 8, 11]


def test_different_groups_are_refused():
    other = TokenAction(DemographicGroup([["x", "y"]]), TokenMap(3, (((0, 1),),)))
    with pytest.raises(ActionError, match=r"The source is moved by .*the target by .*: one group must act on both"):
        TokenPairAction(PAIR.source, other)


def test_maps_have_to_fit_the_group():
    with pytest.raises(ActionError, match="Resolve the tokens again"):
        TokenPairAction.of_maps(GROUP, SOURCE, TokenMap(6, (((5, 0, 1),), ())))


def test_same_as_compares_both_sides():
    again = TokenPairAction.of_maps(GROUP, SOURCE, TokenMap.from_dict(TARGET.to_dict()))
    assert PAIR.same_as(PAIR)
    assert PAIR.same_as(again)
    other_target = TokenPairAction.of_maps(GROUP, SOURCE, TokenMap(6, (((5, 0),), ())))
    other_source = TokenPairAction.of_maps(GROUP, TokenMap(7, (((1, 4),), ())), TARGET)
    assert not PAIR.same_as(other_target)
    assert not PAIR.same_as(other_source)


def test_tables_move_to_a_device_together():
    assert PAIR.to("cpu") is PAIR
    moved = PAIR.to("meta")
    assert {moved.device, moved.source.device, moved.target.device, moved.joint.device} == {torch.device("meta")}
    assert moved.same_as(PAIR)
    half = TokenPairAction(PAIR.source.to("meta"), PAIR.target)
    assert half.to("cpu").source.device == torch.device("cpu")
