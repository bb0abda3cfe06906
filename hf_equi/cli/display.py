"""The output of the commands. Every text is printed through this module, which keeps it from acting on a terminal."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
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
"""The style of words that a group moves."""


class _Terminal(Console):
    """A console that writes its own styles, and no control characters of the text that it shows."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the output, piece by piece."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=shown(segment.text, "\n"))


def terminal() -> Console | None:
    """Return the terminal on stdout, or `None` if stdout is a pipe or a file."""
    console = _Terminal()
    return console if console.is_terminal else None


def progress() -> Progress:
    """Return a progress bar on stderr that vanishes at the end; it shows nothing if stderr is not a terminal."""
    console = _Terminal(stderr=True)
    return Progress(
        *columns(), console=console, transient=True, redirect_stdout=False, disable=not console.is_terminal
    )


def write_line(*fields: str) -> None:
    """Write fields to stdout in one line, separated by tabs."""
    sys.stdout.write("\t".join(map(shown, fields)) + "\n")


def write_text(text: str) -> None:
    """Write a text of several lines to stdout."""
    sys.stdout.write(shown(text, "\n"))


def write_json(content: dict[str, Any]) -> None:
    """Write one JSON document to stdout. Its strings are those of the content, however they are escaped."""
    text = json.dumps(content, ensure_ascii=False, indent=2)
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.translate({ord(letter): _in_json(letter, encoding) for letter in set(text)}) + "\n")


def write_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write one CSV table to stdout that spreadsheets and pandas can read. A missing value is an empty cell."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow([shown(cell, "\n") if isinstance(cell, str) else cell for cell in row])


def check_output(output: Output) -> None:
    """Refuse to print two documents.

    Raises:
        ConfigurationError: If JSON and CSV are both asked for.
    """
    if output.as_json and output.as_csv:
        raise ConfigurationError("--json and --csv cannot be used together: choose one, and run again for the other.")


def _in_json(letter: str, encoding: str) -> str:
    """Return a character, or its JSON escape if a terminal would act on it or the encoding lacks it."""
    written = letter.encode(encoding, "ignore").decode(encoding)
    return letter if shown(letter, "\n") == letter == written else json.dumps(letter)[1:-1]


def note(text: str) -> None:
    """Write a note to stderr, in one line."""
    _say("note", text)


def refuse(problem: str) -> None:
    """Write to stderr, in one line, what is wrong."""
    _say("error", problem)


def _say(what: str, text: str) -> None:
    with suppress(BrokenPipeError):  # the main function looks for it
        sys.stdout.flush()  # so that a note about what was printed comes after it, in a pipe too
    line = re.sub(r"[ \t\r\n]+", " ", text).strip(" ")
    sys.stderr.write(f"hf-equi: {what}: {shown(line)}\n")


def cell(text: str, style: str = "") -> Text:
    """Return a text of one or more lines as a table cell that keeps its displayed width."""
    return Text(shown(text, "\n"), style)


def styled(pieces: Iterable[tuple[str, bool]]) -> Text:
    """Return the text in one line, with moved words highlighted."""
    return Text.assemble(*((shown(piece), MOVED if moved else "") for piece, moved in pieces))
