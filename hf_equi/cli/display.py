"""What the commands print with: each text leaves through here, and nothing in it reaches a terminal as a command."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import Progress
from rich.segment import Segment
from rich.text import Text

from hf_equi.cli.options import Output
from hf_equi.display import shown
from hf_equi.errors import ConfigurationError
from hf_equi.fairness.work import columns

__all__ = [
    "MOVED",
    "cell",
    "check_output",
    "note",
    "progress",
    "refuse",
    "styled",
    "terminal",
    "write_csv",
    "write_json",
    "write_line",
    "write_text",
]

MOVED = "bold magenta"
"""The style of what a group moves."""


class _Terminal(Console):
    """A console that writes styles of its own and no control character of what it shows."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """What is printed, piece by piece."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=shown(segment.text, "\n"))


def terminal() -> Console | None:
    """The terminal on stdout, or `None` where stdout is a pipe or a file."""
    console = _Terminal()
    return console if console.is_terminal else None


def progress() -> Progress:
    """A bar on stderr, gone when all is done; nothing where stderr is not a terminal."""
    console = _Terminal(stderr=True)
    return Progress(
        *columns(), console=console, transient=True, redirect_stdout=False, disable=not console.is_terminal
    )


def write_line(*fields: str) -> None:
    """Write fields to stdout in one line, a tab between each two."""
    sys.stdout.write("\t".join(map(shown, fields)) + "\n")


def write_text(text: str) -> None:
    """Write a text of several lines to stdout."""
    sys.stdout.write(shown(text, "\n"))


def write_json(content: dict[str, Any]) -> None:
    """Write one JSON document to stdout; its strings are those of the content, however they are written."""
    text = json.dumps(content, ensure_ascii=False, indent=2)
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.translate({ord(letter): _in_json(letter, encoding) for letter in set(text)}) + "\n")


def write_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write one CSV table to stdout, as spreadsheets and pandas read it; a missing value is an empty cell."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow([shown(cell, "\n") if isinstance(cell, str) else cell for cell in row])


def check_output(output: Output) -> None:
    """Refuse to print two documents.

    Raises:
        ConfigurationError: For JSON and CSV at once.
    """
    if output.as_json and output.as_csv:
        raise ConfigurationError("--json and --csv exclude each other: choose one, and run again for the other.")


def _in_json(letter: str, encoding: str) -> str:
    """A letter, or the escape of JSON where a terminal would act on it or the encoding lacks it."""
    written = letter.encode(encoding, "ignore").decode(encoding)
    return letter if shown(letter, "\n") == letter == written else json.dumps(letter)[1:-1]


def note(text: str) -> None:
    """Say something on stderr, in one line."""
    _say("note", text)


def refuse(problem: str) -> None:
    """Say on stderr, in one line, what is wrong."""
    _say("error", problem)


def _say(what: str, text: str) -> None:
    line = re.sub(r"[ \t\r\n]+", " ", text).strip(" ")
    sys.stderr.write(f"hf-equi: {what}: {shown(line)}\n")


def cell(text: str, style: str = "") -> Text:
    """A text of some lines for a table, as wide as it is shown."""
    return Text(shown(text, "\n"), style)


def styled(pieces: Iterable[tuple[str, bool]]) -> Text:
    """The text in one line, with moved words highlighted."""
    return Text.assemble(*((shown(piece), MOVED if moved else "") for piece, moved in pieces))
