"""The amount of work, an estimate of its time from a measurement, and the bar that shows both."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rich.progress import BarColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

__all__ = ["Estimate", "Work", "columns", "continued", "rows_of_a_text", "time_in_words"]

_LONG = 30.0  # seconds; shorter work is not worth a line
_MINUTE, _HOUR = 60, 3600


@dataclass(frozen=True)
class Work:
    """The amount of work.

    Args:
        texts: The number of texts to draw.
        rows: The number of rows of the base model that they take: a symmetrised model reads each text in several
            forms.

    Example:
        >>> print(Work(20, 20) + Work(20, 40))
        40 texts in 60 rows of the base model
    """

    texts: int = 0
    rows: int = 0

    def __add__(self, other: Work) -> Work:
        return Work(self.texts + other.texts, self.rows + other.rows)

    def __str__(self) -> str:
        return f"{self.texts:,} texts in {self.rows:,} rows of the base model"


class Estimate:
    """Says once how long the work will take, judged by its first batch.

    Args:
        work: The whole work.
        say: Called with the line, but not for work that takes less than half a minute.
        clock: Returns the time in seconds.
    """

    def __init__(self, work: Work, say: Callable[[str], None], clock: Callable[[], float] = time.perf_counter) -> None:
        self._work, self._say, self._clock = work, say, clock
        self._start, self._said = clock(), False

    def measure(self, rows: float) -> None:
        """Take the time so far as that of the first batch, unless this was done before.

        Args:
            rows: The number of rows that were done.
        """
        if self._said or not rows:
            return
        self._said = True
        seconds = (self._clock() - self._start) * self._work.rows / rows
        if seconds >= _LONG:
            self._say(
                f"{self._work}: {time_in_words(seconds)} in all, if the rest is as fast as the first {rows:,.0f} rows "
                "were just now"
            )


def continued(before: int, whole: int) -> str:
    """Say how many of the texts an earlier run drew.

    Example:
        >>> continued(800, 2000), continued(2000, 2000)[:33]
        ('800 of 2,000 texts were drawn before; the audit continues from there', 'all 2,000 texts were drawn before')
    """
    if before == whole:
        return f"all {whole:,} texts were drawn before; figures and report are made again"
    return f"{before:,} of {whole:,} texts were drawn before; the audit continues from there"


def rows_of_a_text(lm: Any) -> int:
    """Return the most rows of its base that an `EquiLM` reads for a text."""
    return 1 if lm.method.selects_one else int(lm.group.order)


def time_in_words(seconds: float) -> str:
    """Return an estimated time in words.

    Example:
        >>> time_in_words(40), time_in_words(400), time_in_words(8000)
        ('about 40 s', 'about 7 min', 'about 2 h 13 min')
    """
    if seconds < _MINUTE:
        return f"about {seconds:.0f} s"
    minutes = round(seconds / _MINUTE)
    hours, rest = divmod(minutes, _HOUR // _MINUTE)
    return f"about {hours} h {rest} min" if hours else f"about {minutes} min"


def columns() -> tuple[ProgressColumn, ...]:
    """Return the columns of a bar: the progress, the rows done, and the time left.

    A task that counts something else names it in its field `unit`.
    """
    return (
        TextColumn("{task.description}"),
        BarColumn(),
        _Rows(),
        TimeRemainingColumn(compact=True),
        TextColumn("left"),
    )


class _Rows(ProgressColumn):
    """The number of rows done, or of what else the task counts."""

    def render(self, task: Task) -> Text:
        if task.total is None:
            return Text("")
        return Text(
            f"{task.completed:,.0f} of {task.total:,.0f} {task.fields.get('unit', 'rows')}", style="progress.download"
        )
