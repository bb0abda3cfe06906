"""The findings of an audit of images, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from hf_equi import figures
from hf_equi.fairness.verdicts import FEW
from hf_equi.figures import number

__all__ = ["EXACT", "Grade", "per_cent", "sentences", "verdict"]

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
    size = 100 * abs(value) if signed else figures.per_cent(value)
    return f"{sign}{size:.1f} {'points' if signed else '%'}{bounds}"


class Grade(StrEnum):
    """What a model does when pictures are turned, in a few words."""

    SAME = "answers the same in all positions"
    LOGITS = "same answers, different logits"
    DEPENDS = "answers depend on the position"
    TOO_FEW = "too few pictures to tell"


def verdict(model: Mapping[str, Any], pictures: int) -> Grade:
    """Say in a few words what a model does when pictures are turned.

    Below `FEW` pictures, only an interval of the consistency that ends below 1 shows something: that answers depend on
    the position. Equal answers on so few pictures show nothing, since one picture in ten may still be answered
    differently.

    Args:
        model: Its figures, as `summarise` returns them.
        pictures: The number of pictures.
    """
    interval = model["consistency_interval"]
    if pictures < FEW and (interval is None or interval[1] == 1):
        return Grade.TOO_FEW
    if model["logit_difference"] <= EXACT:
        return Grade.SAME
    return Grade.LOGITS if model["consistency"] == 1 else Grade.DEPENDS


def sentences(models: Sequence[Mapping[str, Any]], pictures: int, group: str) -> list[str]:
    """Return the main findings: the first model, and what the best of the others changes and costs.

    Args:
        models: As `summarise` returns them.
        pictures: The number of pictures.
        group: The name of the group.
    """
    first, others = models[0], models[1:]
    shown = f"{pictures:,} picture{'' if pictures == 1 else 's'}"
    said = [
        f"{first['model']} is right on {_share(first, 'accuracy_upright')} of {shown} as they are, and "
        f"on {_share(first, 'accuracy_turned')} when each is moved at random by {group}. For "
        f"{_share(first, 'consistency')} of the pictures its answer stays the same in all positions."
    ]
    if others:
        best = max(others, key=lambda model: (model["accuracy_turned"], model["accuracy_upright"]))
        said += _compared(best, first["model"], pictures < FEW)
    if pictures < FEW:
        said.append(
            f"{shown} {'is' if pictures == 1 else 'are'} too few for firm conclusions: audit at least {FEW}, and "
            "hundreds to tell methods apart."
        )
    return said


def _compared(best: Mapping[str, Any], first: str, few: bool) -> list[str]:
    surely = {key: not few and _excludes_zero(best[f"{key}_interval"]) for key in ("turned_gain", "upright_gain")}
    chance = "" if surely["turned_gain"] else ", which may be chance"
    if surely["upright_gain"]:
        effect = f"wrapping it {'costs' if best['upright_gain'] < 0 else 'gains'} accuracy there."
    else:
        effect = "they do not show whether wrapping it costs anything there."
    times = "once" if best["forwards"] == 1 else f"up to {best['forwards']} times"
    return [
        f"{best['model']} is right on {_share(best, 'accuracy_turned')} of the turned pictures: "
        f"{_gain(best, 'turned_gain')} compared with {first}{chance}. Its base runs {times} for each picture, and "
        f"logits of one picture differ over the orbit by {number(best['logit_difference'])} at most.",
        f"On pictures as they are, {best['model']} is right on {_share(best, 'accuracy_upright')}: "
        f"{_gain(best, 'upright_gain')} compared with {first}, so {effect}",
    ]


def _excludes_zero(interval: Sequence[float] | None) -> bool:
    return interval is not None and (interval[0] > 0 or interval[1] < 0)


def _gain(model: Mapping[str, Any], key: str) -> str:
    return per_cent(model[key], model[f"{key}_interval"], signed=True)


def _share(model: Mapping[str, Any], key: str) -> str:
    return per_cent(model[key], model[f"{key}_interval"])


def _points(value: float) -> str:
    return f"{'−' if value < 0 else ''}{100 * abs(value):.1f}"
