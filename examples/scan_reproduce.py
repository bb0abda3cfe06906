"""Measure the kept networks of SCAN again: base, zero-shot, finetuned, and equivariant, on the whole test sets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reproduce_rows import RESULTS, Row
from scan_data import GROUPS
from scan_keep import OURS, folder_of, kept_of, load
from scan_results import CELLS, TITLES
from scan_stages import FINETUNED, SETTINGS, Run
from scan_training import accuracy

ALLOWED = 0.5
"""Per cent of the test set. Half precision of the weights turns single answers of a network that is unsure."""


def rows(data: Path) -> Iterator[Row]:
    """Measure, a row at a time."""
    stated = json.loads((RESULTS / "scan" / "results.json").read_text(encoding="utf-8"))
    for split in sorted(GROUPS):
        for cell in CELLS:
            run = Run(data / "scan", Path(), split, cell, seed=0)
            yield from _run(run, stated[run.name])
            yield from _published(Run(data / "scan", Path(), split, cell, 0, SETTINGS[1]), stated)


def _run(run: Run, stated: dict[str, Any]) -> Iterator[Row]:
    """Measure the networks of one run."""
    title, test = f"{run.split}, {run.cell.upper()}", run.parts["test"]
    models = {network.kind: load(run, network, folder_of(run, network)) for network in OURS}
    for network in OURS:
        if network.kind != "finetuned":
            figure = stated[network.stage]["accuracy"]["test"]
            yield Row(f"{title}: {network.kind}", figure, accuracy(models[network.kind], test), ALLOWED)
    for stage, kind in (("zero_shot", "base"), ("finetune", "finetuned")):
        for method, settings in FINETUNED.items():
            model = run.symmetrize(models[kind], **settings).eval()
            figure = stated[stage]["accuracy"][method]["test"]
            yield Row(f"{title}: {TITLES[stage].lower()}, {method}", figure, accuracy(model, test), ALLOWED)


def _published(run: Run, stated: dict[str, Any]) -> Iterator[Row]:
    """Measure what is kept of a run with the published settings."""
    for network in kept_of(run):
        model: Any = load(run, network, folder_of(run, network))
        figures, title = stated[run.name][network.stage]["accuracy"], f"{run.split}, {run.cell.upper()}, published"
        if network.method is not None:
            figures = figures[network.method]
            model = run.symmetrize(model, **FINETUNED[network.method.partition(",")[0]]).eval()
        name = network.kind if network.method is None else f"finetuned, {network.method}"
        yield Row(f"{title}: {name}", figures["test"], accuracy(model, run.parts["test"]), ALLOWED)
