"""Write the page of the Q-learning example: returns, their reasons, and plots."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from data import write_json
from machine import describe
from q_learning_figures import Found, draw_gains, draw_learning, draw_returns, half_width, records_of, returns_of
from q_learning_play import ENVIRONMENTS
from q_learning_stages import METHODS, Run

MARKER = "<!-- Below this line: written by examples/q_learning.py -->"
SEEDS = 5
PLOTS = {"returns.png": draw_returns, "gains.png": draw_gains, "learning.png": draw_learning}
WAYS = (*METHODS, "equizero, kept", "canonical", "random")
NEAR = ("states", "twins", "distance", "twin distance")
AGREEMENT = {
    "asymmetry": "asymmetry of Q",
    "relative asymmetry": "less its mean",
    "gap": "gap",
    "twin gap": "gap in twins",
    "twins disagree": "twins disagree",
    "equitune differs": "equitune differs",
    "equizero differs": "equizero differs",
}
RETURNS = {
    "return": "base",
    "twin return": "base, from twins",
    "equitune return": "equitune",
    "equizero return": "equizero",
}
VALUES = {
    "value": "value",
    "worth": "worth",
    "error": "error",
    "twin value": "value of twins",
    "twin worth": "worth of twins",
    "twin error": "error of twins",
}
SHARES = ("states", "twins", "twins disagree", "equitune differs", "equizero differs", "near path or twins")


def write_page(page: Path, runs: Iterable[Run], command: str) -> None:
    """Replace everything below the marker line of a page; plots and records go into a folder beside it.

    Records of an earlier page are kept if the runs that made them are gone.

    Args:
        page: The page.
        runs: All runs.
        command: The command that makes them.
    """
    above = page.read_text(encoding="utf-8").partition(MARKER)[0] if page.is_file() else "# Q-learning\n\n"
    folder = page.parent / page.stem
    folder.mkdir(parents=True, exist_ok=True)
    stored = folder / "results.json"
    found = gather(runs, json.loads(stored.read_text(encoding="utf-8")) if stored.is_file() else {})
    write_json(stored, found)
    for name, draw in PLOTS.items():
        (folder / name).write_bytes(draw(found))
    parts = [above.rstrip(), MARKER, f"    {command}", _versions(found), *_sections(found, page.stem)]
    page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def gather(runs: Iterable[Run], found: Found) -> Found:
    """Return the records of all finished stages, with the returns of their episodes in short."""
    found = dict(found)
    for run in runs:
        stages = {stage: _short(record) for stage in run.stages if (record := run.results(stage)) is not None}
        if stages:
            found[run.name] = {**found.get(run.name, {}), **stages}
    return {name: found[name] for name in sorted(found)}


def _short(record: Mapping[str, Any]) -> dict[str, Any]:
    """Replace the returns of episodes by their mean, their deviation, and the mean difference from the base's."""
    if "returns" not in record:
        return dict(record)
    ways = record["returns"] if isinstance(record["returns"], dict) else {"finetuned": record["returns"]}
    base = ways.get("base")
    short: dict[str, dict[str, float]] = {}
    for name, own in ways.items():
        short[name] = {"mean": mean(own), "deviation": stdev(own), "episodes": len(own)}
        if base is not None:
            short[name]["deviation of the difference"] = stdev(a - b for a, b in zip(own, base, strict=True))
    return {**record, "returns": short}


def _versions(found: Found) -> str:
    records = [record for stages in found.values() for record in stages.values()]
    if not records:
        return "Nothing has been measured yet."
    machine = records[0]["machine"]
    return (
        f"Stable-Baselines3 {machine['stable_baselines3']}, gymnasium {machine['gymnasium']}. {describe(records)} "
        "Brackets: half of the width of a 95% interval, over our agents, or over the episodes of a public agent."
    )


def _sections(found: Found, folder: str) -> Iterator[str]:
    yield f"## Without training (Figure 2)\n\n![Returns without training]({folder}/returns.png)"
    yield _table(("environment", "agents", *WAYS), _rows(found, "zero_shot", _returns))
    yield "The difference from the base, agent by agent or episode by episode:"
    yield _table(("environment", "agents", *WAYS[1:5]), _rows(found, "zero_shot", _differences))
    yield from _verdicts(found)
    yield f"## By how good the agent is\n\n![Gain of equitune by the return of the base]({folder}/gains.png)"
    yield f"## Training\n\n![Returns while training]({folder}/learning.png)\n\nAfter finetuning:"
    yield _table(("environment", "agents", *METHODS), _rows(found, "zero_shot", _finetuned))
    yield "## Reasons: where the twins are"
    near = ("compared with", *NEAR, "equitune's path near")
    yield _table(("environment", "agents", *near), _rows(found, "reasons", _near))
    yield "## Reasons: what the network says of twins"
    yield _table(("environment", "agents", "states of", *AGREEMENT.values()), _rows(found, "reasons", _agreement))
    yield "## Reasons: what comes of it"
    yield _table(("environment", "agents", "going on from", *RETURNS.values()), _rows(found, "reasons", _onwards))
    yield "## Reasons: what the values are worth"
    yield _table(("environment", "agents", "states of", *VALUES.values()), _rows(found, "reasons", _values))


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    rows = list(rows)
    if not rows:
        return "Not measured yet."
    return "\n".join(f"| {' | '.join(line)} |" for line in (header, ["---"] * len(header), *rows))


