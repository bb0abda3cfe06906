"""Units on the disk: kept, found again, refused."""

from __future__ import annotations

import json
from io import FileIO
from pathlib import Path

import pytest

from hf_equi.errors import ConfigurationError
from hf_equi.fairness.auditing.store import SETTINGS, FolderStore, MemoryStore

ROWS = [{"text": "a ä\u2028\n", "nll": 0.1 + 0.2, "gap": None}]


def fault(unit: object) -> str:
    return "" if isinstance(unit, dict) and unit.get("samples") else "no samples"


def store(folder: Path, process: int = 0, **settings: object) -> FolderStore:
    return FolderStore(folder, {"seed": 1, "prompts": ["a", "b"], **settings}, process, fault)


def test_units_are_found_again_by_any_number_of_processes(tmp_path) -> None:
    for process in range(3):
        store(tmp_path / "new" / "folder", process).append(("base", str(process)), ROWS)
    found = store(tmp_path / "new" / "folder").read()
    assert found == {("base", str(process)): ROWS for process in range(3)}


@pytest.mark.parametrize("torn", [b'{"model": "base", "templ', b"\0\0\0\n", b"[" * 9999 + b"\n", b"[]"])
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


@pytest.mark.parametrize("damage", [b"damage", b"null", b"[]", b'{"model": "base", "template": "b", "samples": []}'])
@pytest.mark.parametrize("last", [False, True])
def test_damage_is_named(tmp_path, damage, last) -> None:
    """A line that is whole was not cut short, and if it is not a unit either, somebody changed it."""
    one = store(tmp_path)
    one.append(("base", "a"), ROWS)
    lines = [damage + b"\n", one.path.read_bytes()]
    one.path.write_bytes(b"".join(lines[::-1] if last else lines))
    if last and damage in {b"damage", b"null"}:
        assert set(one.read()) == {("base", "a")}
        return
    with pytest.raises(ConfigurationError, match=rf"Line {1 + last} of .*samples-0\.jsonl is damaged \(no samples\)"):
        one.read()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"nll": 0.3', b'"nll": 3.3'),
        (b'"gap": null', b'"gap": -1.0'),
        (b'"gap": null', b'"gap": NaN'),
        (b'"text": "a', b'"text": "b'),
        (b'"checksum"', b'"checksums"'),
    ],
)
def test_a_line_is_read_as_it_was_written_or_not_at_all(tmp_path, old, new) -> None:
    """A figure that somebody changed to another of its kind shows in nothing else."""
    one = store(tmp_path)
    one.append(("base", "a"), ROWS)
    whole = one.path.read_bytes()
    one.path.write_bytes(json.dumps(json.loads(whole), sort_keys=True, indent=None).encode() + b"\r\n")
    assert one.read() == {("base", "a"): ROWS}
    assert whole.count(old) == 1
    one.path.write_bytes(whole.replace(old, new))
    with pytest.raises(
        ConfigurationError, match=r"Line 1 .* damaged \(it has changed since this audit wrote it\): delete"
    ):
        one.read()


def test_a_line_of_an_audit_with_another_seed_is_refused(tmp_path) -> None:
    one, other = store(tmp_path / "one"), store(tmp_path / "other", seed=2)
    for each in (one, other):
        each.append(("base", "a"), ROWS)
    one.path.write_bytes(other.path.read_bytes())
    with pytest.raises(ConfigurationError, match="has changed since this audit wrote it"):
        one.read()


def test_other_settings_are_refused_by_name(tmp_path) -> None:
    store(tmp_path, new=1)
    store(tmp_path, new=1)
    with pytest.raises(ConfigurationError, match=r"other settings \(seed, prompts, new\).*Choose another folder"):
        store(tmp_path, seed=2, prompts=["b", "a"])
    assert json.loads((tmp_path / SETTINGS).read_text())["seed"] == 1


def test_a_folder_with_something_else_is_refused(tmp_path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(
        ConfigurationError,
        match=r"holds 'letter\.txt' but no settings\.json of an audit: choose an empty or a new folder",
    ):
        store(tmp_path)
    assert [item.name for item in tmp_path.iterdir()] == ["letter.txt"]


def test_damaged_settings_are_refused(tmp_path) -> None:
    (tmp_path / SETTINGS).write_text("{")
    with pytest.raises(ConfigurationError, match=r"settings\.json is damaged: delete it and run again"):
        store(tmp_path)


@pytest.mark.parametrize("process", [0, 1])
def test_samples_are_known_without_the_settings_by_their_own_audit_alone(tmp_path, process) -> None:
    for name in "ab":
        store(tmp_path).append(("base", name), ROWS)
    (tmp_path / SETTINGS).unlink()
    with pytest.raises(ConfigurationError, match=r"holds 'samples-0\.jsonl' but no settings\.json"):
        store(tmp_path, process, seed=2)
    assert set(store(tmp_path, process).read()) == {("base", "a"), ("base", "b")}
    assert (tmp_path / SETTINGS).exists() == (process == 0)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ConfigurationError, match=r"cannot be written .*: choose another folder"):
            store(path)


