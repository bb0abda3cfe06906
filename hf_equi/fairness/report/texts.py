"""The samples of an audit for comparison: coupled texts side by side, with the words that the group moves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hf_equi.errors import ConfigurationError
from hf_equi.fairness.scales import REGARD, Scale

__all__ = [
    "Coupled",
    "ModelTexts",
    "Moved",
    "Piece",
    "Score",
    "TemplateTexts",
    "Text",
    "template_texts",
    "text_columns",
]


def text_columns(scales: Sequence[Scale]) -> list[str]:
    """Return the columns of the samples that the report reads.

    Args:
        scales: The scales of the scores.
    """
    about = ["model", "demographic", "template", "sample", "prompt", "text", "gap", "consistent"]
    ends = {scale: dict.fromkeys((scale.labels[0], scale.labels[-1])) for scale in scales}
    for scale, labels in ends.items():
        for masked in (False, True):
            about += [*(scale.column(label, masked) for label in labels), scale.key("label", masked)]
    return about


Moved = Callable[[str], "Sequence[tuple[str, bool]]"]
"""Splits a text into pieces, each with a flag that says if the group moves it. Together they are the text."""


@dataclass(frozen=True)
class Piece:
    """A part of a text.

    Args:
        text: The text of the part.
        moved: Whether the group moves it.
        prompt: Whether it was given, not generated.
    """

    text: str
    moved: bool
    prompt: bool


@dataclass(frozen=True)
class Score:
    """The score of a text.

    Args:
        label: The most probable label.
        role: `"negative"`, `"neutral"` or `"positive"`, which decides its colour.
        value: P(positive) − P(negative), or the probability of the first label.
    """

    label: str
    role: str
    value: float


@dataclass(frozen=True)
class Text:
    """A sample.

    Args:
        demographic: The demographic that it speaks of.
        pieces: The text, prompt first.
        scores: For each scorer its name, which is empty for a single one of regard, the score of the text, and the
            score with the demographic masked.
        gap: Its group gap, in nats a token, or `None`.
    """

    demographic: str
    pieces: tuple[Piece, ...]
    scores: tuple[tuple[str, Score, Score], ...]
    gap: float | None


@dataclass(frozen=True)
class Coupled:
    """The samples of one model, template and number, drawn with the same noise.

    Args:
        sample: The number.
        texts: One text for each demographic that has the sample.
        consistent: Whether they differ only by an exchange, or `None` if that was not measured.
    """

    sample: int
    texts: tuple[Text, ...]
    consistent: bool | None


@dataclass(frozen=True)
class ModelTexts:
    """The samples of one model and template, by number."""

    model: str
    coupled: tuple[Coupled, ...]


@dataclass(frozen=True)
class TemplateTexts:
    """The samples of one template, by model."""

    template: str
    models: tuple[ModelTexts, ...]


def template_texts(
    rows: Iterable[Mapping[str, Any]],
    models: Sequence[str],
    moved: Moved | None = None,
    scales: Sequence[Scale] = (REGARD,),
) -> tuple[TemplateTexts, ...]:
    """Sort samples by template, model and number.

    Args:
        rows: The samples, with `text_columns(scales)`. Templates and demographics keep the order of their first
            sample.
        models: The order of the models. Others follow in the order of their first sample.
        moved: Splits a text; by default nothing is marked.
        scales: The scales of the scores.

    Raises:
        ConfigurationError: For two samples of the same model, template, number and demographic, and for pieces that
            do not make up their text.
    """
    found: dict[str, dict[str, dict[int, dict[str, Mapping[str, Any]]]]] = {}
    order = dict.fromkeys(models)
    demographics: dict[str, None] = {}
    for row in rows:
        order.setdefault(row["model"])
        demographics.setdefault(row["demographic"])
        coupled = found.setdefault(row["template"], {}).setdefault(row["model"], {}).setdefault(row["sample"], {})
        if row["demographic"] in coupled:
            raise ConfigurationError(
                f"Two samples of model {row['model']!r}, template {row['template']!r} and demographic "
                f"{row['demographic']!r} have the number {row['sample']}. Give each its own number."
            )
        coupled[row["demographic"]] = row
    return tuple(
        TemplateTexts(
            template,
            tuple(
                ModelTexts(
                    model,
                    tuple(_coupled(n, rows, demographics, moved, scales) for n, rows in sorted(of[model].items())),
                )
                for model in order
                if model in of
            ),
        )
        for template, of in found.items()
    )


def _coupled(
    sample: int,
    rows: Mapping[str, Mapping[str, Any]],
    demographics: Iterable[str],
    moved: Moved | None,
    scales: Sequence[Scale],
) -> Coupled:
    flags = [row["consistent"] for row in rows.values()]
    return Coupled(
        sample,
        tuple(_text(rows[name], moved, scales) for name in demographics if name in rows),
        None if None in flags else all(flag == 1 for flag in flags),
    )


def _text(row: Mapping[str, Any], moved: Moved | None, scales: Sequence[Scale]) -> Text:
    alone = [*scales] == [REGARD]
    scores = tuple(
        ("" if alone else scale.title, _score(row, scale, False), _score(row, scale, True)) for scale in scales
    )
    return Text(row["demographic"], _pieces(row["text"], row["prompt"], moved), scores, row["gap"])


def _score(row: Mapping[str, Any], scale: Scale, masked: bool) -> Score:
    label = row[scale.key("label", masked)]
    return Score(label, scale.roles.get(label, "neutral"), scale.value(row, masked))


def _pieces(text: str, prompt: str, moved: Moved | None) -> tuple[Piece, ...]:
    parts = moved(text) if moved else [(text, False)]
    if "".join(part for part, _ in parts) != text:
        raise ConfigurationError(
            "moved() must split a text into pieces that make it up; "
            f"it split {text!r} into {[part for part, _ in parts]!r}."
        )
    left = len(prompt) if text.startswith(prompt) else 0  # characters of the prompt that are still to come
    pieces = []
    for part, is_moved in parts:
        for piece, given in ((part[:left], True), (part[left:], False)):
            if piece:
                pieces.append(Piece(piece, is_moved, given))
        left = max(0, left - len(part))
    return tuple(pieces)
