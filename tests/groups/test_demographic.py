import copy
import json
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_equi.errors import GroupError
from hf_equi.groups import DemographicGroup, FiniteGroup
from hf_equi.testing import assert_group

GENDER = DemographicGroup([["man", "woman"], ["he", "she"]])
RACE = DemographicGroup([["Black", "White", "Asian"]])


@st.composite
def groups(draw):
    size = draw(st.integers(2, 4))
    words = draw(st.lists(st.text("abcdé", min_size=1, max_size=4), min_size=size, max_size=12, unique=True))
    words = words[: len(words) // size * size]
    kind = draw(st.sampled_from([None, "neutral", "general"]))
    outside = {} if kind is None else {kind: draw(st.lists(st.sampled_from(["x", "y", "x y"])))}
    return DemographicGroup([words[i : i + size] for i in range(0, len(words), size)], **outside)


def test_one_factor_is_cyclic():
    assert_group(RACE)
    assert RACE.product.tolist() == FiniteGroup.cyclic(3).product.tolist()
    assert RACE.names == ("Black", "White", "Asian")
    assert RACE.coordinates == ((0,), (1,), (2,))
    assert RACE.element("White") == RACE.element(1) == 1
    with pytest.raises(GroupError, match=r"No element 'Green'.*'Black', 'White', 'Asian'"):
        RACE.element("Green")


def test_names_replace_the_words_of_the_first_set():
    group = DemographicGroup([["he", "she"]], names=["male", "female"])
    assert group.names == ("male", "female")
    assert group != DemographicGroup([["he", "she"]])


def test_products_keep_the_factors():
    group = GENDER * RACE
    assert isinstance(group, DemographicGroup)
    assert_group(group)
    assert group.factors == GENDER.factors + RACE.factors
    assert group.coordinates == ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2))
    assert group.names[4] == "woman White"
    for g, h in ((4, 5), (1, 3)):
        sums = [(a + b) % d for a, b, d in zip(group.coordinates[g], group.coordinates[h], (2, 3), strict=True)]
        assert group.coordinates[group.product[g, h]] == tuple(sums)
    assert (group * DemographicGroup.preset("sexuality")).order == 12


def test_product_with_another_kind_of_group_is_finite():
    group = GENDER * FiniteGroup.dihedral(3)
    assert type(group) is FiniteGroup
    assert group.order == 12


def test_a_word_in_two_factors_raises():
    with pytest.raises(GroupError, match=r"'gay' is in two factors.*\[gay, lesbian\] × 1 set and \[gay person"):
        DemographicGroup([["gay", "lesbian"]]) * DemographicGroup.preset("sexuality")
    with pytest.raises(GroupError, match="'BLACK' to different words"):
        RACE * DemographicGroup([["black", "green"]])


def test_names_of_a_product_that_coincide_raise():
    first = DemographicGroup([["man", "woman"]], names=["a b", "a"])
    second = DemographicGroup([["x", "y"]], names=["c", "b c"])
    with pytest.raises(GroupError, match="Two elements are named 'a b c'"):
        _ = first * second


def test_too_many_members_raise():
    factors = [DemographicGroup([[f"{letter}{i}" for i in range(11)]]) for letter in "abc"]
    with pytest.raises(GroupError, match=r"at most 1024 elements.*\[11, 11, 11\]"):
        factors[0] * factors[1] * factors[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"equality": "man"}, "equality needs a list of sets"),
        ({"equality": [["a", "b"]], "neutral": [], "general": []}, "not both"),
        ({"equality": [["may", "might"], ["May", "June"]]}, "send 'MAY' to different words"),
        ({"equality": [["a", "b"]], "names": ["x"]}, "names needs 2 names"),
    ],
)
def test_bad_input_raises(arguments, message):
    with pytest.raises(GroupError, match=message):
        DemographicGroup(**arguments)


def test_relaxed_roles_of_a_product():
    group = DemographicGroup([["man", "woman"]], neutral=["the", "Black"]) * DemographicGroup(
        [["Black", "White"]], general=["the"]
    )
    assert group.relaxed
    assert not (GENDER * RACE).relaxed
    roles = {word: group.role(word) for word in ("WOMAN", "white", "The", "doctor")}
    # "white" is general in the first factor and equality in the second; "The" is neutral in the first alone.
    assert roles == {"WOMAN": "equality", "white": "equality", "The": "general", "doctor": "general"}
    assert [group.is_general(word) for word in roles] == [False, False, True, True]
    assert not GENDER.is_general("doctor")


@settings(max_examples=30, deadline=None)
@given(groups())
def test_round_trips(group):
    assert DemographicGroup.from_dict(group.to_dict()) == group
    again = DemographicGroup.from_json(group.to_json())
    assert again == group
    assert hash(again) == hash(group)
    assert again.forms() == group.forms()
    assert pickle.loads(pickle.dumps(group)) == copy.deepcopy(group) == group


