"""Units on the disk: kept, found again, refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hf_equi.errors import ConfigurationError
from hf_equi.fairness.auditing.store import SETTINGS, FolderStore, MemoryStore, write_json

ROWS = [{"text": "a ä\u2028\n", "nll": 0.1 + 0.2, "gap": None}]


def store(folder: Path, process: int = 0, **settings: object) -> FolderStore:
    return FolderStore(folder, {"seed": 1, "prompts": ["a", "b"], **settings}, process)


def test_units_are_found_again_by_any_number_of_processes(tmp_path) -> None:
    for process in range(3):
        store(tmp_path / "new" / "folder", process).append(("base", str(process)), ROWS)
    found = store(tmp_path / "new" / "folder").read()
    assert found == {("base", str(process)): ROWS for process in range(3)}


@pytest.mark.parametrize("torn", [b'{"model": "base", "templ', b"\0\0\0\n", b'{"model": "base"}\n', b"[]"])
def test_a_last_line_that_was_cut_short_is_left_out_and_then_taken_away(tmp_path, torn) -> None:
    store(tmp_path).append(("base", "a"), ROWS)
    store(tmp_path, 1).append(("base", "b"), ROWS)
    whole = (tmp_path / "samples-0.jsonl").read_bytes()
    for process in (0, 1):
        with (tmp_path / f"samples-{process}.jsonl").open("ab") as file:
            file.write(torn)
    assert set(store(tmp_path).read()) == {("base", "a"), ("base", "b")}
    store(tmp_path).append(("base", "c"), ROWS)
    assert (tmp_path / "samples-0.jsonl").read_bytes().startswith(whole)
    assert set(store(tmp_path).read()) == {("base", "a"), ("base", "b"), ("base", "c")}


def test_a_file_that_was_cut_in_its_first_line_begins_anew(tmp_path) -> None:
    (tmp_path / "audit").mkdir()
    one = store(tmp_path / "audit")
    one.path.write_bytes(b'{"mod')
    one.append(("base", "a"), ROWS)
    assert one.read() == {("base", "a"): ROWS}


def test_damage_within_a_file_is_named(tmp_path) -> None:
    one = store(tmp_path)
    one.append(("base", "a"), ROWS)
    one.path.write_bytes(b"damage\n" + one.path.read_bytes())
    with pytest.raises(ConfigurationError, match=r"Line 1 of .*samples-0\.jsonl is damaged: delete that line"):
        one.read()


def test_other_settings_are_refused_by_name(tmp_path) -> None:
    store(tmp_path, new=1)
    store(tmp_path, new=1)
    with pytest.raises(ConfigurationError, match=r"other settings \(seed, prompts, new\).*Choose another folder"):
        store(tmp_path, seed=2, prompts=["b", "a"])
    assert json.loads((tmp_path / SETTINGS).read_text())["seed"] == 1


def test_a_folder_with_something_else_is_refused(tmp_path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(ConfigurationError, match=r"holds 'letter\.txt' and no audit: choose an empty or a new one"):
        store(tmp_path)
    assert [item.name for item in tmp_path.iterdir()] == ["letter.txt"]


def test_damaged_settings_are_refused(tmp_path) -> None:
    (tmp_path / SETTINGS).write_text("{")
    with pytest.raises(ConfigurationError, match=r"settings\.json is damaged"):
        store(tmp_path)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ConfigurationError, match=r"cannot be written .*: choose another one"):
            store(path)


def test_only_the_first_process_writes_the_settings(tmp_path) -> None:
    store(tmp_path, 1)
    assert not (tmp_path / SETTINGS).exists()
    store(tmp_path, 0)
    store(tmp_path, 1)
    with pytest.raises(ConfigurationError, match="seed"):
        store(tmp_path, 1, seed=2)


def test_json_is_written_whole(tmp_path) -> None:
    write_json(tmp_path / "a.json", {"a": "ä"})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", {"a": float("nan")})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"a": "ä"}


def test_memory_keeps_units() -> None:
    one = MemoryStore()
    one.append(("base", "a"), ROWS)
    assert (one.read(), one.collect()) == ({}, {("base", "a"): ROWS})
