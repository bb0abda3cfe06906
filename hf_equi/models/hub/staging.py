"""Write a folder next to its place first, so that a run that stops or runs out of space leaves nothing half done."""

from __future__ import annotations

import glob
import os
import secrets
import shutil
import warnings
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from safetensors import SafetensorError
from transformers.utils import CONFIG_NAME

from hf_equi.errors import ConfigurationError, HfEquiWarning
from hf_equi.models.hub.contents import list_files, weight_variant

__all__ = ["leftovers", "require_config", "staged", "unfinished"]

_NEW, _OLD = ".partial-", ".before-"
"""Marks of a folder with new files, and of one with the files that they replace. The same token follows both."""
_LONGEST = 120
"""The bytes that follow a name with these marks. Most file systems allow 255 in all, encrypting ones 143."""


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """Yield a new folder to write to. Its files are moved to `folder` on success, and deleted otherwise.

    If `folder` does not exist yet, it appears at once with all its files. If it exists, each new file replaces the
    file or link of the same name; either all of them do, or none. A link in the place of a folder is replaced by a
    folder: nothing is written through it. Weights of an earlier save, which would be loaded with or instead of the new
    ones, are deleted.

    Args:
        folder: The final place of the files.

    Raises:
        ConfigurationError: If writing fails, for example because the disk is full.

    Warns:
        HfEquiWarning: If files that an earlier save replaced are still there.
    """
    where = folder if os.path.isdir(folder) else folder.absolute().parent
    token = secrets.token_hex(4)
    new, old = (where / f"{_stem(folder)}{mark}{token}" for mark in (_NEW, _OLD))
    try:
        folder.exists()  # fails for a name that is too long before anything is written
        where.mkdir(parents=True, exist_ok=True)  # in the same file system, so that moving copies nothing
        new.mkdir()
        yield new
        stale = sorted(folder.glob(f"*{_OLD}*/"))
        if where != folder and not _takes_its_place(new, folder):  # another process has created it meanwhile
            new, old = new.rename(folder / new.name), folder / old.name
            where = folder
        if where == folder:
            _exchange(new, folder, old)
    except Exception as error:
        # When tokenizers cannot write a file, it raises a bare Exception. The name of a folder may hold bytes that are
        # not UTF-8, and tokenizers accepts no such path.
        if not isinstance(error, OSError | SafetensorError | UnicodeEncodeError) and type(error) is not Exception:
            raise
        state = "No new files were left there."
        if os.path.exists(old):
            state = f"Files that were there before could not be put back: they are now in {old}."
        raise ConfigurationError(
            f"The model could not be written to {folder}: {error}. {state} Free some space, or name another folder."
        ) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
    _name_stale(folder, stale)


def _stem(folder: Path) -> str:
    """Return what names of new folders begin with: the folder's name, or a short name if that would be too long."""
    name = os.fsencode(folder.absolute().name)
    return os.fsdecode(name) if len(name) <= _LONGEST else f"model-{zlib.crc32(name):08x}"


def _takes_its_place(new: Path, folder: Path) -> bool:
    """Rename a new folder, unless a folder of this name exists and is not empty."""
    try:
        new.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
        return False
    return True


def leftovers(folder: Path) -> list[Path]:
    """Return what killed runs have left inside or beside a folder: files that were to go there.

    Args:
        folder: The folder that the runs wrote.
    """
    pattern = f"{glob.escape(_stem(folder) + _NEW)}*"
    places = [place for place in (folder, folder.absolute().parent) if os.path.isdir(place)]
    return sorted(path for place in places for path in place.glob(pattern))


def require_config(folder: Path) -> None:
    """Refuse a folder that holds no model.

    Args:
        folder: The folder.

    Raises:
        ConfigurationError: If there is no config. If a save was killed there, the message says how to complete it.
    """
    if not (folder / CONFIG_NAME).is_file():
        raise ConfigurationError(
            f"The folder {folder} holds no {CONFIG_NAME}, so it is not a model that transformers can "
            f"load.{unfinished(folder)}"
        )


