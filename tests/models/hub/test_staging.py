from __future__ import annotations

import os
from pathlib import Path

import pytest
from safetensors import SafetensorError

from hf_equi.errors import ConfigurationError, HfEquiWarning
from hf_equi.models.hub import staging
from hf_equi.models.hub.contents import list_files
from hf_equi.models.hub.staging import leftovers, require_config, staged, unfinished


def break_off(folder, error):
    """Write a file, and no second one."""
    with staged(folder) as new:
        (new / "config.json").write_text("half")
        raise error


def test_a_new_folder_is_there_with_all_its_files_or_not_at_all(tmp_path):
    folder = tmp_path / "parent" / "model"
    with pytest.raises(KeyboardInterrupt):
        break_off(folder, KeyboardInterrupt())
    assert list_files(tmp_path) == ()
    with staged(folder) as new:
        (new / "config.json").write_text("whole")
        assert leftovers(folder) == [new]
        assert not folder.exists()
    assert (folder / "config.json").read_text() == "whole"
    assert [path.name for path in folder.parent.iterdir()] == ["model"]
    assert folder.stat().st_mode == folder.parent.stat().st_mode  # and not closed to others


def test_a_folder_that_another_process_has_made_meanwhile_is_written_to(tmp_path):
    with staged(folder := tmp_path / "model") as new:
        (new / "config.json").write_text("now")
        folder.mkdir()
        for name in ("config.json", "notes.md"):
            (folder / name).write_text("meanwhile")
    assert texts(folder) == {"config.json": "now", "notes.md": "meanwhile"}
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("name", ["m" * 250, "é" * 125], ids=["ascii", "utf8"])
def test_a_folder_with_a_long_name_is_written(tmp_path, name):
    for text in ("before", "now"):
        with staged(folder := tmp_path / name) as new:
            (new / "config.json").write_text(text)
            assert leftovers(folder) == [new]
            assert not leftovers(tmp_path / f"{name}a")
        assert texts(folder) == {"config.json": text}
    with pytest.raises(ConfigurationError, match=r"could not be written to .*too long.*, or name another folder"):
        break_off(tmp_path / (name * 2), AssertionError("nothing is written"))
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_path_that_is_not_utf8_text_is_named(tmp_path):
    error = UnicodeEncodeError("utf-8", "d\udcff", 1, 2, "surrogates not allowed")  # of tokenizers
    with pytest.raises(ConfigurationError, match=r"could not be written to .*, or name another folder"):
        break_off(tmp_path / "d\udcff", error)


def test_in_a_folder_files_are_replaced_and_weights_of_before_go(tmp_path, monkeypatch):
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "elsewhere").write_text("elsewhere")
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path / "model")
    folder = Path()
    kept = ("model.fp16.safetensors", "notes.md")
    for name in ("model-00001-of-00002.safetensors", "model.safetensors.index.json", "model.safetensors", *kept):
        (folder / name).write_text("before")
    (folder / "config.json").symlink_to("../elsewhere")
    for full in (OSError("full"), SafetensorError("full"), Exception("full")):
        with pytest.raises(
            ConfigurationError, match=r"could not be written to \.: full\. No new files were left there"
        ):
            break_off(folder, full)
    with pytest.raises(KeyError):  # a fault of another kind is what it is
        break_off(folder, KeyError())
    assert (folder / "config.json").is_symlink()
    with staged(folder) as new:
        assert leftovers(folder) == [new]
        (new / "tokenizer").mkdir()
        for name in ("config.json", "model.safetensors", "tokenizer/vocab.json"):
            (new / name).write_text("now")
    assert {name: (folder / name).read_text() for name in list_files(folder)} == {
        **dict.fromkeys(("config.json", "model.safetensors", "tokenizer/vocab.json"), "now"),
        **dict.fromkeys(kept, "before"),
    }
    assert (tmp_path / "elsewhere").read_text() == "elsewhere"


def test_nothing_is_written_through_the_link_of_a_folder(tmp_path):
    (elsewhere := tmp_path / "elsewhere").mkdir()
    (elsewhere / "vocab.json").write_text("elsewhere")
    (folder := tmp_path / "model").mkdir()
    (folder / "tokenizer").symlink_to(elsewhere)
    with staged(folder) as new:
        (new / "tokenizer" / "a").mkdir(parents=True)
        for name in ("tokenizer/vocab.json", "tokenizer/a/b.json"):
            (new / name).write_text("now")
    assert list_files(folder) == ("tokenizer/a/b.json", "tokenizer/vocab.json")
    assert not (folder / "tokenizer").is_symlink()
    assert (list_files(elsewhere), (elsewhere / "vocab.json").read_text()) == (("vocab.json",), "elsewhere")


BEFORE = ("config.json", "model-00001-of-00001.safetensors", "model.safetensors.index.json", "tokenizer/vocab.json")
NOW = ("config.json", "model.safetensors", "tokenizer/vocab.json", "target/vocab.json")


def texts(folder):
    """What the files of a folder hold, except for those on their way."""
    on_the_way = (".partial-", ".before-")
    names = [name for name in list_files(folder) if not any(mark in name for mark in on_the_way)]
    return {name: (folder / name).read_text() for name in names}


def save(folder):
    for name in BEFORE:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("before")


def move_by_hand(place, folder):
    for name in list_files(place):
        (folder / name).parent.mkdir(exist_ok=True)
        (place / name).rename(folder / name)


