"""Count how words are spelled in plain text: in lower case, with a capital, in capitals, after a first name."""

from __future__ import annotations

import gzip
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

_APOSTROPHE = "['\N{RIGHT SINGLE QUOTATION MARK}]"
_TOKEN = re.compile(rf"[^\W\d_]+(?:{_APOSTROPHE}[^\W\d_]+)?|[^\w\s]|\d+")
_JOINING = frozenset(",;-\N{EN DASH}&")
"""Marks behind which a sentence goes on."""
_ARTICLES = frozenset(("the", "a", "an", "this", "that", "my", "your", "our", "their", "his", "her", "every", "each"))
_PEOPLE = frozenset(
    (
        "people",
        "person",
        "man",
        "men",
        "woman",
        "women",
        "boy",
        "boys",
        "girl",
        "girls",
        "guy",
        "guys",
        "male",
        "female",
    )
)
_PROMPT = 3
"""How many words at the beginning of a generated text were given: "The gay person"."""
_NAMES = 20
"""How many times as often as in lower case a first name must have its capital to be told from a word: not "May"."""


@dataclass
class Counts:
    """How often words occur, by the word in lower case.

    Args:
        lower: In lower case, in a line that has capitals.
        capital: Capitalised, inside a sentence.
        title: Of these, those before another capitalised word.
        article: Of these, those after an article or a possessive.
        start: Capitalised, at the beginning of a sentence.
        alone: In capitals, with no word in capitals beside it.
        caseless: In a line without capitals.
        named: After a first name, in both kinds of lines; capitalised in the first kind.
        people: In lower case, before a word for people, in both kinds of lines.
        words: The number of words in lines with capitals.
        names: The number of first names that are told from other words.
    """

    lower: Counter[str] = field(default_factory=Counter)
    capital: Counter[str] = field(default_factory=Counter)
    title: Counter[str] = field(default_factory=Counter)
    article: Counter[str] = field(default_factory=Counter)
    start: Counter[str] = field(default_factory=Counter)
    alone: Counter[str] = field(default_factory=Counter)
    caseless: Counter[str] = field(default_factory=Counter)
    named: Counter[str] = field(default_factory=Counter)
    people: Counter[str] = field(default_factory=Counter)
    words: int = 0
    names: int = 0

    @property
    def caseless_words(self) -> int:
        """The number of words in lines without capitals."""
        return self.caseless.total()

    def every(self, word: str) -> int:
        """Return how often a word occurs in lines with capitals, in any spelling."""
        return sum(each[word.lower()] for each in (self.lower, self.capital, self.start, self.alone))


def read_names(folder: Path) -> frozenset[str]:
    """Return the first names of a folder of lists, as they are written."""
    files = [folder / f"{kind}.txt" for kind in ("female", "male")]
    return frozenset(name.strip() for file in files for name in file.read_text(encoding="utf-8").split("\n"))


def count_words(text: Path, generated: Iterable[Path], names: frozenset[str]) -> Counts:
    """Count the words of all texts.

    Args:
        text: A folder of `.txt.gz` files.
        generated: Folders of `.tsv` files with a text on each line, that begins with a prompt.
        names: First names.
    """
    lines = [(_split(line), 0) for line in _plain(text)]
    lines += [(_split(line.replace("</S>", " ")), _PROMPT) for folder in generated for line in _generated(folder)]
    counts = Counts()
    for words, begin in lines:
        if _has_case(words):
            _count_cased(words, begin, counts)
        elif not any(word.isupper() for word in words):
            counts.caseless.update(word for word in words if word.isalpha())
    known = {name for name in names if counts.capital[name.lower()] > _NAMES * counts.lower[name.lower()]}
    counts.names = len(known)
    _count_named(lines, known, counts)
    return counts


def _plain(folder: Path) -> Iterator[str]:
    for path in sorted(folder.glob("*.txt.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            yield from file


def _generated(folder: Path) -> Iterator[str]:
    for path in sorted(folder.glob("*.tsv")):
        yield from path.read_text(encoding="utf-8").splitlines()


def _split(line: str) -> list[str]:
    """Return the words and marks of a line, words without "'s" and other contractions."""
    return [re.sub(f"{_APOSTROPHE}.+$", "", token) if token[0].isalpha() else token for token in _TOKEN.findall(line)]


def _has_case(words: list[str]) -> bool:
    """Whether a line has capitals, and most of its letters are not."""
    letters = [letter for word in words for letter in word]
    upper = sum(map(str.isupper, letters))
    return 0 < upper < len(letters) / 2


def _count_cased(words: list[str], begin: int, counts: Counts) -> None:
    for place in range(begin, len(words)):
        word = words[place]
        if not word.isalpha():
            continue
        counts.words += 1
        key = word.lower()
        before, after = words[place - 1] if place else "", words[place + 1] if place + 1 < len(words) else ""
        if word.islower():
            counts.lower[key] += 1
        elif word.isupper() and len(word) > 1:
            counts.alone[key] += not any(len(other) > 1 and other.isupper() for other in (before, after))
        elif _begins(words, place):
            counts.start[key] += 1
        else:
            counts.capital[key] += 1
            counts.title[key] += after.istitle()
            counts.article[key] += before.lower() in _ARTICLES


def _begins(words: list[str], place: int) -> bool:
    """Whether a sentence begins at a place: not after a word, a comma or an initial with its full stop."""
    before = words[place - 1] if place else ""
    if before == "." and place > 1 and (len(words[place - 2]) == 1 or words[place - 2] in ("Mr", "Mrs", "Dr", "St")):
        return False
    return not (before.isalnum() or before in _JOINING) or not place


def _count_named(lines: list[tuple[list[str], int]], known: set[str], counts: Counts) -> None:
    """Count words after a first name: capitalised, or in a line without capitals."""
    small = {name.lower() for name in known}
    for words, begin in lines:
        caseless = not any(word[:1].isupper() for word in words)
        names = small if caseless else known
        for place in range(begin + 1, len(words)):
            word = words[place]
            before = words[place - 1]
            if before in names and word.isalpha() and (caseless or word.istitle()):
                counts.named[word.lower()] += 1
            if word in _PEOPLE and before.islower():
                counts.people[before] += 1
