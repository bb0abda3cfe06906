"""The findings of an audit of images, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hf_equi.figures import number

__all__ = ["EXACT", "per_cent", "sentences", "verdict"]

EXACT = 1e-3
"""The largest difference of logits that counts as rounding in float32. Logits are of the order of ten."""


def per_cent(value: float | None, interval: Sequence[float] | None = None, signed: bool = False) -> str:
    """Write a share in per cent, with its interval.

    Example:
        >>> per_cent(0.824, [0.78, 0.871]), per_cent(-0.05, signed=True), per_cent(None)
        ('82.4 % (78.0 to 87.1)', '−5.0 points', '–')
    """
    if value is None:
        return "–"
    sign = "−" if value < 0 else "+" if signed and value > 0 else ""
    bounds = "" if interval is None else f" ({' to '.join(_points(bound) for bound in interval)})"
    return f"{sign}{100 * abs(value):.1f} {'points' if signed else '%'}{bounds}"


def verdict(model: Mapping[str, Any]) -> str:
    """Say in a few words what a model does when pictures are turned."""
    if model["logit_difference"] <= EXACT:
        return "answers the same in all positions"
    if model["consistency"] == 1:
        return "same answers, different logits"
    return "answers depend on the position"


def sentences(models: Sequence[Mapping[str, Any]], pictures: int, group: str) -> list[str]:
    """Return the main findings: the first model, and what the best of the others changes and costs.

    Args:
        models: As `summarise` returns them.
        pictures: The number of pictures.
        group: The name of the group.
    """
    first, others = models[0], models[1:]
    said = [
        f"{first['model']} is right on {_share(first, 'accuracy_upright')} of {pictures:,} pictures as they are, and "
        f"on {_share(first, 'accuracy_turned')} when each is moved at random by {group}. For "
        f"{_share(first, 'consistency')} of the pictures its answer stays the same in all positions."
    ]
    if others:
        best = max(others, key=lambda model: (model["accuracy_turned"], model["accuracy_upright"]))
        said.append(_compared(best, first["model"]))
    return said


def _compared(best: Mapping[str, Any], first: str) -> str:
    gain, interval = best["turned_gain"], best["turned_gain_interval"]
    surely = interval is not None and (interval[0] > 0 or interval[1] < 0)
    change = f"{per_cent(gain, interval, signed=True)} over {first}" + ("" if surely else ", which may be chance")
    return (
        f"{best['model']} is right on {_share(best, 'accuracy_turned')} of the turned pictures: {change}. Upright "
        f"it is right on {_share(best, 'accuracy_upright')}: {per_cent(best['upright_gain'], signed=True)}. It reads "
        f"each picture in up to {best['forwards']} positions, and logits of one picture differ over the orbit by "
        f"{number(best['logit_difference'])} at most."
    )


def _share(model: Mapping[str, Any], key: str) -> str:
    return per_cent(model[key], model[f"{key}_interval"])


def _points(value: float) -> str:
    return f"{'−' if value < 0 else ''}{100 * abs(value):.1f}"
