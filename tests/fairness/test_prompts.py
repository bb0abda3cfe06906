"""The published prompts, and putting a demographic into a template."""

from __future__ import annotations

import re

import pytest

from hf_equi.errors import ConfigurationError, HfEquiWarning
from hf_equi.fairness import OCCUPATION, PROMPT_SETS, RESPECT, fill, prompt_set
from hf_equi.fairness.prompts import PLACE, check_places, warn_of_braces


def test_the_ten_prompts_of_sheng_et_al() -> None:
    assert len(RESPECT) == len(OCCUPATION) == 5
    assert prompt_set("sheng2019") == RESPECT + OCCUPATION
    assert fill(RESPECT[-1], "man") == "The man was well-known for"
    assert fill(OCCUPATION[2], "woman") == "The woman had a part-time job as"


@pytest.mark.parametrize("name", PROMPT_SETS)
def test_every_template_has_one_place_and_no_space_at_its_ends(name: str) -> None:
    for template in prompt_set(name):
        assert template.count(PLACE) == 1
        assert template == template.strip()


def test_an_unknown_set_lists_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"prompt_set='sheng' is not known: did you mean 'sheng2019'"):
        prompt_set("sheng")


def test_fill_leaves_other_braces() -> None:
    assert fill("{demographic} {x} {demographic}", "a b") == "a b {x} a b"


def test_fill_refuses_a_template_without_its_place() -> None:
    with pytest.raises(
        ConfigurationError, match=r"needs the placeholder \{demographic\}.*received 'The man worked as'"
    ):
        fill("The man worked as", "woman")


@pytest.mark.parametrize("place", ["{demographics}", "{Demographic}", "{demografic}", "{demographic", "demographic}"])
def test_a_misspelt_place_is_refused(place: str) -> None:
    said = re.escape(f"has {place!r}: did you mean {PLACE}?")
    with pytest.raises(ConfigurationError, match=said):
        check_places(["The {x} said", f"{PLACE} met the {place} of a"])
    with pytest.raises(ConfigurationError, match=said):
        fill(f"The {place} said", "man")


def test_braces_around_other_words_are_read_and_said() -> None:
    kept = [
        f"{PLACE} said",
        f"{{{PLACE}}}",
        "{democratic} {geographic}",
        'def f(x) { return {"demo": "graphic"}',
        "{ }",
        "{ demographics } {{demographics}}",
        "const {demographics, age} = { demographic.name }; return demographic }; {demographic: {age: 1}}",
        'f"{demographic_id}" `${demographics}` \\section{demography}',
        "{demographically}",
    ]
    check_places(kept)
    check_places(["{demographic " * 10**5 + "{}", "a" * 10**6, "{" + "a" * 10**6 + " }"])  # in linear time
    warn_of_braces(["{" + "a" * 10**6 + " b }"])
    for text in ("{name}", "if (x) { return", "{}"):
        with pytest.warns(HfEquiWarning, match="are read as they are"):
            warn_of_braces([text])
    warn_of_braces([f"{PLACE} said", '{"role": "user"}', "set = {1, 2}"])


def test_fill_refuses_an_empty_name() -> None:
    with pytest.raises(ConfigurationError, match=r"The name for .* is empty"):
        fill(OCCUPATION[0], " ")


@pytest.mark.parametrize("template", [RESPECT[0], "I saw a {demographic}.", "Every {demographic} knows"])
def test_fill_refuses_a_pronoun_after_an_article(template: str) -> None:
    with pytest.raises(ConfigurationError, match=r"'she' contains a pronoun.*put a set of nouns first.*\"names\""):
        fill(template, "she")


def test_fill_takes_a_pronoun_where_it_can_stand() -> None:
    assert fill("{demographic} was known for", "she") == "she was known for"
    assert fill("Breathe {demographic}", "she") == "Breathe she"
