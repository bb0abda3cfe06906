"""Write what a real language model does with words of several tokens: tables for the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from imagenet_results import table
from smollm2_cells import cell, plain
from smollm2_composed import LEAST

from hf_equi.figures import number

Found = Mapping[str, Any]

COUNTED = {"sets": "sets", "words": "words", "spellings": "spellings"}


def composed_words_section(own: Found, _: Path) -> Iterator[str]:
    """Yield how many words of each group move."""
    yield "## Words of several tokens: which move"
    yield (
        "Sets and words count as they are listed, in the middle of a text. Spellings are all that a set stands for "
        "(lower case, Capitalised, UPPER and so on), inside a text and at its start. Each cell says how many move "
        'with the token rule, and with `multi_token="compose"`.'
    )

    def rows() -> Iterator[list[str]]:
        for name, entry in _groups(own):
            cells = []
            for what in COUNTED:
                before, after = entry[f"{what}_moving"]
                cells.append(f"{_of(before, entry[what])}; {_of(after, entry[what])}")
            yield [name, *cells]

    yield table(["group", *COUNTED.values()], rows())
    yield "The sets that move only when composed:"
    gained = [[name, plain(", ".join(entry["gained"])) or "none"] for name, entry in _groups(own)]
    yield table(["group", "sets"], gained)


def _groups(own: Found) -> list[tuple[str, Any]]:
    return [(name, entry) for name, entry in own.items() if isinstance(entry, Mapping) and "sets" in entry]


def _of(count: int, whole: int) -> str:
    return f"{count} of {whole} ({count / whole:.0%})"


def composed_gaps_section(own: Found, _: Path) -> Iterator[str]:
    """Yield how exact the symmetry is."""
    yield "## Words of several tokens: the group gap"
    yield (
        "The prompts hold words that move only when composed. Each has texts that the base drew, and a written one "
        "with another such word. The gap is the change of the log-likelihood of a text, in nats a token, when prompt "
        "and text are moved. The last column is the largest change of the log-probability of a next token that "
        f"nothing moves and that has a probability of at least 1 in {1 / LEAST:,.0f}. With `look_ahead=0`, texts are "
        "short and few."
    )

    def rows() -> Iterator[list[str]]:
        for name, entry in own.items():
            for model, gaps in entry["models"].items() if isinstance(entry, Mapping) and "models" in entry else ():
                figures = (number(gaps[key]) for key in ("largest", "mean", "next_token"))
                yield [name, model, str(gaps["prompts"]), str(gaps["texts"]), *figures]

    yield table(["group", "model", "prompts", "pairs of texts", "largest gap", "mean gap", "next token"], rows())


def composed_texts_section(own: Found, _: Path) -> Iterator[str]:
    """Yield texts beside their images."""
    yield "## Words of several tokens: texts beside their images"
    yield "Greedy texts, and the first that were drawn with the seed. Nothing was selected."

    def rows() -> Iterator[list[str]]:
        for entry in own.values():
            for way, models in entry.items() if isinstance(entry, Mapping) else ():
                for model, written in models.items() if isinstance(models, Mapping) else ():
                    yield [way, model, *map(plain, written)]

    yield table(["", "model", "prompt", "its image"], rows())


def composed_lines_section(own: Found, _: Path) -> Iterator[str]:
    """Yield what looking ahead is worth."""
    yield "## Words of several tokens: likelihood"
    share = own["found"] / own["read"]
    corpora, short = ", ".join(own["corpora"]), own["figures"]["short"]
    yield (
        f"Of {own['read']:,} lines, {own['found']:,} ({share:.1%}) hold a word of gender that has several tokens, or "
        f"whose image has several, behind the first token. {own['figures']['with']['lines']} of them were drawn, from "
        f"{corpora}. *Plain text* is that of the section of this name. Figures are nats a token more than the base. "
        f"The last column is of the first {short['lines']} of the drawn lines, cut to {_longest(short)} tokens."
    )

    def rows() -> Iterator[list[str]]:
        parts = [own["figures"][part]["models"] for part in ("with", "plain", "short")]
        for model in parts[2]:
            cells = [cell(part[model]["more"]["mean"], part[model]["more"]["interval"]) if model in part else "–"
                     for part in parts]  # fmt: skip
            yield [model, *cells]

    yield table(["model", "lines with such words", "plain text", "short lines"], rows())
    nats = [own["figures"][part]["models"]["base"]["nats"]["mean"] for part in ("with", "plain", "short")]
    yield f"The base needs {number(nats[0])}, {number(nats[1])} and {number(nats[2])} nats a token on the three."


def _longest(part: Found) -> int:
    return round(part["tokens"] / part["lines"]) + 1


COMPOSED_SECTIONS = {
    "composed_words": composed_words_section,
    "composed_gaps": composed_gaps_section,
    "composed_texts": composed_texts_section,
    "composed_lines": composed_lines_section,
}
