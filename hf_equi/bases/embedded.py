"""The small models that come with the library, as folders on disk."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

__all__ = ["embedded_folder"]


def embedded_folder(name: str) -> Path:
    """Return the folder of an embedded model.

    If the library is imported from an archive, the model is unpacked to a temporary folder, once per process.

    Args:
        name: `"demo_lm"` or `"demo_regard"`.

    Example:
        >>> sorted(path.suffix for path in embedded_folder("demo_lm").glob("model.*"))
        ['.safetensors']
    """
    folder = _asset(name)
    return folder if isinstance(folder, Path) else _unpack(name)


@cache
def _unpack(name: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="hf_equi-"))
    atexit.register(_remove, folder, os.getpid())
    _copy(_asset(name), folder)
    return folder


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # not a forked process, which may end earlier
        shutil.rmtree(folder, ignore_errors=True)


def _asset(name: str) -> Traversable:
    return resources.files("hf_equi").joinpath("assets", name)


def _copy(source: Traversable, target: Path) -> None:
    for entry in source.iterdir():
        if entry.is_dir():
            (target / entry.name).mkdir()
            _copy(entry, target / entry.name)
        else:
            (target / entry.name).write_bytes(entry.read_bytes())
