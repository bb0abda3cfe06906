"""Write the section of a benchmark on the page: its table, how it was measured, and on which machine."""

from __future__ import annotations

import os
import platform
import re
import statistics
from collections.abc import Sequence
from pathlib import Path

import torch
import transformers
from timing import Result

HEADER = ("claim", "ours", "the other", "ratio", "bound", "spread", "rounds", "verdict")

HOW = """\
Every row is a ratio from one run. Its two sides took turns (ours, the other, ours, the other, …) after a round that is
not counted. *ours* and *the other* are medians, *ratio* is their quotient, and *spread* is the smallest and the
largest ratio of a single round. Bare times depend on the machine. Only the ratios are claimed.
"""


def table(results: Sequence[Result]) -> str:
    """Return the results as a Markdown table."""
    lines = [HEADER, tuple("---" for _ in HEADER), *map(_cells, results)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def section(title: str, description: str, command: str, seed: int, results: Sequence[Result]) -> str:
    """Return a section of the page, in Markdown."""
    parts = (
        f"## {title}",
        description.strip(),
        "Reproduce with",
        f"    {command}",
        table(results),
        "Measured with",
        "\n".join(f"- {line}" for line in (f"seed {seed}", *_machine())),
    )
    return "\n\n".join(parts) + "\n"


def place(page: str, written: str, rows_only: bool = False) -> str:
    """Put a section into a page, in place of the section with that title or at the end.

    Args:
        page: The text of the page, which may be empty.
        written: The section.
        rows_only: Whether only its rows are replaced, after a run of some of the claims.
    """
    title = written.partition("\n")[0]
    head, *sections = re.split(r"^(?=## )", page or f"# Benchmarks\n\n{HOW}", flags=re.MULTILINE)
    titles = [text.partition("\n")[0] for text in sections]
    if title not in titles:
        sections.append(written)
    else:
        index = titles.index(title)
        sections[index] = _renew(sections[index], written) if rows_only else written
    return "\n".join(text.rstrip() + "\n" for text in (head, *sections))


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
    claim = result.claim
    low, high = result.spread
    sign, times = ("≥", "×") if claim.speedup else ("≤", "")
    bound = "–" if claim.bound is None else f"{sign} {claim.bound:.2f}{times}"
    return (
        claim.text,
        f"{_figure(statistics.median(result.ours))} {claim.unit}",
        f"{_figure(statistics.median(result.other))} {claim.unit}",
        f"{result.ratio:.2f}{times}",
        bound,
        f"{low:.2f}–{high:.2f}",
        str(len(result.ours)),
        {True: "met", False: "missed", None: "–"}[result.met],
    )


def _figure(value: float) -> str:
    return f"{value:.3f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _machine() -> tuple[str, ...]:
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return (
        f"Python {platform.python_version()}, torch {torch.__version__}, transformers {transformers.__version__}",
        f"{_processor()}, cores: {os.cpu_count()}, threads: {torch.get_num_threads()}, {platform.system()}",
        f"load average of the last minute, including the benchmark: {load}",
    )


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