def _rows(found: Found, stage: str, cells: Any) -> Iterator[list[str]]:
    """Give the rows of all agents that have come to the end of a stage; `cells` gives those of their records."""
    for environment, where in ENVIRONMENTS.items():
        for public in (False, True):
            if records := records_of(found, environment, public, stage):
                count = "public" if public else "ours" if len(records) == SEEDS else f"{len(records)} of {SEEDS} seeds"
                for row in cells(records):
                    yield [where.title, count, *row]


def _returns(records: Sequence[Mapping[str, Any]]) -> Iterator[list[str]]:
    yield [_spread(*returns_of(records, way)[:2]) for way in WAYS]


def _differences(records: Sequence[Mapping[str, Any]]) -> Iterator[list[str]]:
    row = []
    for way in WAYS[1:5]:
        returns = [record["zero_shot"]["returns"] for record in records]
        gains = [own[way]["mean"] - own["base"]["mean"] for own in returns]
        one = returns[0][way]
        spread = (
            half_width(stdev(gains), len(gains))
            if len(gains) > 1
            else half_width(one["deviation of the difference"], one["episodes"])
        )
        row.append(_spread(mean(gains), spread, sign=True))
    yield row


def _verdicts(found: Found) -> Iterator[str]:
    """Say where our means are in the published order."""
    lines = []
    for environment, where in ENVIRONMENTS.items():
        if records := records_of(found, environment, False, "zero_shot"):
            base, equitune, equizero = (returns_of(records, way)[0] for way in METHODS)
            order = "yes" if equizero >= equitune >= base else "no"
            steps = (("equitune", equitune, "base", base), ("equizero", equizero, "equitune", equitune))
            parts = [f"{a} is {'below' if x < y else 'at or above'} {b}" for a, x, b, y in steps]
            lines.append(f"- {where.title}: {order}. By their means, {' and '.join(parts)}.")
    if lines:
        yield "\n".join(["The published order, equizero ≥ equitune ≥ base:", "", *lines])


def _finetuned(records: Sequence[Mapping[str, Any]]) -> Iterator[list[str]]:
    row = []
    for name in METHODS:
        own = [record for record in records if f"finetune_{name}" in record]
        row.append(_spread(*returns_of(own, "finetuned", f"finetune_{name}")[:2]) if own else "")
    if any(row):
        yield row


def _near(records: Sequence[Mapping[str, Any]]) -> Iterator[list[str]]:
    for name in records[0]["reasons"]["near"]:
        own = [record["reasons"]["near"][name] for record in records]
        elsewhere = [record["reasons"]["elsewhere"] for record in records]
        last = _mean(elsewhere, "near path or twins") if name == "its path" else ""
        yield [name, *(_mean(own, key) for key in NEAR), last]


def _agreement(records: Sequence[Mapping[str, Any]]) -> Iterator[list[str]]:
    yield from _of(records, "agreement", AGREEMENT)


def _onwards(records: Sequence[Mapping[str, Any]]) -> Iterator[list[str]]:
    yield from _of(records, "onwards", RETURNS)


def _values(records: Sequence[Mapping[str, Any]]) -> Iterator[list[str]]:
    yield from _of(records, "onwards", VALUES)


def _of(records: Sequence[Mapping[str, Any]], part: str, keys: Iterable[str]) -> Iterator[list[str]]:
    for name in records[0]["reasons"][part]:
        own = [record["reasons"][part][name] for record in records]
        yield [name, *(_mean(own, key) for key in keys)]


def _mean(records: Sequence[Mapping[str, float]], key: str) -> str:
    value = mean(record[key] for record in records)
    return f"{value:.0%}" if key in SHARES else _figure(value)


def _spread(middle: float, width: float, sign: bool = False) -> str:
    shown = f"{'+' if sign and middle > 0 else ''}{_figure(middle)}"
    return f"{shown} (± {_figure(width)})" if width else shown


def _figure(value: float) -> str:
    """Format a return or a value."""
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