def exchange(folder):
    """Replace one save by the next."""
    with staged(folder) as new:
        for name in NOW:
            (new / name).parent.mkdir(exist_ok=True)
            (new / name).write_text("now")


class Moves:
    """Moves of files, of which one fails, or all from one on. A config is never beside files of another save."""

    def __init__(self, folder, patch, fails, error, lasting):
        self.folder, self.fails, self.error, self.lasting, self.count = folder, fails, error, lasting, 0
        self.move = Path.replace
        patch.setattr(Path, "replace", self)

    def __get__(self, path, kind=None):
        return lambda goal: self(path, goal)

    def __call__(self, path, goal):
        there = texts(self.folder)
        assert "config.json" not in there or len({*there.values()}) == 1
        self.count += 1
        if self.count == self.fails or (self.lasting and self.count > self.fails):
            raise self.error
        return self.move(path, goal)


@pytest.mark.parametrize("error", [OSError("full"), KeyboardInterrupt()], ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("lasting", [False, True])
def test_all_files_are_exchanged_or_none(tmp_path, error, lasting):
    expected = KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else ConfigurationError
    for fails in range(1, 9):
        save(folder := tmp_path / str(fails))
        with pytest.MonkeyPatch.context() as patch:
            Moves(folder, patch, fails, error, lasting)
            with pytest.raises(expected) as caught:
                exchange(folder)
        assert not leftovers(folder)
        if lasting and fails > 1:  # what is there is not enough to be loaded, and the rest is not lost
            (old,) = folder.glob(f"{fails}.before-*")
            assert f"could not be put back: they are now in {old}" in str(caught.value) or not str(error)
            assert unfinished(folder) == (
                f" A save to it failed. {old} holds files of the earlier model: move them to {folder}."
            )
            move_by_hand(old, folder)
            assert texts(folder).items() >= dict.fromkeys(BEFORE, "before").items()
        else:
            assert texts(folder) == dict.fromkeys(BEFORE, "before")
            assert "No new files were left there" in str(caught.value) or not str(error)
            assert sorted(path.name for path in folder.iterdir()) == sorted({Path(name).parts[0] for name in BEFORE})
    exchange(folder)
    assert texts(folder) == {**dict.fromkeys(NOW, "now")}


def test_a_save_that_is_killed_is_completed_by_what_it_says(tmp_path):
    """At whatever step: the config is gone, and comes last."""
    for step in range(2, 9):
        save(folder := tmp_path / str(step))
        with pytest.MonkeyPatch.context() as patch:
            for name in ("_put_back", "_delete_empty"):
                patch.setattr(staging, name, lambda *given: None)
            patch.setattr(staging.shutil, "rmtree", lambda *given, **named: None)
            Moves(folder, patch, step, KeyboardInterrupt(), lasting=True)
            with pytest.raises(KeyboardInterrupt):
                exchange(folder)
        ((old,), (new,)) = (folder.glob(f"{step}{mark}*") for mark in (".before-", ".partial-"))
        assert (old / "config.json").read_text() == "before"
        with pytest.raises(
            ConfigurationError, match=rf"no config\.json.* killed .* in {new} to {folder} .*\. {old} holds .* before"
        ):
            require_config(folder)
        move_by_hand(new, folder)
        require_config(folder)
        assert texts(folder).items() >= dict.fromkeys(NOW, "now").items()
        assert step < 4 or {*texts(folder)} == {*NOW}  # shards without their index are not read


def test_the_last_save_is_completed_whatever_earlier_ones_left(tmp_path):
    """The tokens of saves come in any order."""
    for number, tokens in enumerate((("aaaa", "bbbb"), ("bbbb", "aaaa"))):
        folder = tmp_path / str(number) / "model"
        save(folder)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(staging.secrets, "token_hex", lambda count, token=tokens[0]: token)
            patch.setattr(staging.shutil, "rmtree", lambda *given, **named: None)  # a kill after all was moved
            exchange(folder)
        assert not (folder / f"model.before-{tokens[0]}" / "config.json").exists()
        (folder / f"model.before-{tokens[0]}" / "config.json").write_text("a user's")  # completed by hand
        os.utime(folder / f"model.before-{tokens[0]}", (1, 1))  # clocks of file systems are coarse
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(staging.secrets, "token_hex", lambda count, token=tokens[1]: token)
            for name in ("_put_back", "_delete_empty"):
                patch.setattr(staging, name, lambda *given: None)
            patch.setattr(staging.shutil, "rmtree", lambda *given, **named: None)
            Moves(folder, patch, 6, KeyboardInterrupt(), lasting=True)
            with pytest.raises(KeyboardInterrupt):
                exchange(folder)
        new, old = (folder / f"model{mark}{tokens[1]}" for mark in (".partial-", ".before-"))
        assert f"still in {new} to {folder}" in unfinished(folder)
        (new / "config.json").unlink()  # as where the save was not killed, but could not put files back
        assert f"{old} holds files of the earlier model: move" in unfinished(folder)
        with pytest.warns(HfEquiWarning, match=rf"aaaa, .*bbbb: left by an earlier save to {folder} .* delete what"):
            exchange(folder)


def test_a_folder_in_the_place_of_a_file_is_not_deleted(tmp_path):
    (tmp_path / "config.json").mkdir()
    (tmp_path / "config.json" / "mine").write_text("mine")
    with pytest.raises(ConfigurationError, match=r"config\.json is a folder, but a file belongs there\. No new files"):
        exchange(tmp_path)
    assert list_files(tmp_path) == ("config.json/mine",)
