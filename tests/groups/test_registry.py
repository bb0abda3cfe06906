import json

import pytest

from hf_equi.errors import GroupError
from hf_equi.groups import (
    SE3,
    DemographicGroup,
    FiniteGroup,
    ImageGroup,
    MatrixGroup,
    group_kinds,
    read_group,
    register_group,
)
from hf_equi.groups.registry import without_type

WORDS = DemographicGroup([["man", "woman"], ["he", "she"]]) * DemographicGroup([["a", "b", "c"]])
SQUARE = ImageGroup.dihedral(4)


@pytest.mark.parametrize(
    "group",
    [
        FiniteGroup.symmetric(3),
        FiniteGroup.dihedral(4) * SQUARE,
        WORDS,
        SQUARE,
        ImageGroup.flips("vertical"),
        MatrixGroup.cube(),
        SE3(),
    ],
)
def test_groups_come_back_from_json_with_their_kind(group):
    stored = json.loads(json.dumps(group.to_dict()))
    assert stored["type"] in group_kinds()
    again = read_group(stored)
    assert type(again) is type(group)
    assert again == group


def test_a_group_without_a_tag_is_one_of_demographics():
    untagged = {"factors": [{"equality": [["man", "woman"]]}]}
    assert read_group(untagged) == DemographicGroup.from_dict(untagged) == DemographicGroup([["man", "woman"]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"type": "sphere"}, "No kind 'sphere' of groups: the kinds are .*'demographic', .*'finite', 'image'"),
        ({"type": ["image"]}, r"No kind \['image'\] of groups"),
        ([], "described by a dictionary"),
        ({"type": "finite", "product": [[0]]}, "A finite group is described by"),
        ({"type": "finite", "product": [[1]], "names": ["e"], "permutations": [[0]]}, "Closure fails"),
    ],
)
def test_what_is_no_group_is_refused(content, message):
    with pytest.raises(GroupError, match=message):
        read_group(content)


def test_descriptions_are_of_one_kind():
    with pytest.raises(GroupError, match="A finite group is described by"):
        FiniteGroup.from_dict(SQUARE.to_dict())
    assert without_type({"type": "image", "n": 4}, "image", "") == {"n": 4}


def test_kinds_are_registered_once():
    register_group("image", ImageGroup)  # a second time changes nothing
    with pytest.raises(GroupError, match=r"The kind 'image' of groups is already .*ImageGroup"):
        register_group("image", FiniteGroup)
    with pytest.raises(GroupError, match="cannot name a kind"):
        register_group("My Group", FiniteGroup)
