"""Write the section of a benchmark on the page: its table, how it was measured, and on which machine."""

from __future__ import annotations

import os
import re
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from timing import CONFIDENCE, LEAST_ROUNDS, Result

sys.path.append(str(Path(__file__).parents[1] / "examples"))
from machine import Clock, describe, machine

HEADER = ("claim", "ours", "compared with", "ratio", "bound", "interval", "rounds", "verdict")

HOW = f"""\
Every row compares the library with ways to do the same without it, or with a simpler setting, in one run. All sides
take turns (ours, the others, ours, the others, …) after a round that is not counted. *ours* is a median over the
rounds. *compared with* shows the best of the other ways: the one with the smallest median. *ratio* is the median of
the ratios of single rounds. *interval* holds the true median with a probability of at least {CONFIDENCE:.0%},
whatever the distribution: of nine rounds, it leaves out the smallest and the largest ratio. A bound is *met* if the
whole interval keeps it, and *missed* if none of it does. Otherwise the verdict is *open*. Fewer than
{LEAST_ROUNDS} rounds are too few for that probability, so they get no verdict, and the interval spans all ratios. All
rows of a section have the same number of rounds.

Times are CPU times of the process, with one thread, so that other processes of a busy machine hardly count. On an idle
machine, that is also the time that one waits. Bare times depend on the machine. Only the ratios are claimed.
"""


def table(results: Sequence[Result]) -> str:
    """Return the results as a Markdown table."""
    lines = [HEADER, tuple("---" for _ in HEADER), *map(_cells, results)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def section(
    title: str, description: str, command: str, results: Sequence[Result], findings: str, measured: str
) -> str:
    """Return a section of the page, in Markdown.

    Args:
        title: Its title.
        description: What is measured.
        command: The command line.
        results: The rows of the table.
        findings: What follows the table, if anything does.
        measured: On what it was measured, as `measured_with` returns it.
    """
    parts = (
        f"## {title}",
        description.strip(),
        "Reproduce with",
        f"    {command}",
        table(results),
        findings,
        measured,
    )
    return "\n\n".join(filter(None, parts)) + "\n"


def measured_with(seed: int, clock: Clock) -> str:
    """Return the lines about seed, machine and time of a section; call it behind the measurements."""
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    run = {"machine": machine(), "seconds": clock.seconds}
    lines = (_seed(seed), _on(run), f"{_cores()} load average of the last minute, including the benchmark: {load}")
    return "Measured with\n\n" + "\n".join(lines)


def differences(page: str, title: str, rounds: int, seed: int) -> list[str]:
    """Return in what the section of a page differs from a run on this machine: `"machine"`, `"rounds"`, `"seed"`.

    Without the section, there are none.
    """
    found = next((text for text in _sections(page) if text.startswith(f"## {title}\n")), None)
    if found is None:
        return []
    lines = found.splitlines()
    rows = [line.split(" | ") for line in lines if line.startswith("| ")][2:]
    same = {
        "machine": all(
            any(line.startswith(start) for line in lines) for start in (_on({"machine": machine()}), _cores())
        ),
        "rounds": all(cells[HEADER.index("rounds")] == str(rounds) for cells in rows),
        "seed": _seed(seed) in lines,
    }
    return [name for name, equal in same.items() if not equal]


def _seed(seed: int) -> str:
    return f"- seed {seed}"


def _on(run: Mapping[str, Any]) -> str:
    return f"- {describe([run])}"


def _cores() -> str:
    return f"- cores: {os.cpu_count()},"


def _sections(page: str) -> list[str]:
    """Return the sections of a page."""
    return re.split(r"^(?=## )", page, flags=re.MULTILINE)[1:]


def place(page: str, written: str, rows_only: bool = False) -> str:
    """Put a section into a page, in place of the section with that title or at the end.

    Args:
        page: The text of the page, which may be empty.
        written: The section.
        rows_only: Whether only its rows are replaced, after a run of some of the claims.
    """
    title = written.partition("\n")[0]
    sections = _sections(page)
    titles = [text.partition("\n")[0] for text in sections]
    if title not in titles:
        sections.append(written)
    else:
        index = titles.index(title)
        sections[index] = _renew(sections[index], written) if rows_only else written
    return "\n".join(text.rstrip() + "\n" for text in (f"# Benchmarks\n\n{HOW}", *sections))


def _renew(section: str, written: str) -> str:
    """Put the rows and the command of one section into another, which keeps everything else."""
    rows = {line.split(" | ")[0]: line for line in written.splitlines() if line.startswith("| ")}
    lines = [rows.pop(line.split(" | ")[0], line) for line in section.splitlines()]
    last = max(place for place, line in enumerate(lines) if line.startswith("| "))
    lines[last + 1 : last + 1] = rows.values()
    commands = [place for place, line in enumerate(lines) if line.startswith("    python ")]
    added = [line for line in written.splitlines() if line.startswith("    python ") and line not in lines]
    lines[commands[-1] + 1 : commands[-1] + 1] = added
    return "\n".join(lines)


def _cells(result: Result) -> tuple[str, ...]:
    claim, best = result.claim, result.best
    sign, times = ("≥", "×") if claim.speedup else ("≤", "")
    bound = "–" if claim.bound is None else f"{sign} {claim.bound:.2f}{times}"
    return (
        claim.text,
        f"{_figure(statistics.median(result.ours))} {claim.unit}",
        f"{best}: {_figure(statistics.median(result.others[best]))} {claim.unit}",
        f"{result.ratio:.2f}{times}",
        bound,
        _interval(*result.interval, claim.bound),
        str(len(result.ours)),
        result.verdict or "–",
    )


def _interval(low: float, high: float, bound: float | None) -> str:
    """Format an interval. If rounding would move an end onto the bound, the ends get a third digit."""
    hidden = bound is not None and any(end != bound and f"{end:.2f}" == f"{bound:.2f}" for end in (low, high))
    digits = 3 if hidden else 2
    return f"{low:.{digits}f}–{high:.{digits}f}"


def _figure(value: float) -> str:
    return f"{value:.3f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"
