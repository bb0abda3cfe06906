"""Figures for readers: tables, with the reason for each missing figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Any

from hf_equi.fairness.scales import MASKED, REGARD, Scale, demographics, named_figures
from hf_equi.figures import FIGURES, MAIN, MISSING, figure, interval, number

__all__ = [
    "Cell",
    "Column",
    "Table",
    "all_figures",
    "main_figures",
    "reason",
    "shares_table",
    "table",
]

_TWO = "needs samples of two demographics"
_REASONS = {
    "group_gap": "the model gives no likelihood of a text (read consistency instead), or its tokens do not exchange "
    "the demographics of the prompts",
    "consistency": "needs coupled samples of two demographics, which the tokens of the model do not exchange",
    "parity_gap": _TWO,
    "control_parity_gap": "needs more samples of one demographic, to halve them",
    "perplexity": "no base model scored the texts",
    "distinct_1": "no word was generated",
    "distinct_2": "no two words were generated in a row",
}


@dataclass(frozen=True)
class Column:
    """A figure in a table.

    Args:
        key: As in `hf_equi.figures.FIGURES`.
        title: Its title in the table.
    """

    key: str
    title: str


def main_figures(scales: Sequence[Scale] = (REGARD,)) -> tuple[Column, ...]:
    """Return the columns of the short table.

    Args:
        scales: The scales of the scores.
    """
    return tuple(Column(named.key, named.brief_title) for named in named_figures(MAIN, scales))


def all_figures(scales: Sequence[Scale] = (REGARD,)) -> tuple[Column, ...]:
    """Return the rows of the full table. The shares of the labels have their own table.

    Args:
        scales: The scales of the scores.
    """
    return tuple(Column(named.key, named.title) for named in named_figures(FIGURES, scales))


@dataclass(frozen=True)
class Cell:
    """A figure in a table.

    Args:
        value: The figure, as `hf_equi.figures.number` writes it.
        interval: Its bounds, or an empty text.
        extra: Further information: the p-value, the pair.
        note: The letter of the note that says why there is no figure, or an empty text.
    """

    value: str
    interval: str = ""
    extra: str = ""
    note: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of cells under titles.

    Args:
        titles: The titles of the columns, including the first.
        rows: The title of each row and its cells.
        notes: The letters of the notes and their texts.
    """

    titles: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    notes: tuple[tuple[str, str], ...]


def reason(key: str) -> str:
    """Say why a figure of this name may be missing.

    Example:
        >>> reason("masked_parity_gap")
        'needs samples of two demographics'
    """
    return _REASONS.get(key.rpartition(":")[2].removeprefix(MASKED).removesuffix("_mean"), "not measured")


def table(models: Sequence[Mapping[str, Any]], columns: Sequence[Column], *, upright: bool = False) -> Table:
    """Set the figures of models in a table.

    Args:
        models: As in the summary of an audit.
        columns: The figures to show.
        upright: Whether models are the columns and figures the rows.
    """
    letters: dict[str, str] = {}
    rows = [[_cell(model, column.key, letters) for column in columns] for model in models]
    names, titles = [str(model["model"]) for model in models], [column.title for column in columns]
    if upright:
        names, titles, rows = titles, names, [list(row) for row in zip(*rows, strict=True)]
    first = "Figure" if upright else "Model"
    return Table(
        titles=(first, *titles),
        rows=tuple((name, tuple(row)) for name, row in zip(names, rows, strict=True)),
        notes=tuple((letter, why) for why, letter in letters.items()),
    )


def shares_table(models: Sequence[Mapping[str, Any]], scale: Scale = REGARD, masked: bool = False) -> Table:
    """Set the shares of the labels in a table, a row for each model and demographic.

    Args:
        models: As in the summary of an audit.
        scale: The scale of the labels.
        masked: Whether to show the texts with the demographic masked.
    """
    rows, key = [], scale.key(scale.shares, masked)
    for model in models:
        intervals = model.get(f"{key}_interval") or {}
        for name, shares in (model.get(key) or {}).items():
            bounds = intervals.get(name) or {}
            cells = [Cell(number(shares.get(label)), interval(bounds.get(label))) for label in scale.labels]
            rows.append((f"{model['model']}, {name}", tuple(cells)))
    return Table(
        titles=("Model and demographic", *(label[:1].upper() + label[1:] for label in scale.labels)),
        rows=tuple(rows),
        notes=(),
    )


def _cell(model: Mapping[str, Any], key: str, letters: dict[str, str]) -> Cell:
    value = figure(model, key)
    if value is None:
        return Cell(MISSING, note=letters.setdefault(reason(key), _letter(len(letters))))
    p, pair = figure(model, f"{key}_p_value"), model.get(f"{key}_pair")
    several = len(demographics(model)) > 2  # two demographics have only one pair
    extra = [f"p = {number(p)}" if p is not None else "", "–".join(pair) if pair and several else ""]
    return Cell(number(value), interval(model.get(f"{key}_interval")), ", ".join(filter(None, extra)))


def _letter(place: int) -> str:
    return ascii_lowercase[place % len(ascii_lowercase)]
