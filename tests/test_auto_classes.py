"""What the Auto classes know is tested in `test_import.py`, each order of imports in a process of its own."""

from __future__ import annotations

import importlib
import sys

import pytest

from hf_equi.auto_classes import places, when_imported


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The name of a module that is there to be imported."""
    (tmp_path / "watched_module.py").write_text("value = 1")
    monkeypatch.syspath_prepend(tmp_path)
    yield "watched_module"
    sys.modules.pop("watched_module", None)


def test_actions_run_once_after_the_import_in_their_order(module):
    seen, before = [], list(sys.meta_path)
    for number in range(2):
        when_imported(module, lambda number=number: seen.append((number, sys.modules[module].value)))
    assert len(sys.meta_path) == len(before) + 1  # one watch a module: two would ask each other for ever
    assert seen == []
    importlib.import_module(module)
    assert seen == [(0, 1), (1, 1)]
    assert sys.meta_path == before
    when_imported(module, lambda: seen.append("now"))
    assert seen[-1] == "now"


def test_places_name_packages_that_are_there():
    for place in places():
        assert hasattr(importlib.import_module(place.package), place.model)
