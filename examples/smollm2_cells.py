"""Cells of the tables about a real language model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hf_equi.figures import number


def cell(value: float | None, bounds: Sequence[float] | None = None) -> str:
    """Format a number with its interval."""
    return number(value) + (f" ({number(bounds[0])} to {number(bounds[1])})" if bounds else "")


def share(entry: Mapping[str, Any]) -> str:
    """Format a share in per cent with its interval; a single word has no interval."""
    bounds = [f"{100 * bound:.1f}" for bound in entry["interval"] or ()]
    return f"{100 * entry['mean']:.1f} %" + (f" ({' to '.join(bounds)})" if bounds else "")


def plain(text: str) -> str:
    """Return a text that fits in one cell of a table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
