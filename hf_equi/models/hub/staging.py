"""Writing a folder beside its place first, so that what was stopped or ran out of space leaves nothing half done."""

from __future__ import annotations

import glob
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from hf_equi.errors import ConfigurationError
from hf_equi.models.hub.contents import is_weights, list_files

__all__ = ["leftovers", "staged"]

_MARK = ".partial-"


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A new folder to write to, whose files are moved to `folder` if all goes well, and deleted if not.

    A folder that is not there yet comes into being at once, with all its files. In one that is there each file
    replaces the one of its name, a link too. A link where a folder belongs gives way to a folder: nothing is written
    through it. Weights of a save before, which would be loaded with or instead of the new ones, are deleted.

    Args:
        folder: Where the files are to be in the end.

    Raises:
        ConfigurationError: For what cannot be written, as where the disk is full.
    """
    where = folder if folder.is_dir() else folder.absolute().parent
    new = where / f"{folder.absolute().name}{_MARK}{secrets.token_hex(4)}"
    try:
        where.mkdir(parents=True, exist_ok=True)  # in the same file system, so that moving writes nothing
        new.mkdir()
        yield new
        if where == folder:
            _move(new, folder)
        else:
            new.rename(folder)
    except Exception as error:
        # A file that tokenizers cannot write it tells of by a bare Exception.
        # The name of a folder may hold bytes that are not UTF-8, which they take no path with.
        if not isinstance(error, OSError | SafetensorError | UnicodeEncodeError) and type(error) is not Exception:
            raise
        raise ConfigurationError(
            f"The model could not be written to {folder}: {error}. Nothing new is left there. Free some space, or "
            "name another folder."
        ) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)


def leftovers(folder: Path) -> list[Path]:
    """What runs that were killed have left of a folder, inside or beside it.

    Args:
        folder: The place that it was written for.
    """
    pattern = f"{glob.escape(folder.absolute().name + _MARK)}*"
    places = [place for place in (folder, folder.absolute().parent) if place.is_dir()]
    return sorted(path for place in places for path in place.glob(pattern))


def _move(new: Path, folder: Path) -> None:
    names = list_files(new)
    for name in names:
        for parent in reversed(Path(name).parents[:-1]):
            if (folder / parent).is_symlink():
                (folder / parent).unlink()
            (folder / parent).mkdir(exist_ok=True)
        (new / name).replace(folder / name)
    if any(map(is_weights, names)):
        for path in folder.iterdir():
            if is_weights(path.name) and path.name not in names:
                path.unlink()
