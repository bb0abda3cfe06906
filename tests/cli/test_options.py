"""The options that commands share."""

from __future__ import annotations

import re

import pytest

from hf_equi.cli.options import GROUP
from hf_equi.groups import preset_names


@pytest.mark.parametrize("name", ["me", "me/", "/equi", "me/equi/gpt2", ""])
def test_a_repository_is_named_with_its_owner(run, tmp_path, name) -> None:
    result = run("publish", tmp_path, name)
    assert (result.status, result.out) == (2, "")
    assert f"{name!r} is not the name of a repository: write USER/NAME, such as me/equi-gpt2" in result.err


def test_the_help_of_group_lists_all_presets() -> None:
    assert re.search(r"A preset \((.*?)\)", GROUP)[1].split(", ") == list(preset_names())
