"""The same stage on another machine, or on another number of threads: its figures, and how far they lie apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import mean
from typing import Any

from machine import describe

OTHERS = "others"
"""The key of a page's results that holds those of other machines, by machine and stage."""
UNKNOWN = "a machine that was not recorded"


def keep_beside(own: dict[str, Any], stage: str, results: Mapping[str, Any]) -> None:
    """Keep the results of a stage beside those of a page or a run, under the name of their machine."""
    own.setdefault(OTHERS, {}).setdefault(_machine_of(results), {})[stage] = results


def _machine_of(results: Mapping[str, Any]) -> str:
    """Return the words for the machine of a stage."""
    return describe([{"machine": results["machine"]}]).rstrip(".") if "machine" in results else UNKNOWN


def figures(results: Any, key: str) -> dict[str, float]:
    """Return every number in the results of a stage, by the names that lead to it."""
    if isinstance(results, int | float):
        return {key: float(results)}
    if not isinstance(results, Mapping):
        return {}
    return {path: value for name, part in results.items() for path, value in figures(part, f"{key}, {name}").items()}


def apart(ours: Any, theirs: Any, counts: Callable[[str], bool]) -> list[str]:
    """Return cells: how many figures there are, their mean difference and the largest; nothing if there are none.

    Args:
        ours: The results of a stage.
        theirs: Those of another machine.
        counts: Whether the figure under some names counts, such as `"accuracy, equitune, upright"`.
    """
    one, other = figures(ours, "accuracy"), figures(theirs, "accuracy")
    found = [abs(one[name] - other[name]) for name in one if name in other and counts(name)]
    return [str(len(found)), f"{mean(found):.2f}", f"{max(found):.2f}"] if found else []
