"""The figures of an audit: what terminals, reports and cards call them, and how their numbers are written."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = [
    "EXACT",
    "FIGURES",
    "MAIN",
    "MISSING",
    "Figure",
    "figure",
    "interval",
    "listed",
    "number",
    "per_cent",
    "plain_number",
    "short_number",
]

EXACT = 1e-5
"""The bound, in nats a token, that an exact method stays below in float32."""

MISSING = "–"
"""The sign for a missing figure."""

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Figure:
    """A figure of the summary and its names.

    Args:
        key: Its name in the summary. `key_interval`, `key_p_value` and `key_pair` go with it, if the summary has them.
        title: Its name among all figures.
        brief: Its name among the main figures, if different.
        terminal: Its name in a terminal, if it is not the title in lower case.
        card: Its name on a model card, if it appears there.
    """

    key: str
    title: str
    brief: str = ""
    terminal: str = ""
    card: str = ""

    @property
    def brief_title(self) -> str:
        """Its name among the main figures."""
        return self.brief or self.title

    @property
    def terminal_title(self) -> str:
        """Its name in a terminal."""
        return self.terminal or self.title.lower()


FIGURES = {
    figure.key: figure
    for figure in (
        Figure("samples", "Samples"),
        Figure("mean_regard", "Mean regard", card="Mean regard"),
        Figure("masked_mean_regard", "Mean regard, words hidden"),
        Figure("parity_gap", "Parity gap", card="Parity gap"),
        Figure("control_parity_gap", "Noise floor", card="Noise floor of the parity gap"),
        Figure("masked_parity_gap", "Parity gap, words hidden", card="Parity gap, words hidden"),
        Figure("masked_control_parity_gap", "Noise floor, words hidden"),
        Figure(
            "group_gap",
            "Group gap, largest",
            brief="Group gap",
            terminal="group gap (nats a token)",
            card="Group-theoretic gap, nats a token",
        ),
        Figure("group_gap_mean", "Group gap, mean", terminal="  mean"),  # stands below the group gap
        Figure("consistency", "Consistency", card="Consistency"),
        Figure("perplexity", "Perplexity", card="Perplexity of its texts under the base"),
        Figure("distinct_1", "Distinct-1"),
        Figure("distinct_2", "Distinct-2"),
    )
}
"""The figures by key, in the order of the full table. The shares of the labels have their own table."""

MAIN = (
    "mean_regard",
    "parity_gap",
    "masked_parity_gap",
    "control_parity_gap",
    "group_gap",
    "consistency",
    "perplexity",
    "distinct_1",
    "distinct_2",
)
"""The keys of the main figures, in the order of the short table and of a card."""


def figure(model: Mapping[str, Any], key: str) -> float | None:
    """Return a figure of a model, or `None` if it is missing or not a number."""
    value = model.get(key)
    return None if value is None or math.isnan(value) else value


def listed(names: Sequence[str]) -> str:
    """Join names as in a sentence.

    Example:
        >>> listed(["man"]), listed(["man", "woman"]), listed(["Asian", "Black", "White"])
        ('man', 'man and woman', 'Asian, Black and White')
    """
    return " and ".join([*filter(None, [", ".join(names[:-1])]), *names[-1:]])


def interval(bounds: Iterable[float] | None) -> str:
    """Write an interval; an empty text if there is none.

    Example:
        >>> interval([0.1, 0.25])
        '0.100 to 0.250'
    """
    return " to ".join(map(number, bounds)) if bounds else ""


def number(value: float | None) -> str:
    """Write a number with the digits that a reader can use.

    Example:
        >>> [number(x) for x in (None, 0.0, 0.21049, -0.5, 23.456, 1234.5, 1000, 3.21e-7)]
        ['–', '0', '0.210', '−0.500', '23.5', '1,234', '1,000', '3.2×10⁻⁷']
    """
    if value is None or math.isnan(value):
        return MISSING
    size = abs(value)
    if isinstance(value, int):
        text = f"{size:,}"
    elif math.isinf(value):
        text = "∞"
    elif size == 0:
        return "0"
    elif size < 0.00095:  # would round to less than 0.001
        mantissa, exponent = f"{size:.1e}".split("e")
        text = f"{mantissa}×10{str(int(exponent)).translate(_SUPERSCRIPTS)}"
    else:
        text = f"{size:.3f}" if size < 10 else f"{size:.1f}" if size < 1000 else f"{size:,.0f}"
    return f"−{text}" if value < 0 else text


def per_cent(share: float) -> float:
    """Return a share in per cent, to one decimal, which is how tables round it. Only 0 is 0, and only 1 is 100.

    Example:
        >>> [per_cent(x) for x in (0, 0.0667, 1 - 0.0667, 0.0001, 0.9999, 1)]
        [0.0, 6.7, 93.3, 0.1, 99.9, 100.0]
    """
    return 100.0 * share if share in (0, 1) else min(max(round(100 * round(share, 3), 1), 0.1), 99.9)


def plain_number(value: float | None) -> str:
    """Write a number as programs read it, for lines in a terminal or in a pipe.

    Example:
        >>> [plain_number(x) for x in (None, 0.0, 0.21049, -0.5, 23.456, 1234.5, 3.21e-7)]
        ['–', '0.000', '0.210', '-0.500', '23.456', '1234.5', '3.2e-07']
    """
    if value is None:
        return MISSING
    return f"{value:.1e}" if 0 < abs(value) < 0.001 else f"{value:.3f}" if abs(value) < 100 else f"{value:.1f}"


def short_number(value: float) -> str:
    """Write a bound in few characters, for columns side by side.

    Example:
        >>> [short_number(x) for x in (0.0, 0.21049, 0.0049, 3.21e-7)]
        ['0.00', '0.21', '0.005', '3e-07']
    """
    return f"{value:.0e}" if 0 < abs(value) < 0.001 else f"{value:.3f}" if 0 < abs(value) < 0.01 else f"{value:.2f}"