def test_only_the_first_process_writes_the_settings(tmp_path) -> None:
    store(tmp_path, 1)
    assert not (tmp_path / SETTINGS).exists()
    store(tmp_path, 0)
    store(tmp_path, 1)
    with pytest.raises(ConfigurationError, match="seed"):
        store(tmp_path, 1, seed=2)


@pytest.mark.parametrize("process", [0, 3])
def test_a_link_in_the_place_of_samples_is_refused_and_its_target_stays(tmp_path, process) -> None:
    folder, letter = tmp_path / "audit", tmp_path / "letter"
    letter.write_text("dear\nJ")
    before = (store(folder), store(folder, process))[1]
    (folder / f"samples-{process}.jsonl").symlink_to(letter)
    for use in (lambda: store(folder), before.read, lambda: before.append(("a", "b"), ROWS)):
        with pytest.raises(ConfigurationError, match=rf"samples-{process}\.jsonl is a link, but .*: move it away"):
            use()
    assert letter.read_text() == "dear\nJ"


def test_what_is_not_a_file_is_refused(tmp_path) -> None:
    (tmp_path / "samples-0.jsonl").mkdir(parents=True)
    (tmp_path / SETTINGS).write_text('{"seed": 1, "prompts": ["a", "b"]}')
    with pytest.raises(ConfigurationError, match=r"samples-0\.jsonl is not a file"):
        store(tmp_path)


def test_two_runs_do_not_write_one_file(tmp_path) -> None:
    first, second, other = store(tmp_path), store(tmp_path), store(tmp_path, 1)
    with first.writing():
        first.append(("base", "a"), ROWS)
        with pytest.raises(ConfigurationError, match=r"Another run of this audit is writing .*samples-0\.jsonl: wait"):
            second.append(("base", "b"), ROWS)
        other.append(("base", "b"), ROWS)
    second.append(("base", "c"), ROWS)
    assert set(first.read()) == {("base", "a"), ("base", "b"), ("base", "c")}


def test_of_two_audits_that_begin_at_once_one_has_the_folder(tmp_path, monkeypatch) -> None:
    """The other has seen an empty folder, and finds the settings of the first when it writes its own."""
    seen = FolderStore._check_settings
    monkeypatch.setattr(
        FolderStore, "_check_settings", lambda self: monkeypatch.undo() or seen(self) or store(tmp_path)
    )
    with pytest.raises(ConfigurationError, match=r"other settings \(seed\)"):
        store(tmp_path, seed=2)
    assert json.loads((tmp_path / SETTINGS).read_text())["seed"] == 1


def test_settings_that_were_deleted_come_back(tmp_path) -> None:
    one = store(tmp_path)
    for step in (lambda: one.append(("base", "a"), ROWS), one.collect):
        (tmp_path / SETTINGS).unlink()
        step()
        assert json.loads((tmp_path / SETTINGS).read_text()) == {"seed": 1, "prompts": ["a", "b"]}


def test_samples_that_were_deleted_are_missed_at_once(tmp_path) -> None:
    one = store(tmp_path)
    with one.writing():
        one.path.unlink()
        with pytest.raises(ConfigurationError, match=r"samples-0\.jsonl was deleted while the audit ran"):
            one.append(("base", "a"), ROWS)


def test_a_full_disk_costs_the_unit_at_hand_alone(tmp_path, monkeypatch) -> None:
    one = store(tmp_path)
    one.append(("base", "a"), ROWS)
    full = FileIO.write

    def write(self: FileIO, content: bytes) -> int:
        if len(content) < 100:
            raise OSError(28, "No space left on device")
        return full(self, bytes(content)[:40])

    with monkeypatch.context() as patch:
        patch.setattr("hf_equi.fairness.auditing.store.FileIO", type("Full", (FileIO,), {"write": write}))
        with pytest.raises(
            ConfigurationError, match=r"written \(No space left on device\).*run the same command again"
        ):
            one.append(("base", "b"), ROWS)
    assert set(one.read()) == {("base", "a")}
    one.append(("base", "b"), ROWS)
    assert set(one.read()) == {("base", "a"), ("base", "b")}


def test_memory_keeps_units() -> None:
    one = MemoryStore()
    one.append(("base", "a"), ROWS)
    assert (one.read(), one.collect()) == ({}, {("base", "a"): ROWS})
