"""Files are whole or not there, and links stay as they are."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

import pytest

from hf_equi.errors import ConfigurationError
from hf_equi.fairness.files import beside, create_json, remedy, write_bytes, write_json


def test_a_file_is_there_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with beside(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
        assert temporary.name[0] == "."
    assert path.read_text() == "new"
    with suppress(OSError), beside(path) as temporary:
        temporary.write_text("ne")
        raise OSError(28, "No space left on device")
    assert [(item.name, item.read_text()) for item in tmp_path.iterdir()] == [("a.txt", "new")]


def test_a_link_is_replaced_and_its_target_stays(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("dear")
    (tmp_path / "a.txt").symlink_to(tmp_path / "letter")
    write_bytes(tmp_path / "a.txt", b"new")
    assert ((tmp_path / "letter").read_text(), (tmp_path / "a.txt").read_text()) == ("dear", "new")


def test_of_two_that_create_a_file_at_once_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    create_json(path, {"a": 1})
    create_json(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 1}

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)  # as on a file system without hard links
    create_json(tmp_path / "b.json", {"b": 1})
    assert sorted(item.name for item in tmp_path.iterdir()) == ["a.json", "b.json"]
    with pytest.raises(FileNotFoundError):
        create_json(tmp_path / "nowhere" / "c.json", {})


def test_a_full_disk_leaves_no_half_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Path.write_bytes

    def write(self: Path, content: bytes) -> None:
        whole(self, content[:5])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write)
    for make in (create_json, write_json):
        with pytest.raises(OSError, match="No space"):
            make(tmp_path / "a.json", {"a": "long enough"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("number", "text"), [(28, "make room"), (13, "make the folder writable"), (30, "make the")])
def test_the_remedy_is_that_of_the_fault(number: int, text: str) -> None:
    assert remedy(OSError(number, "")).startswith(text)


def test_what_is_synchronised_is_open_to_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Windows asks for it, where an error comes otherwise."""
    fcntl = pytest.importorskip("fcntl")
    modes: list[int] = []
    monkeypatch.setattr("os.fsync", lambda file: modes.append(fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE))
    write_json(tmp_path / "a.json", {"a": 1})
    create_json(tmp_path / "b.json", {"b": 1})
    assert modes == [os.O_RDWR, os.O_RDWR]


def test_what_is_not_utf8_text_is_named(tmp_path: Path) -> None:
    content = {"scorer": {"name": os.fsdecode(b"/home/d\xff/regard"), "score": "label"}}
    for make in (create_json, write_json):
        with pytest.raises(
            ConfigurationError, match=r"a\.json cannot hold '\"name\": \"/home/d.udcff/regard\"', which"
        ):
            make(tmp_path / "a.json", content)
    assert list(tmp_path.iterdir()) == []


def test_json_is_written_whole(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": "ä"})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", {"a": float("nan")})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"a": "ä"}
