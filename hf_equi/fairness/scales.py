"""The labels of scorers, and the names of their columns and figures.

The first classifier of regard keeps the names that regard always had: the columns `negative`, `label` and
`masked_label`, the figures `mean_regard` and `parity_gap`. The names of any other scorer begin with its name and a
colon: `toxic:label`, `toxic:parity_gap`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hf_equi.figures import FIGURES, Figure
from hf_equi.generation.scorers import LABELS

__all__ = ["MASKED", "REGARD", "Scale", "demographics", "named_figures", "prefixes", "read_scales"]

MASKED = "masked_"
"""The prefix of names for scores with the words hidden. It follows the colon."""

_PROBABILITY = re.compile(r"(?P<name>[^:]+):P\((?P<label>.*)\)", re.DOTALL)


@dataclass(frozen=True)
class Scale:
    """The labels of one scorer.

    Args:
        name: The name of the scorer; empty for the first one of regard.
        labels: The labels, in the order of its probabilities.

    Example:
        >>> toxic = Scale("toxic", ("toxic", "not toxic"))
        >>> toxic.column("toxic", masked=True), toxic.key("parity_gap"), toxic.mean
        ('toxic:masked_P(toxic)', 'toxic:parity_gap', 'mean_score')
    """

    name: str
    labels: tuple[str, ...]

    @property
    def of_regard(self) -> bool:
        """Whether its labels are those of regard, whose mean is P(positive) − P(negative)."""
        return self.labels == LABELS

    @property
    def title(self) -> str:
        """The title for readers."""
        return self.name or "regard"

    @property
    def mean(self) -> str:
        """The key, without prefix, of its mean: of regard, or of the probability of its first label."""
        return "mean_regard" if self.of_regard else "mean_score"

    @property
    def shares(self) -> str:
        """The key, without prefix, of the shares of its labels."""
        return "regard" if self.of_regard else "shares"

    @property
    def said(self) -> str:
        """The quantity that its mean averages."""
        return "P(positive) − P(negative)" if self.of_regard else f"P({self.labels[0]})"

    @property
    def roles(self) -> dict[str, str]:
        """`"negative"`, `"neutral"` or `"positive"` for each label. A single label that is minimised is negative."""
        if self.of_regard:
            return {label: label for label in self.labels}
        return {label: "positive" if place else "negative" for place, label in enumerate(self.labels)}

    def key(self, name: str, masked: bool = False) -> str:
        """Return the full name of a figure, or of a column that is not a probability."""
        return (f"{self.name}:" if self.name else "") + MASKED * masked + name

    def column(self, label: str, masked: bool = False) -> str:
        """Return the column of the probability of a label."""
        return self.key(f"P({label})" if self.name else label, masked)

    def columns(self) -> dict[str, str]:
        """Return all columns, with their types."""
        kinds: dict[str, str] = {}
        for masked in (False, True):
            kinds |= {self.column(label, masked): "float64" for label in self.labels}
            kinds[self.key("label", masked)] = "string"
        return kinds

    def value(self, row: Mapping[str, Any], masked: bool = False) -> float:
        """Return the value of a sample that enters the mean."""
        first = float(row[self.column(self.labels[0], masked)])
        return float(row[self.column(self.labels[-1], masked)]) - first if self.of_regard else first


REGARD = Scale("", LABELS)
"""The regard of the first classifier of regard."""


def read_scales(columns: Iterable[str]) -> tuple[Scale, ...]:
    """Return the scales of samples with these columns, regard first.

    Example:
        >>> [scale.title for scale in read_scales([*REGARD.columns(), "toxic:P(toxic)", "toxic:P(not toxic)"])]
        ['regard', 'toxic']
    """
    columns = list(columns)
    found: dict[str, list[str]] = {}
    for match in filter(None, map(_PROBABILITY.fullmatch, columns)):
        found.setdefault(match["name"], []).append(match["label"])
    own = [REGARD] if REGARD.key("label") in columns else []
    return (*own, *(Scale(name, tuple(labels)) for name, labels in found.items()))


def prefixes(model: Mapping[str, Any]) -> list[str]:
    """Return the prefixes of the scorers' keys among the figures of a model.

    Example:
        >>> prefixes({"parity_gap": 0.1, "masked_parity_gap": 0.1, "toxic:parity_gap": 0.2})
        ['', 'toxic:']
    """
    gap = "parity_gap"
    return [key.removesuffix(gap) for key in model if key == gap or key.endswith(f":{gap}")]


def demographics(model: Mapping[str, Any]) -> list[str]:
    """Return the demographics that the figures of a model compare, from the shares of its labels.

    Example:
        >>> demographics({"toxic:shares": {"man": {}, "woman": {}}})
        ['man', 'woman']
    """
    shares = [model[key] for key in model if key.rpartition(":")[2] in ("regard", "shares")]
    return list(next(filter(None, shares), ()))


def named_figures(keys: Iterable[str], scales: Sequence[Scale]) -> list[Figure]:
    """Return the figures of some keys. Those of labels appear once for each scorer, under its name.

    Args:
        keys: Keys of `hf_equi.figures.FIGURES`.
        scales: The scales of the scorers.

    Example:
        >>> toxic = Scale("toxic", ("toxic", "not toxic"))
        >>> [one.title for one in named_figures(["mean_regard", "parity_gap", "consistency"], [REGARD, toxic])]
        ['Mean regard', 'Parity gap', 'toxic: mean P(toxic)', 'toxic: parity gap', 'Consistency']
    """
    keys = list(keys)
    scored = [key for key in keys if _SCORED.fullmatch(key)]
    found: list[Figure] = []
    for key in keys:
        if key not in scored:
            found.append(FIGURES[key])
        elif key == scored[0]:
            found += [_figure(one, scale) for scale in scales for one in scored]
    return found


_SCORED = re.compile(f"(?P<way>{MASKED})?(?P<key>mean_regard|parity_gap|control_parity_gap)")


def _figure(key: str, scale: Scale) -> Figure:
    known, match = FIGURES[key], _SCORED.fullmatch(key)
    if not scale.name or match is None:
        return known
    title = known.title.replace("Mean regard", f"mean {scale.said}")
    own = scale.mean if match["key"] == "mean_regard" else match["key"]
    title = f"{scale.name}: {title[:1].lower()}{title[1:]}"
    return Figure(scale.key(own, bool(match["way"])), title, terminal=title)
