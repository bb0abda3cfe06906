"""Write the page of the finetuning experiment: perplexities and gaps side by side, and a plot of both."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from data import write_json
from finetune_stages import ROWS, UNTRAINED, WAYS, Experiment
from machine import describe
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from hf_equi.figures import MISSING, number

MARKER = "<!-- Below this line: written by examples/finetune_equilm.py -->"
PERPLEXITIES = {
    "perplexity": "held-out lines",
    "perplexity_written": "with words of the group",
    "perplexity_exchanged": "the same, exchanged",
}
GAPS = {
    "gap": "held-out lines, mean",
    "gap_largest": "largest",
    "prompted_gap": "continued prompts, mean",
    "prompted_gap_largest": "largest",
    "control_gap": "control, mean",
}
Stages = dict[str, dict[str, Any]]
"""The results by stage: `"untrained"`, `"seed0/plain"` and so on."""


def gather(experiment: Experiment, seeds: Iterable[int], earlier: Path) -> Stages:
    """Return the results of all finished stages, or those of an earlier page if the runs are gone."""
    found: Stages = json.loads(earlier.read_text(encoding="utf-8")) if earlier.is_file() else {}
    places = {UNTRAINED: (0, UNTRAINED)} | {f"seed{seed}/{way}": (seed, way) for seed in seeds for way in WAYS}
    for name, (seed, way) in places.items():
        results = experiment.results(seed, way)
        if results is not None:
            found[name] = results
    return found


def values(stages: Stages, row: str, figure: str) -> list[float]:
    """Return a figure of a row, one value for each seed."""
    own = (stage["figures"] for stage in stages.values())
    return [figures[row][figure] for figures in own if row in figures]


def seconds(stages: Stages, way: str) -> list[float]:
    """Return the CPU seconds of a way of training, one value for each seed."""
    return [stage["seconds"]["cpu"] for name, stage in stages.items() if name.endswith(f"/{way}")]


def spread(found: Sequence[float]) -> str:
    """Format the mean and the standard deviation."""
    if not found:
        return MISSING
    if max(found) < 1e-3:  # only rounding, so a deviation would say nothing
        return number(max(found))
    digits = 1 if mean(found) >= 10 else 3
    return f"{mean(found):.{digits}f}" + (f" ({stdev(found):.{digits}f})" if len(found) > 1 else "")


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def tables(stages: Stages) -> tuple[str, str]:
    """Return the table of perplexities with the cost of training, and the table of gaps."""
    plain = seconds(stages, "plain")
    first, second = [], []
    for row, way in ROWS.items():
        cost = seconds(stages, way) if way else []
        relative = f"{mean(cost) / mean(plain):.2f}" if cost and any(plain) else MISSING
        if values(stages, row, "gap"):
            first.append([row, *(spread(values(stages, row, name)) for name in PERPLEXITIES), spread(cost), relative])
            second.append([row, *(spread(values(stages, row, name)) for name in GAPS)])
    return (
        markdown(("model", *PERPLEXITIES.values(), "training, seconds of CPU", "relative"), first),
        markdown(("model", *GAPS.values()), second),
    )


def write_page(page: Path, found: Stages, command: str) -> None:
    """Replace everything below the marker line of a page; plot and raw results go into a folder beside it."""
    above = page.read_text(encoding="utf-8").partition(MARKER)[0] if page.is_file() else "# Finetuning\n\n"
    folder = page.parent / page.stem
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "results.json", found)
    (folder / "gaps.png").write_bytes(draw(found))
    perplexities, gaps = tables(found)
    parts = [above.rstrip(), MARKER, f"    {command}", _settings(found)]
    parts += [f"## Perplexity\n\n{perplexities}", f"## Group-theoretic gap, nats a token\n\n{gaps}"]
    parts.append(f"![Perplexity and gap of each model]({page.stem}/gaps.png)")
    page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _settings(stages: Stages) -> str:
    settings = next(iter(stages.values()))["settings"]
    seeds = sorted({name.partition("/")[0].removeprefix("seed") for name in stages} - {UNTRAINED})
    counts = stages[UNTRAINED]["counts"] if UNTRAINED in stages else {}
    texts = (
        f" Measured on {counts['perplexity']} held-out lines, of which {counts['gap']} hold words of the group and "
        f"{counts['control_gap']} words of the control; {counts['prompted_gap']} continued prompts."
        if counts
        else ""
    )
    return (
        f"Seeds {', '.join(seeds)}; {settings['steps']} steps of {settings['batch']} texts"
        f"{', streamed' if settings['streaming'] else ' of similar length'}, {_longer(stages)} where a row says equal "
        f"compute; learning rate {settings['rate']}.{texts} Mean (standard deviation). The trainings: "
        f"{describe(stage for name, stage in stages.items() if name != UNTRAINED)}"
    )


def _longer(stages: Stages) -> str:
    """Say how many steps the ways of equal compute have."""
    steps = {stage["steps"] for name, stage in stages.items() if name.endswith("_longer")}
    return " or ".join(map(str, sorted(steps))) + " steps" if steps else "more steps"


def draw(stages: Stages) -> bytes:
    """Draw bars of the perplexity of lines with words of the group, and of the gap, as a PNG."""
    figure = Figure(figsize=(9, 3.6), dpi=160, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharey=True)
    trained = [row for row, way in ROWS.items() if way and values(stages, row, "gap")]
    _bars(left, stages, trained, "perplexity_written", (-0.2, "#3b6ea5", "as written"))
    _bars(left, stages, trained, "perplexity_exchanged", (0.2, "#e69f00", "exchanged"))
    _bars(right, stages, trained, "gap", (-0.2, "#3b6ea5", "held-out lines"))
    _bars(right, stages, trained, "prompted_gap", (0.2, "#b0b0b0", "continued prompts"))
    left.set_yticks(range(len(trained)), trained)
    if trained:
        left.invert_yaxis()
        for axes in (left, right):
            axes.legend(fontsize="x-small", loc="lower center", bbox_to_anchor=(0.5, -0.28), ncols=2, frameon=False)
    left.set_title("Perplexity of lines with words of the group", loc="left", fontsize="medium")
    right.set_title("Mean gap, nats a token", loc="left", fontsize="medium")
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _bars(axes: Any, stages: Stages, rows: Sequence[str], name: str, how: tuple[float, str, str]) -> None:
    """Draw a bar for each row, with its deviation and its figure."""
    shift, colour, label = how
    found = [values(stages, row, name) for row in rows]
    places = [place + shift for place in range(len(rows))]
    errors = [stdev(one) if len(one) > 1 else 0.0 for one in found]
    drawn = axes.barh(places, [mean(one) for one in found], 0.38, xerr=errors, color=colour, label=label)
    axes.bar_label(drawn, labels=[spread(one).partition(" ")[0] for one in found], padding=3, fontsize="x-small")
    axes.margins(x=0.25)
    axes.spines[["top", "right"]].set_visible(False)
