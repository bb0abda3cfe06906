"""Spellings that are derived from words: changes of case and plurals."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import pytest

from hf_equi import DemographicGroup
from hf_equi.errors import GroupError
from hf_equi.groups.plurals import plurals_of

PLURAL = {"he": "they", "she": "they", "man": "men", "woman": "women", "nephew": "nephews", "niece": "nieces"}
SINGULAR = {"men": "man", "women": "woman"}
SETS = [["nephew", "niece"], ["he", "she"], ["man", "woman"], ["men", "women"]]


@pytest.fixture
def small_inflect(monkeypatch):
    """A package inflect that knows a few words."""
    engine = SimpleNamespace(plural_noun=PLURAL.__getitem__, singular_noun=lambda word: SINGULAR.get(word, False))
    monkeypatch.setitem(sys.modules, "inflect", SimpleNamespace(engine=lambda: engine))


@pytest.fixture
def no_inflect(monkeypatch):
    """No package inflect."""
    monkeypatch.setitem(sys.modules, "inflect", None)


@pytest.mark.usefixtures("small_inflect")
def test_plurals_follow_their_set_and_a_written_set_wins():
    group = DemographicGroup(SETS, forms=["capitalised", "plural"])
    assert [row.words for row in group.forms() if row.source == ("nephew", "niece")] == [
        ("nephew", "niece"),
        ("Nephew", "Niece"),
        ("nephews", "nieces"),
        ("Nephews", "Nieces"),
    ]
    assert [row.words for row in group.forms() if "men" in row.words] == [("men", "women")]
    assert group.factors[0].plurals == (("nephews", "nieces"), None, ("men", "women"), None)
    assert group.role("Nieces") == "equality"


@pytest.mark.usefixtures("small_inflect")
def test_a_stored_group_needs_no_package(monkeypatch):
    group = DemographicGroup(SETS, forms=["plural"], names=["a", "b"])
    stored = json.loads(group.to_json())["factors"][0]
    assert stored["forms"] == ["plural"]
    assert stored["plurals"] == [["nephews", "nieces"], None, ["men", "women"], None]
    monkeypatch.setitem(sys.modules, "inflect", None)
    loaded = DemographicGroup.from_json(group.to_json())
    assert loaded == group
    assert loaded.forms() == group.forms()
    assert loaded.relax(general=["beard"]).forms() == group.forms()
    assert (loaded * DemographicGroup([["old", "young"]])).factors[0] == group.factors[0]


def test_without_the_package_the_way_out_is_said(no_inflect):
    with pytest.raises(GroupError, match=r"needs the package inflect, .* pip install \"hf_equi\[plurals\]\""):
        DemographicGroup(SETS, forms=["plural"])


def test_the_package_finds_plurals_of_words_and_phrases():
    pytest.importorskip("inflect")
    sets = [("nephew", "niece"), ("African American", "European American"), ("kings", "queens"), ("he", "she")]
    expected = (("nephews", "nieces"), ("African Americans", "European Americans"), None, None)
    assert plurals_of(sets) == expected


def test_changes_of_case_are_chosen():
    group = DemographicGroup([["African man", "Asian man"]], forms=["upper", "title"])
    assert [row.words for row in group.forms()] == [
        ("African man", "Asian man"),
        ("African Man", "Asian Man"),
        ("AFRICAN MAN", "ASIAN MAN"),
    ]
    assert DemographicGroup([["he", "she"]], forms=[]).forms()[0].words == ("he", "she")
    assert len(DemographicGroup([["he", "she"]], forms=[]).forms()) == 1
    relaxed = DemographicGroup([["he", "she"]], forms=[], general=["beard"])
    assert [relaxed.role(word) for word in ("beard", "Beard")] == ["general", "neutral"]
    assert DemographicGroup.from_json(relaxed.to_json()) == relaxed
    usual = DemographicGroup([["he", "she"]], forms=["upper", "lower", "title", "capitalised"])
    assert usual == DemographicGroup([["he", "she"]])
    assert "forms" not in usual.to_dict()["factors"][0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"forms": "plural"}, r"forms needs a list of 'lower', .*; received 'plural'"),
        ({"forms": ["uper"]}, r"forms='uper' is not known: did you mean 'upper'\?"),
        ({"plurals": [["they", "them"]]}, r'forms does not have "plural"'),
        ({"forms": ["plural"], "plurals": []}, r"plurals needs for each of the 1 equality sets"),
        ({"forms": ["plural"], "plurals": [["they", "they"]]}, r"as many different words"),
        ({"forms": ["plural"], "plurals": [["a", "b", "c"]]}, r"as many different words"),
    ],
)
def test_forms_that_cannot_be_derived_raise(settings, message):
    with pytest.raises(GroupError, match=message):
        DemographicGroup.from_dict({"equality": [["he", "she"]], **settings})
