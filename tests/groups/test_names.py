"""What demographics are called."""

from __future__ import annotations

import pytest

from hf_equi import DemographicGroup
from hf_equi.groups.names import as_subject, has_pronoun, product_names

HUMAN = ["man", "woman"]
RACE = ["Black person", "White person"]


@pytest.mark.parametrize("name", ["he", "She", "Black he", "they", "I", "his", "themself"])
def test_pronouns_are_known(name):
    assert has_pronoun(name)
    assert as_subject(name) == name[0].upper() + name[1:]


@pytest.mark.parametrize("name", ["man", "heiress", "US citizen", "IT worker", "person named Ian", "theme"])
def test_other_names_are_none(name):
    assert not has_pronoun(name)
    assert as_subject(name) == f"The {name}"


@pytest.mark.parametrize(
    ("names", "last"),
    [
        ((HUMAN, RACE), "White woman"),
        ((RACE, HUMAN), "White woman"),
        ((RACE, ["gay person", "straight person"]), "White straight person"),
        ((HUMAN, RACE, ["gay person", "straight person"]), "White straight woman"),
        ((RACE, ["person named John", "person named Amy"]), "White person named Amy"),
        ((["person named John", "person named Amy"], HUMAN, RACE), "White woman named Amy"),
        ((HUMAN, ["Black", "White"]), "woman White"),
        ((HUMAN, ["father", "mother"], RACE), "White woman mother"),
        ((["person", "people"], HUMAN), "people woman"),
        ((["Black man", "man"], ["tall person", "tall Black person"]), "man tall Black person"),  # or two are alike
    ],
)
def test_names_merge_where_they_say_something_of_a_person(names, last):
    merged = product_names(names)
    assert merged[-1] == last
    assert len(set(merged)) == len(merged)


def test_a_product_of_presets_can_be_read_in_a_prompt():
    group = DemographicGroup.preset("gender") * DemographicGroup.preset("race")
    assert group.names[:2] == ("Black man", "White man")
    assert group.element("Asian woman") == 5
