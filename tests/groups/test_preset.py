"""The word lists that come with the library."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from hf_equi import DemographicGroup, WordAction
from hf_equi.errors import GroupError
from hf_equi.fairness import fill, prompt_set
from hf_equi.groups import occupations, preset_names, preset_of, read_preset
from hf_equi.groups.preset import kept_spellings, preset_text
from hf_equi.testing import assert_group

DOCS = Path(__file__).parents[2] / "docs"
PAGE, LEFT_OUT = DOCS / "groups.md", DOCS / "left_out.md"


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_is_a_group_of_single_words_each_once(name):
    group = DemographicGroup.preset(name)
    assert_group(group)
    words = [word for words in group.factors[0].sets for word in words]
    assert all(word.isalpha() for word in words)
    assert len({word.casefold() for word in words}) == len(words)


@pytest.mark.parametrize("name", preset_names())
def test_its_names_fill_the_published_prompts_and_move(name):
    group = DemographicGroup.preset(name)
    templates = prompt_set("sheng2019")
    for template in templates:
        images = group.explain(fill(template, group.names[0])).moves[0].images
        filled = [fill(template, other) for other in group.names]
        assert filled == [filled[0].replace(images[0], image) for image in images]


@pytest.mark.parametrize("name", preset_names())
def test_its_source_and_its_limits_are_in_the_file_and_on_the_page(name):
    preset, page = read_preset(name), " ".join(PAGE.read_text(encoding="utf-8").split())
    for sentence in (preset.source, *preset.not_covered, *preset.notes):
        assert sentence.endswith(".")
        assert sentence in page
    assert "(" in preset.source  # the year, or the number of the paper
    assert f"`{name}`" in page


def test_any_two_can_be_multiplied():
    for first, second in itertools.combinations(preset_names(), 2):
        product = DemographicGroup.preset(first) * DemographicGroup.preset(second)
        assert len(product.factors) == 2


@pytest.mark.parametrize("name", ["gender", "first_names_race"])
def test_relaxed_it_takes_occupations_for_neutral(name):
    group, relaxed = DemographicGroup.preset(name), DemographicGroup.preset(name, relaxed=True)
    assert relaxed == group.relax(neutral=occupations())
    assert (relaxed.role("nurse"), relaxed.role("Doctor"), group.role("table")) == ("general", "neutral", "neutral")
    assert relaxed.names == group.names


def test_it_is_found_by_its_sets():
    assert preset_of(DemographicGroup.preset("gender").factors[0].sets) is read_preset("gender")
    assert (
        preset_of(DemographicGroup.preset("nationality", ["Russian", "American"]).factors[0].sets).name
        == "nationality"
    )
    assert preset_of([["Black", "White"]]) is preset_of([["a", "b"]]) is None


@pytest.mark.parametrize("name", preset_names())
def test_what_it_leaves_out_is_on_the_page_and_stays(name):
    preset, group = read_preset(name), DemographicGroup.preset(name)
    page = LEFT_OUT.read_text(encoding="utf-8")
    stays = {word for row in group.left_out() for word in row.words}
    moves = {word for row in group.forms() for word in row.words}
    assert set(preset.leave_out) <= stays
    assert stays.isdisjoint(moves)
    for spelling, why in preset.leave_out.items():
        assert why.endswith(".")
        assert spelling in page
    assert DemographicGroup.from_json(group.to_json()) == group
    assert group.relax(general=[]).left_out() == group.left_out()


def test_gender_moves_words_and_not_names():
    action = WordAction(DemographicGroup.preset("gender"))
    assert action.apply(1, "Martin Luther King met a king. God! PA, MA. Guy") == (
        "Martin Luther King met a queen. God! PA, MA. Guy"
    )
    assert action.apply(1, "Kings and gods. His guys. MR KING") == "Queens and goddesses. Her gals. MRS QUEEN"


def test_some_elements_leave_out_what_belongs_to_their_words():
    assert DemographicGroup.preset("gender", ["woman", "man"]).left_out()[0].words == ("Queen", "King")
    assert kept_spellings(["Kings", "King"], [["kings", "queens"]]) == ("Kings",)


def test_a_name_stands_for_what_a_preset_leaves_out_too():
    own = DemographicGroup.preset("gender").factors[0]
    old = DemographicGroup(own.sets).factors[0]
    assert preset_text([(own.sets, own.leave_out)]) == "gender"
    assert preset_text([(old.sets, old.leave_out)]) is None


def test_an_unknown_one_lists_the_known_ones():
    with pytest.raises(GroupError, match=r"preset='class' is not known: use one of 'age', .*'sexuality'"):
        read_preset("class")


def test_occupations_are_single_words_in_order():
    words = occupations()
    assert len(words) > 100
    assert list(words) == sorted(set(words))
    assert all(word.isalpha() and word.islower() for word in words)
    assert not {"actor", "nun", "confesses"} & set(words)
