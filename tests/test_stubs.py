"""Packages whose public names stand in their stub."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from hf_equi.stubs import lazy_names, read_stub


@pytest.mark.parametrize("found", [None, FileNotFoundError("__init__.pyi")])
def test_a_copy_without_its_data_files_says_how_to_include_them(
    monkeypatch: pytest.MonkeyPatch, found: object
) -> None:
    def read(*_: object) -> None:
        if found is not None:
            raise found

    monkeypatch.setattr("pkgutil.get_data", read)
    with pytest.raises(ImportError, match=r"hf_equi lacks __init__\.pyi.*--collect-data hf_equi"):
        read_stub("hf_equi")


def test_names_load_on_first_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "__init__.py": "",
        "__init__.pyi": "from lazy_one import part as part\nfrom lazy_one.other import Thing as Thing\n",
        "part.py": "",
        "other.py": "Thing = 3\n",
    }
    (tmp_path / "lazy_one").mkdir()
    for name, text in files.items():
        (tmp_path / "lazy_one" / name).write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    package = importlib.import_module("lazy_one")
    names = lazy_names("lazy_one", read_stub("lazy_one"))
    assert names.listed == ["Thing"]  # what is a module of its own is not among the names
    assert {"Thing", "part"} <= {*names.list_all()}
    assert not {"lazy_one.part", "lazy_one.other"} & {*sys.modules}
    assert names.get("Thing") == package.Thing == 3
    assert names.get("part") is sys.modules["lazy_one.part"]
    with pytest.raises(AttributeError, match=r"module 'lazy_one' has no attribute 'Think'; it has Thing$"):
        names.get("Think")
