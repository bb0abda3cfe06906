"""Write the page of the SCAN experiments: means, standard deviations, published figures, and a plot."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
import transformers
from data import write_json
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scan_data import GROUPS
from scan_stages import STAGES, Run

MARKER = "<!-- Below this line: written by examples/scan.py -->"
CELLS = ("lstm", "gru", "rnn")
TABLES = {"lstm": ("2", "10"), "gru": ("8", "11"), "rnn": ("9", "12")}
EQUITUNE, EQUIZERO = "equitune, independent", "equizero"
# Test accuracy in per cent, from arXiv 2305.09900. We had no copy of the other rows or of the deviations.
PUBLISHED = {
    ("add_jump", "zero_shot", EQUIZERO): {"lstm": 75.2, "gru": 73.9, "rnn": 58.6},
    ("around_right", "zero_shot", EQUIZERO): {"lstm": 81.7, "gru": 77.9, "rnn": 56.6},
    ("add_jump", "finetune", EQUITUNE): {"lstm": 97.9, "gru": 81.1, "rnn": 83.9},
    ("around_right", "finetune", EQUITUNE): {"lstm": 95.7, "gru": 91.6, "rnn": 78.4},
}
NETWORKS = (("pretrain", "base"), ("equivariant", "equivariant by construction"))
COLOURS = {"lstm": "#0072B2", "gru": "#E69F00", "rnn": "#009E73"}
STYLES = {EQUIZERO: "-", EQUITUNE: ":", "equitune, synchronised": "--"}
HEADER = "| split | model | validation | test | published test | bound |\n|---|---|---|---|---|---|"


def write_page(page: Path, runs: Sequence[Run], command: str) -> None:
    """Replace everything below the marker line of a page; plot and raw results go into a folder beside it.

    Results of an earlier page are kept if the runs that made them are gone.
    """
    above = page.read_text(encoding="utf-8").partition(MARKER)[0] if page.is_file() else "# SCAN\n\n"
    plot = page.parent / page.stem / "few_shot.png"
    plot.parent.mkdir(parents=True, exist_ok=True)
    found = gather(runs, plot.with_name("results.json"))
    write_json(plot.with_name("results.json"), found)
    plot.write_bytes(draw_few_shot(found))
    image = f"![Test accuracy while finetuning]({page.stem}/{plot.name})"
    parts = [above.rstrip(), MARKER, _versions(found, command)]
    for place, stage in enumerate(("zero_shot", "finetune")):
        for cell in CELLS:
            title = f"## {'Zero-shot' if stage == 'zero_shot' else 'Finetuned'}, {cell.upper()}"
            parts.append(f"{title} (Table {TABLES[cell][place]})\n\n{_table(found, cell, stage)}")
    parts.append(f"## While finetuning (Figure 10)\n\n{image}")
    page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


Found = dict[str, dict[str, Any]]
"""The results by run (`"split/cell/seed0"`) and then by stage."""


def gather(runs: Sequence[Run], earlier: Path) -> Found:
    """Return the results of all finished stages, and those of an earlier page."""
    found: Found = json.loads(earlier.read_text(encoding="utf-8")) if earlier.is_file() else {}
    for run in runs:
        stages = {stage: results for stage in STAGES if (results := run.results(stage)) is not None}
        name = f"{run.split}/{run.cell}/seed{run.seed}"
        found[name] = {**found.get(name, {}), **stages}
    return found


def _of(found: Found, split: str, cell: str, stage: str) -> list[dict[str, Any]]:
    """Return the results of a stage, one entry for each seed."""
    own = [found[name] for name in sorted(found) if name.startswith(f"{split}/{cell}/")]
    return [stages[stage] for stages in own if stage in stages]


def _versions(found: Found, command: str) -> str:
    seeds = sorted({name.rpartition("seed")[2] for name in found})
    libraries = (
        f"Python {platform.python_version()}, torch {torch.__version__}, transformers {transformers.__version__}"
    )
    numbers = f"Seeds {', '.join(seeds)}; {libraries}."
    return f"    {command}\n\n{numbers} Exact matches in per cent: mean (standard deviation)."


def _table(found: Found, cell: str, stage: str) -> str:
    """Return one table: first the networks alone, then the methods."""
    rows = [HEADER]
    for split in sorted(GROUPS):
        for network, name in NETWORKS:
            rows += _row(split, name, [results["accuracy"] for results in _of(found, split, cell, network)], None)
        done = [results["accuracy"] for results in _of(found, split, cell, stage)]
        for name in done[0] if done else ():
            published = PUBLISHED.get((split, stage, name), {}).get(cell)
            rows += _row(split, name, [accuracies[name] for accuracies in done], published)
    return "\n".join(rows)


def _row(split: str, name: str, found: list[dict[str, float]], published: float | None) -> list[str]:
    """Return a row, or none if nothing was measured."""
    if not found:
        return []
    test = [accuracies["test"] for accuracies in found]
    bound = ""
    if published is not None:
        least = published - 2 * _deviation(test)
        bound = f"{'met' if mean(test) >= least else 'missed'} ({least:.1f})"
    cells = [split, name, _spread([accuracies["validation"] for accuracies in found]), _spread(test)]
    return [f"| {' | '.join([*cells, '' if published is None else f'{published:.1f}', bound])} |"]


def _spread(values: Sequence[float]) -> str:
    number = "" if len(values) == 3 else f", {len(values)} of 3 seeds"
    return f"{mean(values):.1f} ({_deviation(values):.1f}{number})"


def _deviation(values: Sequence[float]) -> float:
    return stdev(values) if len(values) > 1 else 0.0


def draw_few_shot(found: Found) -> bytes:
    """Draw Figure 10, accuracy on add_jump by the number of steps, as a PNG."""
    figure = Figure(figsize=(7, 4.2), dpi=160, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for cell in CELLS:
        for name, style in STYLES.items():
            curves = [results["curves"][name] for results in _of(found, "add_jump", cell, "finetune")]
            if curves:
                _draw(axes, curves, f"{cell.upper()}, {name}", COLOURS[cell], style)
    axes.set_xscale("symlog", linthresh=25)
    axes.set_xlim(left=0)
    axes.set_ylim(0, 100)
    axes.set_xlabel("finetuning steps of 64 sentences")
    axes.set_ylabel("exact matches, per cent of 1,000 test sentences")
    axes.set_title("Few-shot learning on add_jump")
    axes.grid(alpha=0.3)
    if axes.has_data():
        axes.legend(fontsize="x-small", loc="lower right")
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _draw(axes: Any, curves: list[dict[str, float]], label: str, colour: str, style: str) -> None:
    """Draw the mean of some curves in a band of one standard deviation."""
    steps = sorted(set.intersection(*({int(step) for step in curve} for curve in curves)))
    values = [[curve[str(step)] for curve in curves] for step in steps]
    middle = [mean(points) for points in values]
    axes.plot(steps, middle, label=label, color=colour, linestyle=style)
    spread = [_deviation(points) for points in values]
    low = [point - width for point, width in zip(middle, spread, strict=True)]
    high = [point + width for point, width in zip(middle, spread, strict=True)]
    axes.fill_between(steps, low, high, color=colour, alpha=0.08, linewidth=0)
