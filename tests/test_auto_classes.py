"""What the Auto classes know is tested in `test_import.py`, each order of imports in a process of its own."""

from __future__ import annotations

import copy
import importlib
import importlib.util
import inspect
import sys
import zipfile
from importlib.machinery import FrozenImporter, ModuleSpec, SourceFileLoader
from zipimport import zipimporter

import pytest

import hf_equi.auto_classes
from hf_equi.auto_classes import _ImportWatch, places, when_imported

NAME = "watched_module"


@pytest.fixture(autouse=True)
def watch(monkeypatch):
    """A watch of the test's own, instead of the one that is."""
    watch = _ImportWatch()
    monkeypatch.setattr(hf_equi.auto_classes, "_WATCH", watch)
    monkeypatch.setattr(sys, "meta_path", [one for one in sys.meta_path if not isinstance(one, _ImportWatch)])
    yield watch
    for name in (NAME, "other_module", "__phello__", "__phello__.spam"):
        sys.modules.pop(name, None)


@pytest.fixture
def seen():
    """The modules that were there each time, as the action saw them."""
    return []


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder that is searched, with the module to watch and another."""
    (tmp_path / f"{NAME}.py").write_text("loader = __loader__\nvalue = 1\n")
    (tmp_path / "other_module.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def note(seen, name=NAME):
    when_imported(name, lambda: seen.append(getattr(sys.modules[name], "value", name)))


def test_actions_run_in_their_order_after_each_time_that_the_module_ran(folder, seen):
    before = len(sys.meta_path)
    note(seen)
    when_imported(NAME, lambda: seen.append("second"))
    assert len(sys.meta_path) == before + 1
    importlib.import_module("other_module")
    assert seen == []
    module = importlib.import_module(NAME)
    assert seen == [1, "second"]
    (folder / f"{NAME}.py").write_text("value = 'changed'\n")
    importlib.reload(module)
    assert seen == [1, "second", "changed", "second"]
    when_imported(NAME, lambda: seen.append("now"))
    assert seen[4:] == ["now"]
    importlib.reload(module)
    assert seen[5:] == ["changed", "second", "now"]


def test_a_watched_module_has_the_loader_that_it_would_have_had(folder, seen):
    note(seen)
    spec = importlib.util.find_spec(NAME)  # asks, and imports nothing
    assert (
        spec.loader.get_source(NAME) == copy.copy(spec.loader).get_source(NAME) == "loader = __loader__\nvalue = 1\n"
    )
    module = importlib.import_module(NAME)
    assert type(module.loader) is type(module.__loader__) is type(module.__spec__.loader) is SourceFileLoader
    assert "value = 1" in inspect.getsource(module)
    assert seen == [1]


def test_an_import_that_fails_is_no_import(folder, seen):
    note(seen)
    (folder / f"{NAME}.py").write_text("raise OSError('broken')")
    with pytest.raises(OSError, match="broken"):
        importlib.import_module(NAME)
    assert (seen, NAME in sys.modules) == ([], False)
    (folder / f"{NAME}.py").write_text("value = 'whole now'")
    importlib.import_module(NAME)
    assert seen == ["whole now"]


def test_in_an_archive_one_loader_serves_all_modules(folder, tmp_path, monkeypatch, seen):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name in ("other_module.py", f"{NAME}.py"):
            archive.write(folder / name, name)
    monkeypatch.syspath_prepend(tmp_path / "all.zip")
    note(seen)
    importlib.util.find_spec(NAME)
    assert type(importlib.import_module("other_module").__loader__) is zipimporter
    assert seen == []
    assert type(importlib.import_module(NAME).__loader__) is zipimporter
    assert seen == [1]


def test_in_a_frozen_application_the_loader_is_a_class(seen):
    note(seen, "__phello__")  # which Python has for its own tests
    importlib.import_module("__hello__")
    assert seen == []
    assert importlib.import_module("__phello__").__loader__ is FrozenImporter
    importlib.import_module("__phello__.spam")
    assert seen == ["__phello__"]
    assert "exec_module" in vars(FrozenImporter)


class Slotted:
    """A loader that nothing can be set on."""

    __slots__ = ()

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        module.value = "slotted"


class OldLoader:
    """A loader from before `exec_module`."""


class Finder:
    """Finds the module, once it has asked all others, as we do."""

    loader = Slotted()

    def find_spec(self, fullname, path, target=None):
        others = [one for one in sys.meta_path if one is not self and hasattr(one, "find_spec")]
        found = [one.find_spec(fullname, path, target) for one in others]
        return ModuleSpec(fullname, self.loader) if fullname == NAME and not any(found) else None


@pytest.mark.parametrize("first", [True, False])
def test_loaders_with_slots_and_finders_that_ask_all_others(monkeypatch, seen, first):
    note(seen)
    sys.meta_path.insert(0 if first else 1, Finder())
    assert type(importlib.import_module(NAME).__loader__) is Slotted
    assert seen == ["slotted"]


def test_a_finder_without_find_spec_is_passed_over(folder, seen):
    note(seen)
    sys.meta_path.insert(1, object())
    importlib.import_module(NAME)
    assert seen == [1]


def test_a_loader_without_exec_module_is_let_be(watch, monkeypatch, seen):
    note(seen)
    monkeypatch.setattr(Finder, "loader", OldLoader())
    sys.meta_path.append(Finder())
    assert type(watch.find_spec(NAME, None).loader) is OldLoader


def test_places_name_packages_that_are_there():
    for place in places():
        assert hasattr(importlib.import_module(place.package), place.model)
