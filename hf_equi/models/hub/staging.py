"""Writing a folder beside its place first, so that what was stopped or ran out of space leaves nothing half done."""

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
"""What marks a folder with new files, and one with those that they replace. A token follows, the same for both."""
_LONGEST = 120
"""Bytes of a name that goes on with these. Most file systems have room for 255 in all, those that encrypt for 143."""


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A new folder to write to, whose files are moved to `folder` if all goes well, and deleted if not.

    A folder that is not there yet comes into being at once, with all its files. In one that is there each file
    replaces the one of its name, a link too; all of them do, or none. A link where a folder belongs gives way to a
    folder: nothing is written through it. Weights of a save before, which would be loaded with or instead of the new
    ones, are deleted.

    Args:
        folder: Where the files are to be in the end.

    Raises:
        ConfigurationError: For what cannot be written, as where the disk is full.

    Warns:
        HfEquiWarning: If files that an earlier save replaced are still there.
    """
    where = folder if os.path.isdir(folder) else folder.absolute().parent
    token = secrets.token_hex(4)
    new, old = (where / f"{_stem(folder)}{mark}{token}" for mark in (_NEW, _OLD))
    try:
        folder.exists()  # fails for a name that is too long, before anything is written
        where.mkdir(parents=True, exist_ok=True)  # in the same file system, so that moving writes nothing
        new.mkdir()
        yield new
        stale = sorted(folder.glob(f"*{_OLD}*/"))
        if where != folder and not _takes_its_place(new, folder):  # as another process has made it meanwhile
            new, old = new.rename(folder / new.name), folder / old.name
            where = folder
        if where == folder:
            _exchange(new, folder, old)
    except Exception as error:
        # A file that tokenizers cannot write it tells of by a bare Exception.
        # The name of a folder may hold bytes that are not UTF-8, which they take no path with.
        if not isinstance(error, OSError | SafetensorError | UnicodeEncodeError) and type(error) is not Exception:
            raise
        state = "Nothing new is left there."
        if os.path.exists(old):
            state = f"Files that were there before could not be put back: they are in {old}."
        raise ConfigurationError(
            f"The model could not be written to {folder}: {error}. {state} Free some space, or name another folder."
        ) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
    _name_stale(folder, stale)


def _stem(folder: Path) -> str:
    """What the names of new folders begin with: the folder's own name, or a short one where that would be too long."""
    name = os.fsencode(folder.absolute().name)
    return os.fsdecode(name) if len(name) <= _LONGEST else f"model-{zlib.crc32(name):08x}"


def _takes_its_place(new: Path, folder: Path) -> bool:
    """Rename a new folder, unless there is one of this name that holds something."""
    try:
        new.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
        return False
    return True


def leftovers(folder: Path) -> list[Path]:
    """What runs that were killed have left of a folder, inside or beside it: files that were still to go there.

    Args:
        folder: The place that it was written for.
    """
    pattern = f"{glob.escape(_stem(folder) + _NEW)}*"
    places = [place for place in (folder, folder.absolute().parent) if os.path.isdir(place)]
    return sorted(path for place in places for path in place.glob(pattern))


def require_config(folder: Path) -> None:
    """Refuse a folder without a model.

    Args:
        folder: The folder.

    Raises:
        ConfigurationError: For one without a config. If a save was killed there, the message says how to complete it.
    """
    if not (folder / CONFIG_NAME).is_file():
        raise ConfigurationError(
            f"The folder {folder} holds no {CONFIG_NAME}, so no model that transformers can load.{unfinished(folder)}"
        )


def unfinished(folder: Path) -> str:
    """How to complete a save that was killed while it moved its files to a folder; nothing for any other folder.

    Args:
        folder: The folder, which may have been renamed since.
    """
    if (folder / CONFIG_NAME).is_file():  # which comes last
        return ""
    found = sorted(folder.glob(f"*{_OLD}*/"), key=_last_changed, reverse=True)  # the last save comes first
    for old in found:
        name, _, token = old.name.rpartition(_OLD)
        new = old.with_name(f"{name}{_NEW}{token}")
        if (new / CONFIG_NAME).is_file():
            return (
                f" A save to it was killed while it moved its files there. Move those that are still in {new} to "
                f"{folder}, and the model is complete. {old} holds the files that were there before: delete it once "
                "the new model loads."
            )
    for old in found:  # only now: one of these may be left by a save whose model was complete
        if (old / CONFIG_NAME).is_file():
            return (
                f" A save to it failed. {old} holds files of the model that was there before: move them to {folder}."
            )
    return ""


def _last_changed(folder: Path) -> tuple[int, str]:
    return folder.stat().st_mtime_ns, folder.name


def _name_stale(folder: Path, stale: list[Path]) -> None:
    """Warn of files that earlier saves replaced and that are still there. Some may be a user's, so none is deleted."""
    for old in (old for old in stale if not list_files(old)):
        shutil.rmtree(old, ignore_errors=True)
    if left := [str(old) for old in stale if old.is_dir()]:
        warnings.warn(
            f"{', '.join(left)}: left by an earlier save to {folder} that was killed or failed, with files that were "
            "there before it. The model is complete without them: delete what you do not need.",
            HfEquiWarning,
            stacklevel=5,
        )


def _exchange(new: Path, folder: Path, old: Path) -> None:
    """Replace old files by new ones. If that fails or is interrupted, put all of them back.

    The config goes first and comes last. So a folder that a kill leaves between the two does not load, and
    `unfinished` says how to complete it.

    Args:
        new: Has the new files.
        folder: Where they go.
        old: A new folder for the old ones. What could not be put back is left in it.
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
    with suppress(OSError):  # first: `unfinished` must not name a model that has been replaced
        (old / CONFIG_NAME).unlink()
    shutil.rmtree(old, ignore_errors=True)


def _in_the_way(folder: Path, names: list[str]) -> list[str]:
    """What new files replace: the config, weights of before, files and links of their names, links on the way.

    Weights with other names go before the rest: beside them, what is moved in by hand after a kill might not be read.

    Raises:
        IsADirectoryError: If a folder has the name of a new file.
    """
    found: dict[str, bool] = {}
    for name in reversed(names):
        parents = (parent.as_posix() for parent in reversed(Path(name).parents[:-1]))
        link = next((parent for parent in parents if (folder / parent).is_symlink()), None)
        place = folder / name
        if link is None and place.is_dir() and not place.is_symlink():
            raise IsADirectoryError(f"{place} is a folder, and a file belongs there")
        if link is not None or place.is_symlink() or place.exists():
            found[link or name] = True
    variants = {weight_variant(name) for name in names} - {None}
    files = (path.name for path in folder.iterdir() if path.is_symlink() or path.is_file())
    others = [name for name in files if weight_variant(name) in variants and name not in found]
    return sorted([*others, *found], key=lambda name: name != CONFIG_NAME)


def _move(place: Path, goal: Path, undo: ExitStack) -> None:
    """Move a file or a link, with the folders that it needs, and note how to undo it."""
    for parent in reversed(goal.parents):
        if not parent.exists():
            undo.callback(_delete_empty, parent)
            parent.mkdir()
    undo.callback(_put_back, goal, place)  # first, as a Ctrl-C may come between the two
    place.replace(goal)


def _put_back(goal: Path, place: Path) -> None:
    if goal.is_symlink() or goal.exists():
        goal.replace(place)


def _delete_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()
