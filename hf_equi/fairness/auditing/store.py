"""The storage for finished units of an audit: a folder from which a later run continues, or memory."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from io import FileIO
from pathlib import Path
from typing import Any, cast

from accelerate.utils import gather_object

from hf_equi.errors import ConfigurationError
from hf_equi.fairness.files import create_json, remedy

try:
    from fcntl import LOCK_EX, LOCK_NB, flock
except ImportError:  # not a POSIX system
    flock = None  # type: ignore[assignment]

__all__ = ["SETTINGS", "FolderStore", "MemoryStore", "Rows", "Took", "Unit"]

SETTINGS = "settings.json"
_FILES = "samples-*.jsonl"
_CHECKSUM = "checksum"
_CHANGED = "it has changed since this audit wrote it"

Unit = tuple[str, str]
"""The name of a model, and of its input: a template, or some pictures."""

Rows = list[dict[str, Any]]
"""The samples of a unit, one dictionary for each."""

Took = dict[str, Any]
"""The `seconds` that drawing a unit took, and the `date`; empty if an earlier release drew it."""


class MemoryStore:
    """Units in the memory of the processes that made them."""

    def __init__(self) -> None:
        self.units: list[tuple[Unit, Rows]] = []
        self.took: dict[Unit, Took] = {}

    def read(self) -> dict[Unit, Rows]:
        """Return nothing: there are no units from before."""
        return {}

    def writing(self) -> AbstractContextManager[None]:
        """Do nothing: no other process writes here."""
        return nullcontext()

    def append(self, unit: Unit, rows: Rows, took: Took | None = None) -> None:
        """Keep a unit."""
        self.units.append((unit, rows))
        self.took[unit] = took or {}

    def collect(self) -> dict[Unit, Rows]:
        """Return the units of all processes. Each process must call this; `took` then covers all units."""
        self.took = dict(gather_object([*self.took.items()]))
        return dict(gather_object(self.units))


class FolderStore:
    """Units in files of a folder: each process writes `samples-<process>.jsonl`, one JSON line per unit.

    A line is on the disk before the next unit begins, so a run that is killed loses only the current unit. A reader
    skips a truncated last line, and refuses any other line that is not a valid unit. Each line has a checksum of
    itself and of the settings, so that no figure in it can change and no line of another audit can take its place.

    Args:
        folder: The folder; it is created if it is missing.
        settings: Plain JSON of everything that the samples depend on. It is kept in `settings.json`.
        process: The number of this process.
        fault: Returns what is wrong with a unit that was read, or an empty text: see `ExpectedUnits.fault`.

    Raises:
        ConfigurationError: For a folder that cannot be written, that holds an audit with other settings, or that
            holds something else; for samples that are not in a plain file.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, Any], process: int, fault: Callable[[object], str]
    ) -> None:
        self.folder, self.process, self._fault = folder, process, fault
        self.path = folder / f"samples-{process}.jsonl"
        self.settings: dict[str, Any] = json.loads(json.dumps(settings))
        self._key = _digest(self.settings).encode()
        self.took: dict[Unit, Took] = {}
        self._file: FileIO | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._check_settings()
            self._keep_settings()
            self._check_settings()  # they may be those of another audit that began at the same time
            self._files()
        except OSError as error:
            raise ConfigurationError(
                f"The folder {folder} cannot be written ({error.strerror}): choose another folder for the audit."
            ) from error

    def _check_settings(self) -> None:
        path = self.folder / SETTINGS
        if not path.exists():
            others = sorted(item.name for item in self.folder.iterdir() if item.name[0] != ".")
            # Another process of this audit may have written the settings in between.
            if others and not path.exists() and not self._knows_samples():
                raise ConfigurationError(
                    f"The folder {self.folder} holds {others[0]!r} but no {SETTINGS} of an audit: choose an empty or "
                    "a new folder."
                )
            return
        try:
            found = json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise ConfigurationError(
                f"{path} is damaged: delete it and run again, or choose another folder. Samples of an audit with "
                "these settings are kept."
            )
        differ = [key for key in dict.fromkeys([*self.settings, *found]) if self.settings.get(key) != found.get(key)]
        if differ:
            raise ConfigurationError(
                f"The folder {self.folder} holds an audit with other settings ({', '.join(differ)}), so it cannot be "
                "continued with these. Choose another folder, delete this one, or run with the settings in its "
                f"{SETTINGS}."
            )

    def _knows_samples(self) -> bool:
        """Whether the folder has samples, and all of them are from an audit with these settings."""
        try:
            return bool(self.read())
        except ConfigurationError:
            return False

    def _keep_settings(self) -> None:
        """Write the settings if they are missing."""
        if self.process == 0 and not (self.folder / SETTINGS).exists():
            create_json(self.folder / SETTINGS, self.settings)

    def _files(self) -> list[Path]:
        """Return the files of samples.

        Raises:
            ConfigurationError: If one is a link, or anything else but a plain file.
        """
        paths = sorted(self.folder.glob(_FILES))
        for path in paths:
            _check_plain(path, path.lstat())
        return paths

    def read(self) -> dict[Unit, Rows]:
        """Return the units that exist, from any process; `took` then says how long each took.

        Raises:
            ConfigurationError: For a damaged line, except a truncated last one; for a file that cannot be read.
        """
        units: dict[Unit, Rows] = {}
        for path in self._files():
            try:
                lines = path.read_bytes().split(b"\n")
            except OSError as error:
                raise ConfigurationError(f"{path} cannot be read ({error.strerror}).") from error
            for number, line in enumerate(lines[:-1], 1):  # the part after the last line end is truncated
                unit = _parse(line)
                if unit is None and number == len(lines) - 1:
                    continue
                written = unit.pop(_CHECKSUM, None) if isinstance(unit, dict) else None
                if fault := self._fault(unit) or ("" if written == _digest(unit, self._key) else _CHANGED):
                    raise ConfigurationError(
                        f"Line {number} of {path} is damaged ({fault}): delete that line, and run again to redraw its "
                        "samples."
                    )
                key = unit["model"], unit["template"]
                units.setdefault(key, unit["samples"])
                self.took.setdefault(key, unit.get("took") or {})
        return units

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Keep the file of this process to itself while units are appended.

        Raises:
            ConfigurationError: For a file that another run writes, a link in its place, or one that cannot be opened.
        """
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        except OSError as error:
            if self.path.is_symlink():
                _check_plain(self.path, self.path.lstat())
            raise ConfigurationError(self._unwritable(error)) from error
        with FileIO(descriptor, "ab+") as file:
            try:
                _check_plain(self.path, os.fstat(descriptor))
                _lock(self.path, descriptor)
                _cut_torn_line(file)
                self._file = file
                yield
            finally:
                self._file = None

    def append(self, unit: Unit, rows: Rows, took: Took | None = None) -> None:
        """Write a unit to the disk, with the time and date of drawing it.

        Raises:
            ConfigurationError: If it cannot be written, or the file was deleted since it was opened.
        """
        content: dict[str, Any] = {"model": unit[0], "template": unit[1], "samples": rows}
        content |= {"took": took} if took else {}
        content[_CHECKSUM] = _digest(content, self._key)
        line = json.dumps(content, ensure_ascii=False).encode() + b"\n"
        with self.writing() if self._file is None else nullcontext():
            try:
                left = self._write(line)
                self._keep_settings()
            except OSError as error:
                raise ConfigurationError(self._unwritable(error)) from error
        if not left:
            raise ConfigurationError(f"{self.path} was deleted while the audit ran: run it again.")

    def _write(self, line: bytes) -> int:
        """Write a line to the disk, and return how many names the file still has in its folder."""
        file = cast(FileIO, self._file)
        rest = memoryview(line)
        while rest:
            rest = rest[file.write(rest) :]
        os.fsync(file.fileno())
        return os.fstat(file.fileno()).st_nlink

    def collect(self) -> dict[Unit, Rows]:
        """Return the units of all processes, once all have written them."""
        try:
            self._keep_settings()
        except OSError as error:
            raise ConfigurationError(self._unwritable(error)) from error
        return self.read()

    def _unwritable(self, error: OSError) -> str:
        return (
            f"{self.path} cannot be written ({error.strerror}). Finished work is kept: {remedy(error)}, and run the "
            "same command again."
        )


def _check_plain(path: Path, about: os.stat_result) -> None:
    if not stat.S_ISREG(about.st_mode):
        what = "a link" if stat.S_ISLNK(about.st_mode) else "not a file"
        raise ConfigurationError(
            f"{path} is {what}, but an audit keeps its samples in plain files of its folder: move it away, or "
            "choose another folder."
        )


def _lock(path: Path, descriptor: int) -> None:
    """Refuse to write while another run does. The lock ends with the process, however it ends."""
    if flock is None:
        return
    try:
        flock(descriptor, LOCK_EX | LOCK_NB)
    except BlockingIOError as error:
        raise ConfigurationError(
            f"Another run of this audit is writing {path}: wait for it, or choose another folder."
        ) from error
    except OSError:  # some file systems have no locks
        return


def _digest(content: Any, key: bytes = b"") -> str:
    """Return a checksum of plain JSON that does not depend on spaces or the order of keys."""
    text = json.dumps(content, ensure_ascii=False, sort_keys=True)
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16, key=key).hexdigest()


def _parse(line: bytes) -> Any:
    """Return the content of a line, or `None` if it is not JSON."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _cut_torn_line(file: FileIO) -> None:
    """Remove the incomplete last line that an earlier run left when it was killed."""
    file.seek(0)
    content = file.readall()
    end = content.rfind(b"\n") + 1
    last = content[content.rfind(b"\n", 0, max(end - 1, 0)) + 1 : end]
    if last and _parse(last) is None:
        end -= len(last)
    if end < len(content):
        file.truncate(end)
    file.seek(0, os.SEEK_END)
