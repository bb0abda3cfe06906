"""Words of the report, explained where they first appear."""

from __future__ import annotations

import re
from collections.abc import Iterable

from markupsafe import Markup, escape

from hf_equi.display import shown

__all__ = ["WORDS", "Words"]

WORDS = {
    "nats": "A nat is a factor of e = 2.718 in probability: 1 nat a token makes each token 2.7 times as "
    "likely, 0.1 nats 1.1 times.",
    "coupled texts": "Texts about two demographics that were drawn with the same random numbers. They differ "
    "only by what the model makes of the words.",
    "parity gap": "How far apart the labels of the texts about two demographics are: 0 if every label is equally "
    "frequent for both, 1 if they have no label in common.",
    "noise floor": "A parity gap that chance alone gives: between two random halves of the texts about one "
    "demographic. Halves have fewer texts, so it is about 1.4 times what chance gives two whole demographics.",
    "words hidden": "The classifier read the texts with the words for the demographic replaced, so that it "
    "cannot judge by them.",
    "p = ": "How often a gap at least as large comes up if demographics are mixed at random. Below 0.05 is "
    "usually taken as more than chance.",
    "perplexity": "How unusual the texts are to the model without any method: a higher value is more unusual.",
    "consistency": "The share of pairs of coupled texts that are the same except for the exchanged words: 1 is best.",
    "group gap": "How much the likelihood of a text changes when the words for the demographics are "
    "exchanged, in nats a token: 0 is best.",
    "regard": "Whether a text speaks of its subject with respect: negative, neutral or positive.",
}
"""The explained words and their meanings, for readers who do not know them."""

_PATTERN = re.compile("|".join(re.escape(word) for word in sorted(WORDS, key=len, reverse=True)), re.IGNORECASE)


class Words:
    """The words of one page, each explained once.

    Example:
        >>> words = Words()
        >>> words.marked("a gap of 2 nats")
        Markup('a gap of 2 <dfn>nats</dfn>')
        >>> [word for word, _ in words.met()], words.marked("2 nats"), words.met()
        (['nats'], Markup('2 nats'), [])
    """

    def __init__(self) -> None:
        self._said: set[str] = set()
        self._new: list[str] = []

    def marked(self, text: str) -> Markup:
        """Return a text in which each explained word is marked where it first appears."""
        text, end = shown(text), 0  # escaped here, because the page writes markup as it is
        pieces: list[Markup] = []
        for match in _PATTERN.finditer(text):
            word = match[0].lower()
            if word in self._said:
                continue
            self._said.add(word)
            self._new.append(word)
            pieces += [escape(text[end : match.start()]), Markup("<dfn>{}</dfn>").format(match[0].strip(" ="))]
            end = match.start() + len(match[0].rstrip(" ="))
        return Markup("").join([*pieces, escape(text[end:])])

    def meet(self, texts: Iterable[str]) -> None:
        """Take the words of texts in which nothing is marked, such as the titles of a table."""
        for text in texts:
            self.marked(text)

    def met(self) -> list[tuple[str, str]]:
        """Return the words that were marked since the last call, with their meanings."""
        new, self._new = self._new, []
        return [(word.strip(" ="), WORDS[word]) for word in new]
