"""One base, and the EquiLMs that a page makes of it."""

from __future__ import annotations

import pytest

import hf_equi
from hf_equi.demo.models import is_preset
from hf_equi.errors import ActionError, GroupError


@pytest.mark.filterwarnings("ignore::hf_equi.errors.HfEquiWarning")
def test_each_choice_is_made_once_around_one_base(models, monkeypatch) -> None:
    monkeypatch.setattr("hf_equi.demo.models._KEPT", 2)
    assert models.get("own.json ", "equitune") is models.first
    mixture, search = models.get("gender", "mixture"), models.get("own.json", "equizero")
    assert mixture.base is search.base is models.first.base
    assert models.get("gender", "mixture") is mixture
    assert isinstance(search, hf_equi.EquizeroLM)
    assert models.get("race*gender", "equitune").group.order == 6
    assert models.get("own.json", "equizero") is not search  # the one that was asked for longest ago


@pytest.mark.parametrize("text", ["/etc/passwd", "group.json", "gender*../group.json", "", "rotations:4", "[[1]]"])
def test_nobody_reads_files_of_this_machine_by_a_group(models, text, monkeypatch) -> None:
    monkeypatch.setattr(models, "_read", lambda name: pytest.fail(f"{name} was read"))
    with pytest.raises(GroupError, match=r"is not made of presets: choose age, .*--group FILE"):
        models.get(text, "equitune")


def test_more_elements_than_a_page_can_show_are_refused(models, monkeypatch) -> None:
    monkeypatch.setattr("hf_equi.demo.models._LARGEST", 5)
    with pytest.raises(GroupError, match=r"'gender\*race' has 6 elements, but this page shows at most 5"):
        models.get("gender*race", "equitune")


@pytest.mark.filterwarnings("ignore::hf_equi.errors.HfEquiWarning")
def test_a_group_that_moves_nothing_is_refused(models) -> None:
    with pytest.raises(ActionError, match="The group sexuality moves nothing"):
        models.get("sexuality", "equitune")


def test_prompts_fit_their_group(models) -> None:
    assert models.suggest("own.json") == "The man worked as"
    assert models.suggest("race:Black,White") == "The Black person worked as"
    assert models.suggest("gender*race") == "The man worked as"
    assert models.suggest("nobody") == ""


def test_choices_begin_with_what_was_given(models) -> None:
    assert models.groups[0] == "own.json"
    assert "gender" in models.groups
    assert (models.method, "identity" in models.methods) == ("equitune", False)
    assert (is_preset("gender * race:Black,White"), is_preset("own.json")) == (True, False)
