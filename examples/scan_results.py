"""Write the page of the SCAN experiments: means, deviations, published figures with a verdict, and a plot."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from statistics import mean
from typing import Any

from data import write_json
from machine import describe
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scan_compare import (
    METHODS,
    Found,
    Published,
    deviation,
    judge,
    read_published,
    results_of,
    spread,
    stages_of,
    summary,
)
from scan_data import GROUPS, VALIDATION
from scan_stages import PARTS, STAGES, Run

MARKER = "<!-- Below this line: written by examples/scan.py -->"
CELLS = ("lstm", "gru", "rnn")
TABLES = {"lstm": ("2", "10"), "gru": ("8", "11"), "rnn": ("9", "12")}
EQUITUNE, EQUIZERO = METHODS["Equi"], METHODS["Equizero"]
NETWORKS = {"pretrain": "base", "equivariant": "equivariant by construction"}
TITLES = {"zero_shot": "Zero-shot", "finetune": "Finetuned"}
REPEATED = {("pretrain", "10"), ("pretrain", "11"), ("pretrain", "12")}
"""Rows that the paper prints with the zero-shot results, too."""
SEEDS = 3
SINGLE = "-published"
"""The ending of the runs with the published settings."""
COLOURS = {"lstm": "#0072B2", "gru": "#E69F00", "rnn": "#009E73"}
STYLES = {EQUIZERO: "-", EQUITUNE: ":", "equitune, synchronised": "--"}
HEADER = "| split | model | validation | published | test | published |\n|---|---|---|---|---|---|"


def write_page(page: Path, runs: Sequence[Run], command: str, others: Sequence[Run] = ()) -> None:
    """Replace everything below the marker line of a page; plot and raw results go into a folder beside it.

    Results of an earlier page are kept if the runs that made them are gone.

    Args:
        page: The page.
        runs: All runs.
        command: The command that makes them.
        others: The same runs with other threads or kernels.
    """
    above = page.read_text(encoding="utf-8").partition(MARKER)[0] if page.is_file() else "# SCAN\n\n"
    plot = page.parent / page.stem / "few_shot.png"
    plot.parent.mkdir(parents=True, exist_ok=True)
    stored = plot.with_name("results.json")
    found: Found = json.loads(stored.read_text(encoding="utf-8")) if stored.is_file() else {}
    found = gather(runs, found)
    found |= {"others": gather(others, found.get("others", {}), kind=True)}
    write_json(stored, found)
    plot.write_bytes(draw_few_shot(found))
    image = f"![Test accuracy while finetuning]({page.stem}/{plot.name})"
    parts = [
        above.rstrip(),
        MARKER,
        _versions(found, command),
        f"## Compared with the paper\n\n{summary(found, SEEDS)}",
    ]
    for place, (stage, title) in enumerate(TITLES.items()):
        for cell in CELLS:
            table = "\n".join([HEADER, *_table(found, cell, stage)])
            parts.append(f"## {title}, {cell.upper()} (Table {TABLES[cell][place]})\n\n{table}")
    parts += [*_single(found), *_others(found), f"## While finetuning (Figure 10)\n\n{image}"]
    page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def gather(runs: Sequence[Run], found: Found, kind: bool = False) -> Found:
    """Return the results of all finished stages, and those of an earlier page.

    Stages whose validation was drawn by another rule belong to other bases, so one new stage replaces them all.

    Args:
        runs: The runs.
        found: The results of an earlier page.
        kind: Whether to name a run by its folder of runs, too.
    """
    found = dict(found)
    for run in runs:
        stages = {stage: results for stage in STAGES if (results := run.results(stage)) is not None}
        name = f"{run.output.name}/{run.name}" if kind else run.name
        kept = {
            stage: results for stage, results in found.get(name, {}).items() if results.get("validation") or not stages
        }
        if kept or stages:
            found[name] = {**kept, **stages}
    return found


def _versions(found: Found, command: str) -> str:
    runs = {name: stages for name, stages in found.items() if "/seed" in name and not name.endswith(SINGLE)}
    seeds = sorted({name.rpartition("seed")[2] for name in runs})
    old = sorted(
        name for name, stages in runs.items() if any(one.get("validation") != VALIDATION for one in stages.values())
    )
    parts = [
        f"    {command}",
        f"Seeds {', '.join(seeds)}. Exact matches in per cent: mean (standard deviation). Published figures: mean "
        "(deviation), and whether ours is within two of those deviations, better, or below. "
        + describe(one for stages in runs.values() for one in stages.values()),
    ]
    if old:
        seeds = sorted({name.rpartition("seed")[2] for name in old})
        parts.append(
            f"{len(old)} of {len(runs)} runs ({'seed' if len(seeds) == 1 else 'seeds'} {', '.join(seeds)}) drew "
            "validation from all lines, by an earlier rule. There, lines that stand more than once are in training, "
            'too. In add_jump, that is "jump", a tenth of validation.'
        )
    return "\n\n".join(parts)


def _table(found: Found, cell: str, stage: str) -> Iterator[str]:
    """Give the rows of one table: first the networks alone, then the methods."""
    rows = {
        (row.split, row.stage, row.method): row
        for row in read_published()
        if row.cell == cell and row.table == TABLES[cell][list(TITLES).index(stage)]
    }
    for split in sorted(GROUPS):
        for network, name in NETWORKS.items():
            if (row := rows.get((split, network, None))) is not None:
                yield from _row(split, name, results_of(found, split, cell, network), row)
        measured = results_of(found, split, cell, stage)
        for name in measured[0] if measured else ():
            yield from _row(split, name, [one[name] for one in measured], rows.get((split, stage, name)))


def _row(
    split: str, name: str, measured: Sequence[dict[str, float]], published: Published | None, seeds: int = SEEDS
) -> Iterator[str]:
    """Give a row, or none if nothing was measured."""
    if not measured:
        return
    cells = [split, name]
    for part in PARTS:
        values = [accuracies[part] for accuracies in measured]
        cells += [spread(values, seeds), "" if published is None else _verdict(values, published.figures[part])]
    yield f"| {' | '.join(cells)} |"


def _verdict(values: Sequence[float], published: tuple[float, float]) -> str:
    return f"{published[0]} ({published[1]}), {judge(values, published)}"


def _single(found: Found) -> Iterator[str]:
    """Give the section on the published settings, if any of their runs is there."""
    rows = [
        line
        for split in sorted(GROUPS)
        for row in read_published()
        if row.split == split and (row.stage, row.table) not in REPEATED
        for stages in stages_of(found, split, row.cell, SINGLE)
        for name, measured in _named(row, stages)
        for line in _row(split, name, [measured], row, seeds=1)
    ]
    if rows:
        records = [one for name, stages in found.items() if name.endswith(SINGLE) for one in stages.values()]
        yield f"## With the published settings\n\nSeed 0. {describe(records)}\n\n" + "\n".join([HEADER, *rows])


def _named(row: Published, stages: dict[str, Any]) -> Iterator[tuple[str, dict[str, float]]]:
    """Give the results that a published row compares with, each with its name. Finetuned ones have several rates."""
    if row.stage not in stages:
        return
    accuracies = stages[row.stage]["accuracy"]
    if row.method is None:
        yield NETWORKS[row.stage] + f", {row.model}", accuracies
        return
    for name, measured in accuracies.items():
        if name == row.method or name.startswith(f"{row.method}, rate"):
            yield f"{TITLES[row.stage].lower()}, {name}", measured


def _others(found: Found) -> Iterator[str]:
    """Give the section on other kernels or threads, if any of their runs is there."""
    lines = []
    for name, stages in found["others"].items():
        own = name.partition("/")[2]
        for run, results in ((own, found.get(own, {})), (f"{own}, again", stages)):
            if "finetune" in results and "machine" in results["finetune"]:
                lines.append(_other(run, results))
    if lines:
        methods = " | ".join(
            [NETWORKS["pretrain"], *(f"{title.lower()}, {m}" for title in TITLES.values() for m in STYLES)]
        )
        header = f"| run | kernels | threads | {methods} |\n|---|---|---|{'---|' * 7}"
        text = (
            "The same run again: how far test figures move with nothing but the arithmetic. "
            "`ATEN_CPU_CAPABILITY=avx2` or `--threads 2`, with `--output runs/again`, makes such a run, and "
            "`--page FILE --others runs/again` adds its row."
        )
        yield "## On other kernels\n\n" + text + "\n\n" + "\n".join([header, *dict.fromkeys(lines)])


def _other(run: str, stages: dict[str, Any]) -> str:
    machine = stages["finetune"]["machine"]
    figures = [stages["pretrain"]["accuracy"]["test"]]
    figures += [stages[stage]["accuracy"][method]["test"] for stage in TITLES for method in STYLES]
    cells = [run, machine["kernels"], str(machine["threads"]), *(f"{figure:.2f}" for figure in figures)]
    return f"| {' | '.join(cells)} |"


def draw_few_shot(found: Found) -> bytes:
    """Draw Figure 10, accuracy on add_jump by the number of steps, as a PNG."""
    figure = Figure(figsize=(7, 4.2), dpi=160, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for cell in CELLS:
        for name, style in STYLES.items():
            curves = [
                stages["finetune"]["curves"][name]
                for stages in stages_of(found, "add_jump", cell)
                if "finetune" in stages
            ]
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
    spread = [deviation(points) for points in values]
    low = [point - width for point, width in zip(middle, spread, strict=True)]
    high = [point + width for point, width in zip(middle, spread, strict=True)]
    axes.fill_between(steps, low, high, color=colour, alpha=0.08, linewidth=0)
