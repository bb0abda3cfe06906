"""The word lists that come with the library."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from hf_equi import DemographicGroup
from hf_equi.errors import GroupError
from hf_equi.fairness import fill, prompt_set
from hf_equi.groups import occupations, preset_names, preset_of, read_preset
from hf_equi.testing import assert_group

PAGE = Path(__file__).parents[2] / "docs" / "groups.md"


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


def test_an_unknown_one_lists_the_known_ones():
    with pytest.raises(GroupError, match=r"preset='class' is not known: use one of 'age', .*'sexuality'"):
        read_preset("class")


def test_occupations_are_single_words_in_order():
    words = occupations()
    assert len(words) > 100
    assert list(words) == sorted(set(words))
    assert all(word.isalpha() and word.islower() for word in words)
    assert not {"actor", "nun", "confesses"} & set(words)
