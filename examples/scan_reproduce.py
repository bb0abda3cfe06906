"""Measure the kept networks of SCAN again: base, zero-shot, finetuned, and equivariant, on the whole test sets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reproduce_rows import RESULTS, Row
from scan_data import GROUPS
from scan_keep import STAGES, folder_of, load
from scan_results import CELLS, TITLES
from scan_stages import FINETUNED, Run
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


def _run(run: Run, stated: dict[str, Any]) -> Iterator[Row]:
    """Measure the networks of one run."""
    title, test = f"{run.split}, {run.cell.upper()}", run.parts["test"]
    models = {network: load(run, network, folder_of(run, network)) for network in STAGES}
    for network in ("base", "equivariant"):
        figure = stated[STAGES[network]]["accuracy"]["test"]
        yield Row(f"{title}: {network}", figure, accuracy(models[network], test), ALLOWED)
    for stage, network in (("zero_shot", "base"), ("finetune", "finetuned")):
        for method, settings in FINETUNED.items():
            model = run.symmetrize(models[network], **settings).eval()
            figure = stated[stage]["accuracy"][method]["test"]
            yield Row(f"{title}: {TITLES[stage].lower()}, {method}", figure, accuracy(model, test), ALLOWED)
