"""The parts that the cards of all text models share."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from hf_equi.actions.coverage import Coverage
from hf_equi.actions.resolution import cover_tokens
from hf_equi.groups import DemographicGroup
from hf_equi.groups.equality import EqualityFactor
from hf_equi.groups.preset import preset_of
from hf_equi.groups.pronouns import pronoun_limit
from hf_equi.models.cards.kinds import BASE, CardKind
from hf_equi.models.cards.markdown import plain

__all__ = ["CHOICE", "SHOWN", "TOKENS", "TextCard", "code_lines", "quoted"]

SHOWN = 12
"""The longest list that is not folded."""

_LEXICAL = (
    "**A lexical symmetry, not a causal one.** It is about the words listed above, and what the model does when they "
    "are exchanged. It says nothing about names, places or other words that go with a demographic and are not listed. "
    "It says nothing about demographics that the group does not have, or about whether a text is kind or true. If the "
    "base uses a slur about one group, this model uses it about all groups alike."
)
TOKENS = (
    "**In tokens.** A word has several forms: with and without a space before it, and as written, lower, Capitalised, "
    "Title Case and UPPER. A form moves if it is one token for every word of its set. A form of several tokens stays, "
    "and the model warns about a prompt that holds one. A token that moves also moves inside a longer word."
)
UNITS = (
    "**In tokens and words.** A word has several forms: with and without a space before it, and as written, lower, "
    "Capitalised, Title Case and UPPER. A form moves whole, however many tokens it has. Texts are read from left to "
    "right, the longest form first. A form also moves inside a longer word, where its tokens stand there."
)
_PRECISION = (
    "**Precision.** Exact means in float32. In bfloat16 and float16 each row of an orbit is rounded on its own, and "
    "the two sides differ by that rounding."
)
_RELAXED = (
    "**General words.** This model is relaxed (R-): general words keep the scores that they have after the given "
    "text. So it is equivariant in the odds among equality and neutral tokens only. Its distribution as a whole is "
    "not symmetric."
)
CHOICE = (
    "**A choice.** Equivariance is exact unless the best two members of an orbit have the same loss, to within "
    "rounding. Then the two sides may choose different members. The output holds the margin between the two."
)


class TextCard(CardKind):
    """The parts that the cards of all text models share."""

    tags: ClassVar[tuple[str, ...]] = ("fairness",)

    def group_tags(self, model: Any) -> list[str]:
        """The names of presets, and `relaxed`."""
        named = [name for factor in model.group.factors if (name := _preset_of(factor))]
        return [*named, *(["relaxed"] if model.group.relaxed else [])]

    def group_text(self, model: Any) -> str:
        """The word lists, folded where they are long, and how many of their tokens move."""
        group: DemographicGroup = model.group
        parts = [
            f"The group has {group.order} elements. From one element to the next, each word of a set below becomes "
            "the next word of the set, and the last word becomes the first."
            + (" The group is the direct product of these factors." if len(group.factors) > 1 else "")
        ]
        for factor in group.factors:
            name = _preset_of(factor)
            preset = f" (the preset `{name}` of hf_equi)" if name else ""
            parts.append(f"**{', '.join(map(plain, factor.names))}**{preset}")
            parts.append(_fold([" → ".join(map(plain, words)) for words in factor.sets], "sets of words"))
            for kind, words in (("neutral", factor.neutral), ("general", factor.general)):
                if words is not None:
                    other = "general" if kind == "neutral" else "neutral"
                    parts.append(f"These words are {kind}, and all other words are {other}:")
                    parts.append(_fold([", ".join(map(plain, words))], f"{len(words)} {kind} words", len(words)))
        parts += self._coverage(model)
        if left_out := ["/".join(map(plain, row.words)) for row in group.left_out()]:
            parts.append("These spellings do not move, because the group leaves them out:")
            parts.append(_fold([", ".join(left_out)], f"{len(left_out)} rows of spellings", len(left_out)))
        return "\n\n".join(parts)

    def _coverage(self, model: Any) -> list[str]:
        """The size of the part of the vocabulary that moves, and the words that do not."""
        sides = self._sides(model)
        moved = [f"{action.moved_tokens} of {action.vocab_size} {name}" for name, action, _ in sides]
        moved += [f"{action.moved_forms} spellings of several tokens" for _, action, _ in sides if action.composes]
        missing, order = self._missing(model), [words for factor in model.group.factors for words in factor.sets]
        lines = [f"{' and '.join(moved)} move."]
        if composed := [words for side in sides if side[1].composes for words in self._cover(model, side).composed]:
            lines.append("Of these sets some word has several tokens as written. They move too:")
            names = ["/".join(map(plain, words)) for words in sorted(composed, key=order.index)]
            lines.append(_fold([", ".join(names)], f"{len(names)} sets", len(names)))
        if missing:
            cause = (
                "cannot be written" if any(action.composes for _, action, _ in sides) else "is not a token of its own"
            )
            lines.append(f"These sets do not move as written, because some word of each {cause}:")
            names = ["/".join(map(plain, words)) for words in sorted(missing, key=order.index)]
            lines.append(_fold([", ".join(names)], f"{len(names)} sets", len(names)))
        return lines

    def _missing(self, model: Any) -> list[tuple[str, ...]]:
        """Return the sets that do not move as written, on any side."""
        lost = [set(self._cover(model, side).lost) for side in self._sides(model)]
        return [words for words in lost[0] if all(words in other for other in lost[1:])]

    @staticmethod
    def _cover(model: Any, side: tuple[str, Any, Any]) -> Coverage:
        """Return what the group of a model moves in a vocabulary."""
        _, action, tokenizer = side
        return cover_tokens(model.group, tokenizer, action.composes)

    @abstractmethod
    def _sides(self, model: Any) -> list[tuple[str, Any, Any]]:
        """The names of the vocabularies, the actions of the group on them, and their tokenizers."""

    def guarantee(self, model: Any) -> str:
        """The guarantee of the method and the group."""
        if (claim := self.method(model).claim) is not None:
            return claim
        if model.group.relaxed:
            return (
                "Exchange the words below in the text that the model reads, and the odds of its output are exchanged "
                "in the same way."
            )
        return (
            "Exchange the words below in the text that the model reads, and they are exchanged in its output. "
            "Nothing else changes: $M_G(gx) = g M_G(x)$."
        )

    def limits(self, model: Any) -> list[str]:
        """The limits of the method and the group."""
        found = [_LEXICAL, *([_RELAXED] if model.group.relaxed else []), self._moves(model)]
        if (pronouns := pronoun_limit(model.group.forms(), self._missing(model))) is not None:
            found.append(f"**Pronouns.** {pronouns}")
        method = self.method(model)
        if method.claim is None and not method.exact:
            found.append(
                "**Texts without a listed word.** An element that leaves an input unchanged has no effect. After a "
                "text that contains no listed word, the model is the base, with all preferences of the base."
            )
        return [*found, *self._own_limits(model), _PRECISION, BASE]

    def _moves(self, model: Any) -> str:
        return UNITS if any(action.composes for _, action, _ in self._sides(model)) else TOKENS

    def _own_limits(self, model: Any) -> list[str]:
        return []


def code_lines(*lines: str) -> str:
    """Lines of Python."""
    return "\n".join(lines)


def quoted(text: str) -> str:
    """Quote a string in a way that is valid in Python and JSON."""
    return json.dumps(text, ensure_ascii=False)


def _fold(items: Sequence[str], title: str, count: int | None = None) -> str:
    """Return a list, folded if it is long."""
    lines = "\n".join(f"- {item}" for item in items)
    if (len(items) if count is None else count) <= SHOWN:
        return lines
    head = title if count is not None else f"{len(items)} {title}"
    return f"<details>\n<summary>{head}</summary>\n\n{lines}\n\n</details>"


def _preset_of(factor: EqualityFactor) -> str | None:
    """The preset that has a factor's words, all of its elements in their order."""
    preset = preset_of(factor.sets)
    whole = preset is not None and preset.equality == factor.sets and set(preset.leave_out) == set(factor.leave_out)
    return preset.name if preset is not None and whole else None
