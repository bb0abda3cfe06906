"""The published figures of SCAN, and how ours compare."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

FIGURES = Path(__file__).with_name("scan_published.csv")
STAGES = {"zero-shot": "zero_shot", "finetuned": "finetune"}
METHODS = {"Equi": "equitune, independent", "Equizero": "equizero"}
"""What the names of the paper's tables begin with, and the method that it is here."""
SHORT = {"validation": "val", "test": "test"}
Found = dict[str, dict[str, Any]]
"""The results by run (`"split/cell/seed0"`) and then by stage."""


@dataclass(frozen=True)
class Published:
    """A row of the paper's tables.

    Args:
        table: The number of the table.
        split: `"add_jump"` or `"around_right"`.
        cell: `"lstm"`, `"gru"` or `"rnn"`.
        model: Its name in the paper.
        stage: The stage of ours that measures it.
        method: The method of ours, or None for a network alone.
        figures: Mean and deviation over three seeds, by part of the data.
    """

    table: str
    split: str
    cell: str
    model: str
    stage: str
    method: str | None
    figures: dict[str, tuple[float, float]]


def read_published() -> list[Published]:
    """Read all rows."""
    lines = [line for line in FIGURES.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return [_row(fields) for fields in csv.DictReader(lines)]


def _row(fields: dict[str, str]) -> Published:
    name = next(name for name in ("LSTM", "GRU", "RNN") if fields["model"].endswith(name))
    start = fields["model"].removesuffix(name)
    stage = {"": "pretrain", "G-": "equivariant"}.get(start, STAGES[fields["stage"]])
    figures = {part: (float(fields[f"{short}_mean"]), float(fields[f"{short}_std"])) for part, short in SHORT.items()}
    return Published(
        fields["table"], fields["split"], name.lower(), fields["model"], stage, METHODS.get(start), figures
    )


def results_of(
    found: Found, split: str, cell: str, stage: str, method: str | None = None, ending: str = ""
) -> list[dict[str, float]]:
    """Return the accuracies by part of a stage, one entry for each seed.

    Args:
        found: All results.
        split: The split.
        cell: The cell.
        stage: The stage.
        method: The method, for a stage that measures several.
        ending: `"-published"` for the runs with the published settings.
    """
    accuracies = [stages[stage]["accuracy"] for stages in stages_of(found, split, cell, ending) if stage in stages]
    if method is None:
        return accuracies
    return [measured[method] for measured in accuracies if method in measured]


def stages_of(found: Found, split: str, cell: str, ending: str = "") -> list[dict[str, Any]]:
    """Return the results of the runs of a split and a cell, by seed."""
    begin = f"{split}/{cell}/seed"
    return [
        found[name]
        for name in sorted(found)
        if name.startswith(begin) and name.endswith(ending) and name[len(begin) :].removesuffix(ending).isdigit()
    ]


def judge(values: Sequence[float], published: tuple[float, float]) -> str:
    """Return whether the mean of ours is `"within"` two published deviations, `"better"` or `"below"`.

    Both are compared as they are printed, with one decimal.
    """
    distance = round(round(mean(values), 1) - published[0], 1)
    if abs(distance) <= round(2 * published[1], 1):
        return "within"
    return "better" if distance > 0 else "below"


def judged(found: Found, rows: Sequence[Published]) -> Iterator[tuple[Published, str, Sequence[float], str]]:
    """Give each published cell that we have measured: its row, its part, our values by seed, and the verdict."""
    for row in rows:
        measured = results_of(found, row.split, row.cell, row.stage, row.method)
        for part, published in row.figures.items():
            values = [accuracies[part] for accuracies in measured]
            if values:
                yield row, part, values, judge(values, published)


def deviation(values: Sequence[float]) -> float:
    """Return the standard deviation, 0 for a single value."""
    return stdev(values) if len(values) > 1 else 0.0


def spread(values: Sequence[float], seeds: int) -> str:
    """Return mean and deviation, and the number of values if it is not that of the seeds."""
    if seeds == 1:
        return f"{mean(values):.1f}"
    number = "" if len(values) == seeds else f", {len(values)} of {seeds} seeds"
    return f"{mean(values):.1f} ({deviation(values):.1f}{number})"


def summary(found: Found, seeds: int) -> str:
    """Return sentences that count the verdicts, and list the cells in which ours are below."""
    rows = read_published()
    cells = list(judged(found, rows))
    verdicts = Counter(verdict for *_, verdict in cells)
    total = sum(len(row.figures) for row in rows)
    measured = "" if len(cells) == total else f" {len(cells)} of them are measured."
    text = (
        f"The six tables have {total} cells.{measured} {verdicts['within']} of ours are within two published "
        f"deviations of the published mean, {verdicts['better']} are better, and {verdicts['below']} are below"
    )
    if not verdicts["below"]:
        return f"{text}."
    below = [
        f"- Table {row.table}, {row.split}, {row.model}, {part}: {spread(values, seeds)} "
        f"against {row.figures[part][0]} ({row.figures[part][1]})"
        for row, part, values, verdict in cells
        if verdict == "below"
    ]
    return "\n".join([f"{text}:", "", *below])