def unfinished(folder: Path) -> str:
    """Say how to complete a save that was killed while it moved its files to a folder; return nothing otherwise.

    Args:
        folder: The folder, which may have been renamed since then.
    """
    if (folder / CONFIG_NAME).is_file():  # it is moved last
        return ""
    found = sorted(folder.glob(f"*{_OLD}*/"), key=_last_changed, reverse=True)  # the most recent save comes first
    for old in found:
        name, _, token = old.name.rpartition(_OLD)
        new = old.with_name(f"{name}{_NEW}{token}")
        if (new / CONFIG_NAME).is_file():
            return (
                f" A save to it was killed while it moved its files there. Move those that are still in {new} to "
                f"{folder} to complete the model. {old} holds the files that were there before: delete it once the "
                "new model loads."
            )
    for old in found:  # only now, because one of these may come from a save whose model was complete
        if (old / CONFIG_NAME).is_file():
            return f" A save to it failed. {old} holds files of the earlier model: move them to {folder}."
    return ""


def _last_changed(folder: Path) -> tuple[int, str]:
    return folder.stat().st_mtime_ns, folder.name


def _name_stale(folder: Path, stale: list[Path]) -> None:
    """Warn of files that earlier saves replaced and did not delete. Some may be the user's, so none are deleted."""
    for old in (old for old in stale if not list_files(old)):
        shutil.rmtree(old, ignore_errors=True)
    if left := [str(old) for old in stale if old.is_dir()]:
        warnings.warn(
            f"{', '.join(left)}: left by an earlier save to {folder} that was killed or failed. They hold files that "
            "were there before that save. The model is complete without them: delete what you do not need.",
            HfEquiWarning,
            stacklevel=5,
        )


def _exchange(new: Path, folder: Path, old: Path) -> None:
    """Replace old files by new ones. If that fails or is interrupted, put all old files back.

    The config is removed first and arrives last. So if the process is killed in between, the folder does not load, and
    `unfinished` says how to complete it.
    `unfinished` says how to complete it.

    Args:
        new: The folder with the new files.
        folder: The folder to move them to.
        old: A new folder for the old files. Files that could not be put back stay in it.
    """
    names = sorted(list_files(new), key=lambda name: name == CONFIG_NAME)
    old.mkdir()
    try:
        with ExitStack() as undo:
            for name in _in_the_way(folder, names):
                _move(folder / name, old / name, undo)
            for name in names:
                _move(new / name, folder / name, undo)
            undo.pop_all()
    except BaseException:
        _delete_empty(old)
        raise
    with suppress(OSError):  # first, because `unfinished` must not name a model that has been replaced
        (old / CONFIG_NAME).unlink()
    shutil.rmtree(old, ignore_errors=True)


def _in_the_way(folder: Path, names: list[str]) -> list[str]:
    """Return what new files replace: the config, old weights, files and links of their names, links on the way.

    Weights with other names come before the rest, because files moved in by hand after a kill might not be read beside
    them.

    Raises:
        IsADirectoryError: If a folder has the name of a new file.
    """
    found: dict[str, bool] = {}
    for name in reversed(names):
        parents = (parent.as_posix() for parent in reversed(Path(name).parents[:-1]))
        link = next((parent for parent in parents if (folder / parent).is_symlink()), None)
        place = folder / name
        if link is None and place.is_dir() and not place.is_symlink():
            raise IsADirectoryError(f"{place} is a folder, but a file belongs there")
        if link is not None or place.is_symlink() or place.exists():
            found[link or name] = True
    variants = {weight_variant(name) for name in names} - {None}
    files = (path.name for path in folder.iterdir() if path.is_symlink() or path.is_file())
    others = [name for name in files if weight_variant(name) in variants and name not in found]
    return sorted([*others, *found], key=lambda name: name != CONFIG_NAME)


def _move(place: Path, goal: Path, undo: ExitStack) -> None:
    """Move a file or a link, create the folders that it needs, and note how to undo it."""
    for parent in reversed(goal.parents):
        if not parent.exists():
            undo.callback(_delete_empty, parent)
            parent.mkdir()
    undo.callback(_put_back, goal, place)  # first, because a Ctrl-C may come between the two
    place.replace(goal)


def _put_back(goal: Path, place: Path) -> None:
    if goal.is_symlink() or goal.exists():
        goal.replace(place)


def _delete_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()
