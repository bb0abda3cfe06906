"""Why a word of a group stays where it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hf_equi.actions.spellings import Spellings, shown_pieces

__all__ = ["KINDS", "OTHER", "Reason", "why_it_stays"]

KINDS = {
    "several": "are several tokens",
    "counterpart": "are one token, but a counterpart is not",
    "unknown": "are not in the vocabulary",
    "joined": "are joined to the text before them by the tokenizer",
    "other": "are cut differently by the tokenizer, depending on the text around them",
}
"""The kinds of reasons, as clauses about several words."""


@dataclass(frozen=True)
class Reason:
    """Why one word stays.

    Args:
        kind: One of `KINDS`.
        text: The reason for this word.
    """

    kind: str
    text: str


OTHER = Reason("other", "the tokenizer cuts it differently here")


def why_it_stays(
    word: str, others: Iterable[str], context: str, spellings: Spellings, composes: bool = False
) -> Reason:
    """Return why a word stays.

    Args:
        word: A form of the group.
        others: The forms that it is exchanged with.
        context: The text before it.
        spellings: The tokens of all of them after this context.
        composes: Whether words of several tokens move.

    Example:
        >>> import hf_equi
        >>> tokenizer = hf_equi.symmetrize("demo", hf_equi.DemographicGroup([["man", "woman"]])).tokenizer
        >>> spellings = Spellings(["niece", "nephew", "boy"], tokenizer)
        >>> why_it_stays("nephew", ["niece"], "x ", spellings).text
        '4 tokens, ne+p+he+w'
        >>> why_it_stays("boy", ["nephew"], "x ", spellings).text
        "one token, but its counterpart 'nephew' is 4 tokens, ne+p+he+w"
    """
    if own := _fault(word, context, spellings, composes):
        return own
    for other in others:
        if found := _fault(other, context, spellings, composes):
            own_tokens = "known" if composes else "one token"
            return Reason("counterpart", f"{own_tokens}, but its counterpart {other!r} is {found.text}")
    return OTHER


def _fault(word: str, context: str, spellings: Spellings, composes: bool) -> Reason | None:
    """Return why a word does not move by itself; `None` if it could."""
    if spellings.is_unknown(context, word):
        return Reason("unknown", "not in the vocabulary")
    tokens = spellings.tokens(context, word)
    if tokens is None:
        return Reason("joined", "joined to the text before it by the tokenizer")
    if composes or len(tokens) == 1:
        return None
    return Reason("several", f"{len(tokens)} tokens, {shown_pieces(spellings.pieces(context, word))}")
