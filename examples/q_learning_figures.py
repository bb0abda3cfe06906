"""Means and intervals of the Q-learning example, and its plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from math import sqrt
from statistics import NormalDist, mean, stdev
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from q_learning_play import ENVIRONMENTS
from q_learning_stages import METHODS, PUBLIC

Found = dict[str, dict[str, Any]]
"""The records by `"cartpole/seed0"` or `"cartpole/public"`, and stage."""
COLOURS = {"base": "#555555", "equitune": "#E69F00", "equizero": "#0072B2"}
_EXACT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571}
"""The 0.975 quantile of Student's t, by the number of values, where its expansion is not close."""


def half_width(deviation: float, count: int) -> float:
    """Return half of the width of the 95% interval of a mean, by Student's t; 0 for one value."""
    if count < 2:
        return 0.0
    z, free = NormalDist().inv_cdf(0.975), count - 1
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    t = _EXACT.get(count, sum(term / free**power for power, term in enumerate(terms)))
    return t * deviation / sqrt(count)


def records_of(found: Found, environment: str, public: bool, *stages: str) -> list[dict[str, Any]]:
    """Return the records of the agents in an environment that have come to the end of some stages."""
    return [
        own
        for name, own in found.items()
        if name.startswith(f"{environment}/") and name.endswith(PUBLIC) is public and own.keys() >= {*stages}
    ]


def returns_of(records: Sequence[Mapping[str, Any]], way: str, stage: str = "zero_shot") -> tuple[float, float, int]:
    """Return the mean return, half of the width of its interval, and the number of agents.

    The interval is over agents, or over the episodes of a single one.

    Args:
        records: The records of the agents.
        way: A name among the returns.
        stage: The stage.
    """
    own = [record[stage]["returns"][way] for record in records]
    if len(own) == 1:
        return own[0]["mean"], half_width(own[0]["deviation"], own[0]["episodes"]), 1
    means = [one["mean"] for one in own]
    return mean(means), half_width(stdev(means), len(means)), len(means)


def draw_returns(found: Found) -> bytes:
    """Draw Figure 2: the returns of the base, equitune and equizero, without training, as a PNG."""
    figure, panels = _panels("without training")
    for axes, environment in zip(panels, ENVIRONMENTS, strict=True):
        ticks = []
        for place, public in enumerate((False, True)):
            records = records_of(found, environment, public, "zero_shot")
            if not records:
                continue
            for shift, name in enumerate(METHODS):
                middle, width, count = returns_of(records, name)
                label = name if not ticks else None
                at = place + 0.26 * (shift - 1)
                axes.bar(at, middle, 0.24, yerr=width, capsize=3, color=COLOURS[name], label=label)
            ticks.append((place, "public" if public else f"{count} of ours"))
        if ticks:
            axes.set_xticks([place for place, _ in ticks], [text for _, text in ticks])
    return _png(figure, panels)


def draw_learning(found: Found) -> bytes:
    """Draw the returns while a DQN is pretrained, and while it is finetuned under each method, as a PNG."""
    figure, panels = _panels("while training")
    for axes, environment in zip(panels, ENVIRONMENTS, strict=True):
        for name in METHODS:
            curves = [
                {int(step): ways[name] for step, ways in own["pretrain"]["curve"].items()}
                for own in records_of(found, environment, False, "pretrain")
            ]
            _draw(axes, curves, name, "-")
            later = [
                {own["pretrain"]["steps"] + int(step): ways[name] for step, ways in own[stage]["curve"].items()}
                for stage in (f"finetune_{name}",)
                for own in records_of(found, environment, False, "pretrain", stage)
            ]
            _draw(axes, later, name, "--")
        axes.set_xlabel("thousand steps (dashed: finetuned)")
    return _png(figure, panels)


def draw_gains(found: Found) -> bytes:
    """Draw what equitune adds to agents, by how good they are already, as a PNG."""
    figure, panels = _panels("what equitune adds to it")
    for axes, environment in zip(panels, ENVIRONMENTS, strict=True):
        points = [
            (ways["base"], ways["equitune"] - ways["base"])
            for own in records_of(found, environment, False, "pretrain")
            for ways in own["pretrain"]["curve"].values()
        ]
        _scatter(axes, points, "while pretraining", "#AAAAAA", 12)
        for public, label, colour in ((False, "pretrained", "#0072B2"), (True, "public", "#D55E00")):
            ends = [own["zero_shot"]["returns"] for own in records_of(found, environment, public, "zero_shot")]
            points = [(own["base"]["mean"], own["equitune"]["mean"] - own["base"]["mean"]) for own in ends]
            _scatter(axes, points, label, colour, 40)
        axes.set_xlabel("return of the base")
        if axes.has_data():
            axes.axhline(0, color="#999999", linewidth=0.8)
    return _png(figure, panels)


def _panels(what: str) -> tuple[Figure, list[Any]]:
    figure = Figure(figsize=(11, 3.6), dpi=140, layout="constrained")
    FigureCanvasAgg(figure)
    panels = list(figure.subplots(1, len(ENVIRONMENTS)))
    for axes, environment in zip(panels, ENVIRONMENTS.values(), strict=True):
        axes.set_title(environment.title)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel(f"return, {what}")
    return figure, panels


def _draw(axes: Any, curves: Sequence[Mapping[int, float]], name: str, style: str) -> None:
    """Draw the mean of some curves in a band of its 95% interval."""
    if not curves:
        return
    places = sorted(set.intersection(*(set(curve) for curve in curves)))
    values = [[curve[place] for curve in curves] for place in places]
    middle = [mean(own) for own in values]
    widths = [half_width(stdev(own), len(own)) if len(own) > 1 else 0.0 for own in values]
    steps = [place / 1000 for place in places]
    axes.plot(steps, middle, style, color=COLOURS[name], label=name if style == "-" else None)
    low, high = ([a + sign * b for a, b in zip(middle, widths, strict=True)] for sign in (-1, 1))
    axes.fill_between(steps, low, high, color=COLOURS[name], alpha=0.12, linewidth=0)


def _scatter(axes: Any, points: Sequence[tuple[float, float]], label: str, colour: str, size: float) -> None:
    if points:
        across, up = zip(*points, strict=True)
        axes.scatter(across, up, s=size, color=colour, label=label)


def _png(figure: Figure, panels: Sequence[Any]) -> bytes:
    shown: dict[str, Any] = {}
    for axes in panels:
        handles, labels = axes.get_legend_handles_labels()
        shown |= dict(zip(labels, handles, strict=True))
        if not axes.has_data():
            axes.set_xticks([])
            axes.set_yticks([])
            axes.text(0.5, 0.5, "not measured yet", ha="center", va="center", transform=axes.transAxes)
    if shown:
        figure.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=len(shown), fontsize="small")
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
