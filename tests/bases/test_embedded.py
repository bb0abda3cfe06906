"""From an archive all is tested in `tests/test_import.py`."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from hf_equi.bases import embedded
from hf_equi.bases.embedded import embedded_folder


@pytest.mark.parametrize("name", ["demo_lm", "demo_regard"])
def test_installed_it_is_where_it_is(name):
    folder = embedded_folder(name)
    assert folder == Path(embedded.__file__).parents[1] / "assets" / name
    assert (folder / "model.safetensors").is_file()


def test_from_an_archive_it_is_unpacked_once(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("assets/demo_lm/config.json", "{}")
        archive.writestr("assets/demo_lm/more/vocab.json", "[]")
    monkeypatch.setattr(embedded.resources, "files", lambda package: zipfile.Path(tmp_path / "all.zip"))
    embedded._unpack.cache_clear()
    folder = embedded_folder("demo_lm")
    assert {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*.json")} == {
        "config.json": "{}",
        "more/vocab.json": "[]",
    }
    assert embedded_folder("demo_lm") == folder
    embedded._remove(folder, os.getpid() + 1)
    assert folder.exists()
    embedded._remove(folder, os.getpid())
    assert not folder.exists()
    embedded._unpack.cache_clear()
