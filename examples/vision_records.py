"""The records of the experiments on moved CIFAR-10, seed by seed, and how far they differ between machines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from elsewhere import OTHERS, apart, keep_beside
from vision_stages import STAGES, Run

Found = dict[str, dict[str, Any]]
"""The results by run (`"architecture/seed0"`) and then by stage. `OTHERS` holds those of other machines."""
ALL_STAGES = ("base", *STAGES)


def gather(
    runs: Sequence[Run], earlier: Path, elsewhere: Sequence[Run] = (), stages: Sequence[str] = ALL_STAGES
) -> Found:
    """Return the results of all finished stages, and those of an earlier page.

    A stage replaces only itself. If it ran on another machine, what it replaces is kept beside it to compare.

    Args:
        runs: The runs of the page.
        earlier: The results of an earlier page, if there is one.
        elsewhere: The same runs on another machine, or on another number of threads, only to compare.
        stages: The stages of the runs.
    """
    found: Found = json.loads(earlier.read_text(encoding="utf-8")) if earlier.is_file() else {}
    for run in runs:
        own = found.get(_name(run), {})
        for stage in stages:
            before = own.get(stage)
            # What a stage has found so far does not replace what an earlier one found in the end.
            results = run.progress(stage) if before is None else run.results(stage)
            if results is not None:
                if before is not None and before.get("machine") != results.get("machine"):
                    keep_beside(own, stage, before)
                own[stage] = results
                found[_name(run)] = own
    for run in elsewhere:
        for stage in stages:
            results, own = run.results(stage), found.get(_name(run), {})
            # What is of the same machine, as a base that was copied, is the same.
            if results is not None and stage in own and results.get("machine") != own[stage].get("machine"):
                keep_beside(own, stage, results)
    return found


def _name(run: Run) -> str:
    return f"{run.architecture}/seed{run.seed}"


def all_stages(found: Found) -> list[dict[str, Any]]:
    """Return the results of all stages of a page, without those of other machines."""
    return [results for own in found.values() for stage, results in own.items() if stage != OTHERS]


def differences(found: Found) -> Iterator[list[str]]:
    """Return a row for each stage that ran on another machine too: how far its accuracies lie apart."""
    for run, own in sorted(found.items()):
        for machine, stages in own.get(OTHERS, {}).items():
            for stage in ALL_STAGES:
                if stage in stages and stage in own:
                    cells = apart(own[stage].get("accuracy"), stages[stage].get("accuracy"), _counts)
                    if cells:  # the stage of the spatial level measures differences instead
                        yield [run, stage, machine, *cells]


def _counts(name: str) -> bool:
    """Whether a figure is an accuracy on test images."""
    return name.rpartition(", ")[2] in ("moved", "upright", "rot90", "flip")
