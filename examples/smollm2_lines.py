"""Plain text for a real language model: lines of several corpora, drawn by a seed."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable

from data import require
from smollm2_run import Experiment

TEXTS = ("inaugural", "state_union", "udhr_english", "genesis_web", "movie_reviews", "product_reviews", "subjectivity")
WORDS = 20
"""The fewest words of a line."""


def read_corpora(run: Experiment) -> dict[str, list[str]]:
    """Return the lines of each corpus that are long enough."""
    (folder,) = require(run.data, "text")
    found = {}
    for corpus in TEXTS:
        with gzip.open(folder / f"{corpus}.txt.gz", "rt", encoding="utf-8") as file:
            found[corpus] = [line.strip() for line in file if len(line.split()) >= WORDS]
    return found


def cut(run: Experiment, line: str) -> list[int]:
    """Return the first tokens of a line."""
    tokens: list[int] = run.tokenizer(line, add_special_tokens=False)["input_ids"]
    return tokens[: run.sizes.tokens]


def corpus_lines(run: Experiment) -> list[tuple[str, list[int]]]:
    """Draw lines from each corpus, and cut them."""
    generator, found = random.Random(run.seed), []
    for corpus, lines in read_corpora(run).items():
        for line in generator.sample(lines, min(run.sizes.lines, len(lines))):
            found.append((corpus, cut(run, line)))
    return found


def lines_with(
    run: Experiment, holds: Callable[[list[int]], bool], count: int
) -> tuple[list[tuple[str, list[int]]], dict[str, int]]:
    """Draw lines with some property from all corpora together, and cut them.

    Args:
        run: The experiment.
        holds: Whether the tokens of a line, cut as it is scored, have the property.
        count: The most lines.

    Returns:
        The lines with their corpora, and how many lines were read and how many have the property.
    """
    lines = [(corpus, cut(run, line)) for corpus, all_of_it in read_corpora(run).items() for line in all_of_it]
    found = [(corpus, tokens) for corpus, tokens in lines if holds(tokens)]
    drawn = random.Random(run.seed).sample(found, min(count, len(found)))
    return drawn, {"read": len(lines), "found": len(found)}
