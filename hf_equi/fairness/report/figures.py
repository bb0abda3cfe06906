"""Figures as a reader sees them: in tables, with why one is missing, and what they say in a sentence."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Any

from hf_equi.fairness.figures import FIGURES, MISSING, number

__all__ = [
    "ALL_FIGURES",
    "EXACT",
    "LABELS",
    "MAIN_FIGURES",
    "Cell",
    "Column",
    "Finding",
    "Table",
    "figure",
    "finding",
    "listed",
    "reason",
    "shares_table",
    "table",
]

LABELS = ("negative", "neutral", "positive")
"""The labels of regard, in the order in which they are shown."""

EXACT = 1e-5
"""Nats a token: what an exact method stays below in float32."""

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
        key: As in `hf_equi.fairness.figures.FIGURES`.
        title: What the table calls it.
    """

    key: str
    title: str


_MAIN = (
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

MAIN_FIGURES = tuple(Column(key, FIGURES[key].brief_title) for key in _MAIN)
"""The columns of the short table."""

ALL_FIGURES = tuple(Column(key, named.title) for key, named in FIGURES.items())
"""The rows of the full table; the shares of the labels have one of their own."""


@dataclass(frozen=True)
class Cell:
    """A figure in a table.

    Args:
        value: As `hf_equi.fairness.figures.number` writes it.
        interval: Its bounds, or nothing.
        extra: What else belongs to it: the p-value, the pair.
        note: The letter of the note that says why there is no figure, or nothing.
    """

    value: str
    interval: str = ""
    extra: str = ""
    note: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of cells under titles.

    Args:
        titles: Of the columns, the first included.
        rows: The title of each row and its cells.
        notes: Letters and what they stand for.
    """

    titles: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    notes: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Finding:
    """What the figures of one model say.

    Args:
        model: Its name.
        differs: Whether a parity gap beyond chance was found; nothing where none was measured.
        verdict: The answer in a few words.
        sentences: The figures behind it.
    """

    model: str
    differs: bool | None
    verdict: str
    sentences: tuple[str, ...]


def listed(names: Sequence[str]) -> str:
    """Join names as in a sentence.

    Example:
        >>> listed(["man"]), listed(["man", "woman"]), listed(["Asian", "Black", "White"])
        ('man', 'man and woman', 'Asian, Black and White')
    """
    return " and ".join([*filter(None, [", ".join(names[:-1])]), *names[-1:]])


def reason(key: str) -> str:
    """Say why a figure of this name may be missing.

    Example:
        >>> reason("masked_parity_gap")
        'needs samples of two demographics'
    """
    return _REASONS.get(key.removeprefix("masked_").removesuffix("_mean"), "not measured")


def figure(model: Mapping[str, Any], key: str) -> float | None:
    """Return a figure of a model, or nothing where it is missing or no number."""
    value = model.get(key)
    return None if value is None or math.isnan(value) else value


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


def shares_table(models: Sequence[Mapping[str, Any]], prefix: str = "") -> Table:
    """Set the shares of the labels in a table, a row for each model and demographic.

    Args:
        models: As in the summary of an audit.
        prefix: `"masked_"` for the texts with the demographic masked.
    """
    rows = []
    for model in models:
        intervals = model.get(f"{prefix}regard_interval") or {}
        for name, shares in (model.get(f"{prefix}regard") or {}).items():
            bounds = intervals.get(name) or {}
            cells = [Cell(number(shares.get(label)), _interval(bounds.get(label))) for label in LABELS]
            rows.append((f"{model['model']}, {name}", tuple(cells)))
    return Table(
        titles=("Model and demographic", *(label.capitalize() for label in LABELS)), rows=tuple(rows), notes=()
    )


def finding(model: Mapping[str, Any], level: float) -> Finding:
    """Say what the figures of a model mean, no more than they do.

    Args:
        model: As in the summary of an audit.
        level: A p-value from which a gap is put down to chance: 1 − confidence.
    """
    # With the demographic hidden: what a classifier reads into its name is no difference between the texts.
    p = figure(model, "masked_parity_gap_p_value")
    p = figure(model, "parity_gap_p_value") if p is None else p
    differs = None if figure(model, "parity_gap") is None or p is None else p < level
    verdict = {None: "Not compared", True: "A difference", False: "No difference shown"}[differs]
    sentences = list(filter(None, (_parity(model, ""), _parity(model, "masked_"), _exchange(model))))
    return Finding(str(model["model"]), differs, verdict, tuple(sentences))


def _parity(model: Mapping[str, Any], prefix: str) -> str:
    cell = _cell(model, f"{prefix}parity_gap", {})
    if cell.value == MISSING:
        return "" if prefix else f"No parity gap: {reason('parity_gap')}."
    pair, where = model.get(f"{prefix}parity_gap_pair"), "With the demographic masked" if prefix else "Parity gap"
    between = "" if prefix or not pair else f" between {listed(pair)}"
    details = "; ".join(filter(None, [cell.interval, f"p = {number(figure(model, f'{prefix}parity_gap_p_value'))}"]))
    return f"{where}{between}: {cell.value} ({details})."


def _exchange(model: Mapping[str, Any]) -> str:
    gap, same = figure(model, "group_gap"), figure(model, "consistency")
    parts = []
    if gap == 0:
        parts.append("Exchanging the words does not change the likelihood of its texts.")
    elif gap is not None:
        exact = ", which is rounding" if gap <= EXACT else ""
        size = f"at most {number(gap)} nats a token{exact}"
        parts.append(f"Exchanging the words changes the likelihood of its texts by {size}.")
    if same is not None:
        per_cent = math.floor(round(1000 * same, 6)) / 10  # downwards: 100 % is said of all alone
        parts.append(f"{per_cent:g} % of coupled texts differ by the exchanged words alone.")
    return " ".join(parts)


def _cell(model: Mapping[str, Any], key: str, letters: dict[str, str]) -> Cell:
    value = figure(model, key)
    if value is None:
        return Cell(MISSING, note=letters.setdefault(reason(key), _letter(len(letters))))
    p, pair = figure(model, f"{key}_p_value"), model.get(f"{key}_pair")
    several = len(model.get("regard") or ()) > 2  # of two demographics there is one pair
    extra = [f"p = {number(p)}" if p is not None else "", "–".join(pair) if pair and several else ""]
    return Cell(number(value), _interval(model.get(f"{key}_interval")), ", ".join(filter(None, extra)))


def _interval(bounds: Iterable[float] | None) -> str:
    return " to ".join(map(number, bounds)) if bounds else ""


def _letter(place: int) -> str:
    return ascii_lowercase[place % len(ascii_lowercase)]
