"""The records of the experiments on moved CIFAR-10, seed by seed, and how far they differ between machines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from machine import describe
from vision_stages import STAGES, Run

Found = dict[str, dict[str, Any]]
"""The results by run (`"architecture/seed0"`) and then by stage. `OTHERS` holds those of other machines."""
ALL_STAGES = ("base", *STAGES)
OTHERS = "others"
UNKNOWN = "a machine that was not recorded"


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
                    _keep_beside(own, stage, before)
                own[stage] = results
                found[_name(run)] = own
    for run in elsewhere:
        for stage in stages:
            results, own = run.results(stage), found.get(_name(run), {})
            # What is of the same machine, as a base that was copied, is the same.
            if results is not None and stage in own and results.get("machine") != own[stage].get("machine"):
                _keep_beside(own, stage, results)
    return found


def _name(run: Run) -> str:
    return f"{run.architecture}/seed{run.seed}"


def _keep_beside(own: dict[str, Any], stage: str, results: Mapping[str, Any]) -> None:
    """Keep the results of a stage beside those of a run, under the name of their machine."""
    own.setdefault(OTHERS, {}).setdefault(_machine_of(results), {})[stage] = results


def _machine_of(results: Mapping[str, Any]) -> str:
    """Return the words for the machine of a stage."""
    return describe([{"machine": results["machine"]}]).rstrip(".") if "machine" in results else UNKNOWN


def all_stages(found: Found) -> list[dict[str, Any]]:
    """Return the results of all stages of a page, without those of other machines."""
    return [results for own in found.values() for stage, results in own.items() if stage != OTHERS]


def figures(results: Any, key: str = "accuracy") -> dict[str, float]:
    """Return every accuracy in the results of a stage, in per cent, by the names that lead to it."""
    if isinstance(results, int | float):
        return {key: float(results)}
    if not isinstance(results, Mapping):
        return {}
    return {path: value for name, part in results.items() for path, value in figures(part, f"{key}, {name}").items()}


def differences(found: Found) -> Iterator[list[str]]:
    """Return a row for each stage that ran on another machine too: how far its accuracies lie apart."""
    for run, own in sorted(found.items()):
        for machine, stages in own.get(OTHERS, {}).items():
            for stage in ALL_STAGES:
                if stage in stages and stage in own:
                    ours, theirs = (figures(results.get("accuracy")) for results in (own[stage], stages[stage]))
                    apart = [abs(ours[name] - theirs[name]) for name in ours if name in theirs and _counts(name)]
                    if apart:  # the stage of the spatial level measures differences instead
                        yield [run, stage, machine, str(len(apart)), f"{mean(apart):.2f}", f"{max(apart):.2f}"]


def _counts(name: str) -> bool:
    """Whether a figure is an accuracy on test images."""
    return name.rpartition(", ")[2] in ("moved", "upright", "rot90", "flip")
