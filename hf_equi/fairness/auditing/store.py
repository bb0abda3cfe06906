"""Where the units of an audit go as they come: into a folder that a later run goes on with, or into memory."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accelerate.utils import gather_object

from hf_equi.errors import ConfigurationError

__all__ = ["SETTINGS", "FolderStore", "MemoryStore", "Rows", "Unit", "write_json"]

SETTINGS = "settings.json"
_FILES = "samples-*.jsonl"

Unit = tuple[str, str]
"""The name of a model and a template."""

Rows = list[dict[str, Any]]
"""The samples of a unit, a dictionary each."""


class MemoryStore:
    """Units in the memory of the processes that made them."""

    def __init__(self) -> None:
        self.units: list[tuple[Unit, Rows]] = []

    def read(self) -> dict[Unit, Rows]:
        """Nothing is there from before."""
        return {}

    def append(self, unit: Unit, rows: Rows) -> None:
        """Keep a unit."""
        self.units.append((unit, rows))

    def collect(self) -> dict[Unit, Rows]:
        """The units of all processes; each has to call this."""
        return dict(gather_object(self.units))


class FolderStore:
    """Units in files of a folder, one a process: `samples-<process>.jsonl`, one JSON line a unit.

    A line is on the disk before the next unit begins, so a run that is killed loses the unit it was at. Whoever reads
    leaves out a last line that was cut short.

    Args:
        folder: The folder, made if it is missing.
        settings: Plain JSON of all that the samples depend on. It is kept in `settings.json`.
        process: The number of this process.

    Raises:
        ConfigurationError: For a folder that cannot be written, that holds an audit with other settings, or that
            holds something else.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], process: int) -> None:
        self.folder = folder
        self.path = folder / f"samples-{process}.jsonl"
        self._mended = False
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._check_settings(dict(settings))
            if process == 0:
                write_json(folder / SETTINGS, settings)
        except OSError as error:
            raise ConfigurationError(
                f"The folder {folder} cannot be written ({error.strerror}): choose another one for the audit."
            ) from error

    def _check_settings(self, settings: dict[str, Any]) -> None:
        path = self.folder / SETTINGS
        if not path.exists():
            others = sorted(item.name for item in self.folder.iterdir() if item.name[0] != ".")
            # Another process of this audit may have written the settings in between.
            if others and not path.exists():
                raise ConfigurationError(
                    f"The folder {self.folder} holds {others[0]!r} and no audit: choose an empty or a new one."
                )
            return
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise ConfigurationError(f"{path} is damaged: delete the folder {self.folder}, or choose another one.")
        settings = json.loads(json.dumps(settings))
        differ = [key for key in dict.fromkeys([*settings, *found]) if settings.get(key) != found.get(key)]
        if differ:
            raise ConfigurationError(
                f"The folder {self.folder} holds an audit with other settings ({', '.join(differ)}), so it cannot be "
                "continued with these. Choose another folder, delete this one, or run with the settings in its "
                f"{SETTINGS}."
            )

    def read(self) -> dict[Unit, Rows]:
        """The units that are there, of whichever process.

        Raises:
            ConfigurationError: For a line that is damaged and is not the last one of its file.
        """
        units: dict[Unit, Rows] = {}
        for path in sorted(self.folder.glob(_FILES)):
            lines = path.read_bytes().split(b"\n")
            for number, line in enumerate(lines[:-1], 1):  # what follows the last end of line was cut short
                unit = _parse(line)
                if unit is not None:
                    units.setdefault(*unit)
                elif number < len(lines) - 1:
                    raise ConfigurationError(f"Line {number} of {path} is damaged: delete that line, and run again.")
        return units

    def append(self, unit: Unit, rows: Rows) -> None:
        """Write a unit to the disk."""
        line = json.dumps({"model": unit[0], "template": unit[1], "samples": rows}, ensure_ascii=False)
        with self.path.open("ab+") as file:
            if not self._mended:
                _cut_torn_line(file)
            file.write(line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._mended = True

    collect = read


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON document, so that whoever reads the file finds all of it or none."""
    # A name of its own: other processes take what begins with a dot for what it is.
    temporary = path.with_name(f".{path.name}")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _parse(line: bytes) -> tuple[Unit, Rows] | None:
    try:
        content = json.loads(line)
        return (content["model"], content["template"]), content["samples"]
    except (ValueError, KeyError, TypeError):
        return None


def _cut_torn_line(file: Any) -> None:
    """Take away what an earlier run wrote of a line before it was killed, at the end of the file."""
    file.seek(0)
    content = file.read()
    end = content.rfind(b"\n") + 1
    last = content[content.rfind(b"\n", 0, max(end - 1, 0)) + 1 : end]
    if last and _parse(last) is None:
        end -= len(last)
    if end < len(content):
        file.truncate(end)
    file.seek(0, os.SEEK_END)
