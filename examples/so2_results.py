"""Write the page of the regression on vectors: tables over seeds, beside the published ones."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from data import write_json
from machine import describe
from so2_stages import ABLATION, BEST, EQUIVARIANT, TABLE, THETAS, Cell, Run

MARKER = "<!-- Below this line: written by examples/so2_regression.py -->"
FIGURES = Path(__file__).with_name("so2_published.csv")
SEEDS = 5
WANTED = 0.11
"""The published loss of the best Θ, which ours is to reach."""
LAST = 5
"""How many of the measurements after every tenth epoch make the mean that depends less on the last step."""
MEASURED = ("test loss, mean of epochs 60 to 100", "training loss", "asymmetry", "CPU s")
Found = dict[str, dict[str, Any]]
"""The records by `"target/cell/seed0"`."""


def write_page(page: Path, runs: Iterable[Run], command: str) -> None:
    """Replace everything below the marker line of a page; the records go into a folder beside it.

    Args:
        page: The page.
        runs: All runs.
        command: The command that makes them.
    """
    above = page.read_text(encoding="utf-8").partition(MARKER)[0] if page.is_file() else "# Vectors that turn\n\n"
    found = {run.path.relative_to(run.output).with_suffix("").as_posix(): run.results() for run in runs}
    known: Found = {name: results for name, results in found.items() if results is not None}
    folder = page.parent / page.stem
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "results.json", known)
    seeds = sorted({name.rpartition("seed")[2] for name in known})
    parts = [
        above.rstrip(),
        MARKER,
        f"    {command}",
        f"Seeds {', '.join(seeds)}. Losses are mean squared errors on 10,000 test samples: mean (standard deviation). "
        + describe(known.values(), "runs"),
        f"## Table 13\n\n{_best(known)}\n\n{_table_13(known)}",
        f"## What Θ, h and λ contribute\n\n{_cells(known, (TABLE[0], TABLE[1], *ABLATION, Cell('invariant', BEST)))}",
        f"## A target that turns with its input\n\n{_cells(known, EQUIVARIANT)}",
        f"## Both forms of equation 5, without training\n\n{_untrained(known)}",
    ]
    page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def read_published() -> dict[tuple[str, ...], dict[str, str]]:
    """Return the rows of Table 13, by model and angles."""
    lines = [line for line in FIGURES.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    rows = csv.DictReader(lines)
    return {(row["model"], *(f"{angle}°" for angle in row["theta"].split())): row for row in rows}


def title(cell: Cell) -> str:
    """Return the name of a cell in the paper's words."""
    return "Canon-" * cell.poses + "λ-" * (cell.weighs and bool(cell.theta)) + "MLP"


def judge(values: Sequence[float], published: tuple[float, float]) -> str:
    """Return whether the mean is `"within"` two published deviations, `"better"` or `"worse"`; lower is better.

    Both are compared as they are printed, with two decimals.
    """
    distance = round(round(mean(values), 2) - published[0], 2)
    if abs(distance) <= round(2 * published[1], 2):
        return "within"
    return "better" if distance < 0 else "worse"


def spread(values: Sequence[float]) -> str:
    """Format mean and deviation, with the number of seeds if some are missing."""
    if not values:
        return ""
    notes = [_figure(stdev(values))] if len(values) > 1 else []
    notes += [f"{len(values)} of {SEEDS} seeds"] if len(values) < SEEDS else []
    return f"{_figure(mean(values))} ({', '.join(notes)})" if notes else _figure(mean(values))


def _figure(value: float) -> str:
    """Format a loss. What is only rounding gets an exponent."""
    return f"{value:.4f}" if value >= 5e-5 else f"{value:.0e}"


def _of(found: Found, cell: Cell, key: str) -> list[Any]:
    """Return an entry of the records of a cell, by seed."""
    start = f"{cell.target}/{cell.name}/seed"
    return [found[name][key] for name in sorted(found) if name.startswith(start)]


def _markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (header, ["---"] * len(header), *rows))


def _best(found: Found) -> str:
    """Say which Θ has the lowest loss, and whether that is low enough."""
    losses = {cell: mean(own) for cell in TABLE if cell.theta and (own := _of(found, cell, "test_loss"))}
    if not losses:
        return "No Θ has been trained."
    best = min(losses, key=lambda cell: losses[cell])
    verdict = "at or below" if losses[best] <= WANTED else "ABOVE"
    return (
        f"The best Θ is {{{', '.join(best.theta)}}}: {_figure(losses[best])}, {verdict} the best published {WANTED}."
    )


def _table_13(found: Found) -> str:
    published = read_published()

    def rows() -> Iterator[list[str]]:
        for cell in TABLE:
            row = published[(title(cell), *cell.theta)]
            losses = _of(found, cell, "test_loss")
            theirs = float(row["loss_mean"]), float(row["loss_std"])
            yield [
                title(cell),
                ", ".join(cell.theta),
                " or ".join({f"{count:,}" for count in _of(found, cell, "parameters")}),
                f"{int(row['parameters']):,}",
                spread(losses),
                f"{theirs[0]} ({theirs[1]})" + (f", {judge(losses, theirs)}" if losses else ""),
                *_measured(found, cell),
            ]

    return _markdown(["model", "Θ", "parameters", "published", "test loss", "published", *MEASURED], rows())


def _measured(found: Found, cell: Cell) -> list[str]:
    """Return what the test loss was on the way, the training loss, the asymmetry and the CPU seconds."""
    seconds = [one["cpu"] for one in _of(found, cell, "seconds")]
    return [
        spread([mean([*curve.values()][-LAST:]) for curve in _of(found, cell, "curve")]),
        spread(_of(found, cell, "train_loss")),
        spread(_of(found, cell, "asymmetry")),
        f"{mean(seconds):.0f}" if seconds else "",
    ]


def _cells(found: Found, cells: Sequence[Cell]) -> str:
    """Return a table with what each cell has of Θ, h and λ."""

    def rows() -> Iterator[list[str]]:
        for cell in cells:
            back = "" if not cell.poses else "h(x)" if cell.printed else "h(x)θ⁻¹" if cell.theta else "h(x)"
            yield [
                ", ".join(cell.theta),
                "yes" if cell.poses else "no",
                ("yes" if cell.weighs else "no") if cell.theta else "",
                *([back] if cell.target == "equivariant" else []),
                " or ".join({f"{count:,}" for count in _of(found, cell, "parameters")}),
                spread(_of(found, cell, "test_loss")),
                *_measured(found, cell),
            ]

    moved = ["output moved by"] if cells[0].target == "equivariant" else []
    return _markdown(["Θ", "h", "λ", *moved, "parameters", "test loss", *MEASURED], rows())


def _untrained(found: Found) -> str:
    own = _of(found, EQUIVARIANT[0], "untrained") if _of(found, EQUIVARIANT[0], "test_loss") else []
    if not own:
        return "Not measured yet."
    alone = spread(_of(found, EQUIVARIANT[0], "test_loss"))
    names = list(own[0][" ".join(THETAS[0])])
    rows = (
        [", ".join(theta), *(spread([one[" ".join(theta)][name] for one in own]) for name in names)]
        for theta in THETAS
    )
    text = f"Losses of the network that was trained alone ({alone} by itself), and of the target itself."
    return f"{text}\n\n{_markdown(['Θ', *names], rows)}"