def test_round_trip_of_a_product():
    group = GENDER * DemographicGroup([["Black", "White"]], general=["x"], names=["b", "w"])
    again = DemographicGroup.from_json(group.to_json())
    assert again == group
    assert again.names == group.names
    assert again != GENDER
    assert again != FiniteGroup.cyclic(2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "A group is described by"),
        ('{"factors": []}', "A group is described by"),
        ('{"factors": "man"}', "A group is described by"),
        ('{"factors": [{"names": ["a", "b"]}]}', "equality is required"),
        (
            '{"factors": [{"equality": [["a", "b"]], "colour": 1}]}',
            "^The key 'colour' is not known: the keys here are equality, ",
        ),
        ('{"equality": [["a", "b"]], "name": ["a", "b"]}', r"^The key 'name' is not known: did you mean 'names'\?"),
        ('{"equalty": [["a", "b"]]}', r"^The key 'equalty' is not known: did you mean 'equality'\?"),
        ('{"type": "demographic", "factor": []}', r"^The key 'factor' is not known: did you mean 'factors'\?"),
    ],
)
def test_bad_descriptions_raise(content, message):
    with pytest.raises(GroupError, match=message):
        DemographicGroup.from_json(content)


def test_repr_is_short():
    assert repr(GENDER * RACE) == "DemographicGroup([man, woman] × 2 sets * [Black, White, Asian] × 1 set)"
    assert repr(DemographicGroup([["a", "b"]], neutral=["x", "y"])) == "DemographicGroup([a, b] × 1 set, 2 neutral)"
    assert json.loads(GENDER.to_json())["factors"][0]["names"] == ["man", "woman"]


def test_tables_are_real_under_the_meta_device():
    with torch.device("meta"):
        group = DemographicGroup.preset("race")
    assert group.product.device.type == group.permutations.device.type == "cpu"


def test_gender_preset_begins_with_the_commonest_words():
    factor = DemographicGroup.preset("gender").factors[0]
    assert factor.sets[:3] == (("man", "woman"), ("he", "she"), ("his", "her"))
    assert len(factor.sets) == 65
    assert ["waiter", "waitress"] in [list(words) for words in factor.sets]


def test_elements_pick_members_in_order():
    group = DemographicGroup.preset("race", elements=["White", "Black"])
    assert group.factors[0].sets == (("White", "Black"), ("Whites", "Blacks"))
    assert group.names == ("White person", "Black person")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("agee",),
            r"preset='agee' is not known: did you mean 'age'\? Use one of 'age', 'disability', .*'sexuality'\.$",
        ),
        (
            ("race", ["Black", "Green"]),
            "'Green' is not a demographic of this preset: its demographics are Black, White, Asian",
        ),
        (("race", ["Black"]), "at least two different elements"),
        (("race", ["Black", "Black"]), "at least two different elements"),
        (("race", "Black"), "needs a list of names"),
    ],
)
def test_unknown_presets_and_elements_raise(arguments, message):
    with pytest.raises(GroupError, match=message):
        DemographicGroup.preset(*arguments)


def test_a_group_loses_its_lists_and_nothing_else():
    named = DemographicGroup([["man", "woman"]], names=["m", "f"], forms=["upper"], leave_out=["MAN"])
    group = named * RACE
    assert group.relax(general=["nurse"]).unrelax() == group


def test_a_relaxed_group_moves_the_same_and_claims_less():
    relaxed = (GENDER * RACE).relax(neutral=["doctor"])
    assert relaxed.relaxed
    assert relaxed.names == (GENDER * RACE).names
    assert relaxed.forms() == (GENDER * RACE).forms()
    roles = {word: relaxed.role(word) for word in ("She", "black", "Doctor", "pregnant")}
    assert roles == {"She": "equality", "black": "equality", "Doctor": "neutral", "pregnant": "general"}
    assert GENDER.relax(general=["pregnant"]) == DemographicGroup(
        [["man", "woman"], ["he", "she"]], general=["pregnant"]
    )
    assert relaxed.relax(general=["pregnant"]).role("doctor") == "neutral"
    named = DemographicGroup([["he", "she"]], names=["male", "female"])
    assert named.relax(neutral=[]).names == ("male", "female")


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ({}, r"pass a list of words: neutral=\[...\] or general=\[...\]"),
        ({"neutral": ["a"], "general": ["b"]}, "not both"),
        ({"neutral": ["White"]}, "'White' is listed as neutral"),
        ({"general": "pregnant"}, "general needs a list of words"),
    ],
)
def test_relaxing_takes_one_list_of_other_words(lists, message):
    with pytest.raises(GroupError, match=message):
        (GENDER * RACE).relax(**lists)
