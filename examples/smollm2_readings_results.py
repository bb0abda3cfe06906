"""Write what a real language model does with "him", "his" and "her": tables for the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from imagenet_results import table
from smollm2_cells import cell
from smollm2_readings import CLEAR

from hf_equi.figures import number

Found = Mapping[str, Any]


def readings_section(own: Found, _: Path) -> Iterator[str]:
    """Yield which pronouns come next, and how well they are read."""
    yield '## "him", "his" and "her"'
    yield (
        f"{own['sentences']} prompts of our own (`examples/reading_sentences.csv`) end before a pronoun. Figures are "
        "means of log-probabilities in nats: of the first word less that of the second, in brackets with the 95 % "
        'interval over templates. Before objects "him" is compared with "her", before possessives "his" with "her". '
        f'In {own["clear"]} prompts the word of the reading has at least {CLEAR:.0%} of the mass of "him" and "his" '
        "in the base; those are clear. The prompts in the first table name nobody's gender."
    )
    parts = list(own["models"]["base"]["nobody"])

    def rows() -> Iterator[list[str]]:
        for name, entry in own["models"].items():
            yield [name, *(_shown(entry["nobody"].get(part)) for part in parts)]

    yield table(["model", *parts], rows())
    yield "Prompts that tell a gender:"

    def gendered() -> Iterator[list[str]]:
        for name, entry in own["models"].items():
            for about in ("man", "woman"):
                yield [name, about, *(_mean(entry[about].get(part)) for part in parts)]

    yield table(["model", "about a", *parts], gendered())
    yield (
        'How many readings are right if "him" and "his" are weighed by the base\'s probabilities of the text so '
        "far, after some further tokens:"
    )
    read = [[reading, str(entry["sentences"]), *map(str, entry["right"])] for reading, entry in own["read"].items()]
    yield table(["reading", "prompts", "0 tokens", "1", "2", "3"], read)


def _mean(entry: Found | None) -> str:
    return "–" if entry is None else number(entry["mean"])


def _shown(entry: Found | None) -> str:
    if entry is None:  # no prompt is clear for this model
        return "–"
    ties = f", {entry['ties']} ties" if entry["ties"] else ""
    return f"{cell(entry['mean'], entry['interval'])}; first in {entry['preferred']} of {entry['sentences']}{ties}"


READINGS_SECTIONS = {"readings": readings_section}
