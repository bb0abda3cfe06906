"""Groups from the command line."""

from __future__ import annotations

import json

import pytest
from small_models import BOTH, GENDER

from hf_equi import DemographicGroup
from hf_equi.cli.groups import read_any_group, read_group
from hf_equi.errors import GroupError


def test_a_group_is_a_preset_a_file_or_a_product(tmp_path) -> None:
    whole, factor = tmp_path / "both.json", tmp_path / "gender.json"
    whole.write_text(BOTH.to_json())
    factor.write_text(json.dumps({"equality": [["man", "woman"], ["he", "she"]]}))
    assert read_group("race") == DemographicGroup.preset("race")
    assert read_group("gender * race") == DemographicGroup.preset("gender") * DemographicGroup.preset("race")
    assert read_group("race:White, Asian person") == DemographicGroup.preset("race", ["White", "Asian"])
    assert read_group(str(whole)) == BOTH
    assert read_group(str(factor)) == GENDER
    assert read_group(f"{factor}*race") == GENDER * DemographicGroup.preset("race")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[1]", r'holds no group.*factors.* Write it as {"equality": \[\["man", "woman"\]'),
        ('{"equality": [["man"]]}', "at least two words"),
    ],
)
def test_a_file_that_is_no_group_is_named(tmp_path, content, problem) -> None:
    path = tmp_path / "group.json"
    path.write_text(content)
    with pytest.raises(GroupError, match=rf"{path}.*{problem}"):
        read_group(str(path))


@pytest.mark.parametrize("read", [read_group, read_any_group])
def test_an_element_that_a_preset_lacks_is_all_that_is_said(read) -> None:
    with pytest.raises(GroupError, match=r"No element 'Wite' in this preset: its elements are Black, White, Asian\.$"):
        read("race:Black,Wite")


def test_a_file_of_bytes_is_named(tmp_path) -> None:
    (tmp_path / "group.json").write_bytes(b"\xff\xfe")
    with pytest.raises(GroupError, match="is not JSON"):
        read_group(str(tmp_path / "group.json"))
