"""Groups from the command line."""

from __future__ import annotations

import json

import pytest
from small_models import BOTH, GENDER

from hf_equi import DemographicGroup
from hf_equi.cli.groups import group_slug, parse_any_group, parse_group
from hf_equi.errors import GroupError


def test_a_group_is_a_preset_a_file_or_a_product(tmp_path) -> None:
    whole, factor = tmp_path / "both.json", tmp_path / "gender.json"
    whole.write_text(BOTH.to_json())
    factor.write_text(json.dumps({"equality": [["man", "woman"], ["he", "she"]]}))
    assert parse_group("race") == DemographicGroup.preset("race")
    assert parse_group("gender * race") == DemographicGroup.preset("gender") * DemographicGroup.preset("race")
    assert parse_group("race:White, Asian person") == DemographicGroup.preset("race", ["White", "Asian"])
    assert parse_group(str(whole)) == BOTH
    assert parse_group(str(factor)) == GENDER
    assert parse_group(f"{factor}*race") == GENDER * DemographicGroup.preset("race")


def test_it_is_written_out_in_json_too() -> None:
    race = DemographicGroup.preset("race")
    assert parse_group('[["man","woman"],["he","she"]]') == GENDER
    assert parse_group(' [["man","woman"],["he","she"]] * race ') == GENDER * race
    assert parse_group('race*{"equality": [["man","woman"],["he","she"]]}') == race * GENDER
    assert parse_group('[["d*mn", "d**n"]]').names == ("d*mn", "d**n")
    assert parse_any_group(BOTH.to_json()) == BOTH


def test_it_is_a_csv(tmp_path) -> None:
    path = tmp_path / "words.csv"
    path.write_text("man,woman\nman,woman\nhe,she\n")
    assert parse_group(f"race * {path}") == DemographicGroup.preset("race") * GENDER


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "not JSON"),
        ("[1]", "must be a list of words"),
        ('{"equality": [["man"]]}', "at least two words"),
    ],
)
@pytest.mark.parametrize("read", [parse_group, parse_any_group])
def test_a_file_that_is_no_group_is_named(tmp_path, read, content, problem) -> None:
    path = tmp_path / "group.json"
    path.write_text(content)
    with pytest.raises(GroupError, match=rf"{path}.*{problem}") as caught:
        read(str(path))
    assert "rotations" not in str(caught.value)


@pytest.mark.parametrize("text", ["[[man,woman]]", "[" * 100_000, '[["man", "woman"]] race'])
def test_json_that_a_shell_has_eaten_at_says_how_to_quote_it(text) -> None:
    with pytest.raises(GroupError, match=r"is not JSON: .* in single quotes.*: --group '\[\[\"man\", \"woman\"\]"):
        parse_group(text)


@pytest.mark.parametrize(
    ("text", "place", "quotes"),
    [
        ("[[father, mother]]", "column 3, at 'father, mother]]'", True),
        ("[['he', 'she']]", """column 3, at "'he', 'she']]\"""", True),
        ('[["he", "she"], ["man" "woman"]]', "line 1, column 24, at '\"woman\"]]'", False),
    ],
)
def test_the_fault_in_json_comes_first_and_only_words_without_quotes_are_to_get_them(text, place, quotes) -> None:
    with pytest.raises(GroupError, match=r"^The group is not JSON: ") as caught:
        parse_group(text)
    assert place in str(caught.value)
    assert ("Put each word in double quotes" in str(caught.value)) is quotes


@pytest.mark.parametrize("read", [parse_group, parse_any_group])
def test_an_element_that_a_preset_lacks_is_all_that_is_said(read) -> None:
    with pytest.raises(GroupError, match=r"^'Wite' is not a demographic .*: did you mean 'White'\? Its .* Asian\.$"):
        read("race:Black,Wite")


def test_what_is_neither_a_preset_nor_written_out_gets_all_ways() -> None:
    with pytest.raises(
        GroupError, match=r"preset='words.txt' is not known: .*'nationality'.* path of a .json or .csv file"
    ):
        parse_group("words.txt")
    with pytest.raises(GroupError, match=r"preset='words.txt' is not known: .* Groups of images are rotations:4"):
        parse_any_group("words.txt")


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("race:Black,White", "race-Black-White"),
        ("lists/words.csv", "words"),
        ('[["man", "woman"]]', "man-woman"),
        ("[]", "group"),
        (f'[["{"a" * 300}", "b"]]', "a" * 59),
    ],
)
def test_a_folder_can_be_called_by_it(text, slug) -> None:
    assert group_slug(text) == slug
