"""Files that appear whole: each is written beside its place and then moved there."""

from __future__ import annotations

import errno
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hf_equi.errors import ConfigurationError

__all__ = ["beside", "create_json", "remedy", "write_bytes", "write_json"]


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """Yield the path of a new file, which replaces `path` once it is written and on the disk.

    A reader of `path` finds either the whole new file or the old one. If `path` is a link, it is replaced, and its
    target stays as it is. If anything fails, the new file is removed.

    Args:
        path: The file to write.
    """
    temporary = _temporary(path)
    try:
        yield temporary
        _synchronise(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole."""
    with beside(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON document whole.

    Raises:
        ConfigurationError: For a text in it that UTF-8 cannot encode.
    """
    write_bytes(path, _encoded(path, content))


def create_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a whole JSON document if the file does not exist yet. If two try at once, only one writes it.

    Raises:
        ConfigurationError: As in `write_json`.
    """
    temporary = _temporary(path)
    try:
        temporary.write_bytes(_encoded(path, content))
        _synchronise(temporary)
        _name_once(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def remedy(error: OSError) -> str:
    """Return what to do about a file that could not be written."""
    return (
        "make room"
        if error.errno in {errno.ENOSPC, getattr(errno, "EDQUOT", None), None}
        else "make the folder writable"
    )


def _name_once(temporary: Path, path: Path) -> None:
    """Give a complete file its name, unless another file has it."""
    try:
        os.link(temporary, path)
    except OSError:
        if not path.exists():
            temporary.replace(path)  # a file system without hard links


def _temporary(path: Path) -> Path:
    """Return a name that no other process uses. It begins with a dot, so it is not taken for a result."""
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")


def _synchronise(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)  # Windows does not synchronise a read-only file
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _encoded(path: Path, content: Mapping[str, Any]) -> bytes:
    text = json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    try:
        return text.encode()
    except UnicodeEncodeError as error:  # the name of a file may hold any bytes
        line = text[: error.start].rpartition("\n")[2] + text[error.start :].partition("\n")[0]
        raise ConfigurationError(
            f"{path.name} cannot hold {line.strip(' ,')!r}, which is not UTF-8 text: give it another name."
        ) from error
