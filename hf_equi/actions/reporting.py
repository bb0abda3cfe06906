"""What a user is told about the words that a group cannot move in a vocabulary: an error, or one short warning."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from hf_equi.actions.coverage import Coverage, Unmoved
from hf_equi.errors import ActionError, GroupWarning, warn
from hf_equi.groups import DemographicGroup, FormRow, occupations, preset_of
from hf_equi.groups.preset import preset_text

__all__ = ["MULTI_TOKEN", "fewer_elements", "report", "report_lists"]

MULTI_TOKEN = ("auto", "error", "skip")
"""How to treat words that do not move: only those of presets may stay, none may, or all may."""

_SHOWN = 3
"""The number of sets or words that a warning names, if there are more. An error names all, because they must go."""
_AS = {
    "neutral": "general and keep the scores of the base",
    "general": "neutral and are made symmetric",
}


def report(sides: Sequence[Coverage], multi_token: str, tokenizer: Any) -> None:
    """Report the sets of words that stay on all sides.

    Args:
        sides: The words that move with one tokenizer, or with those of a source and a target.
        multi_token: One of `MULTI_TOKEN`.
        tokenizer: The tokenizer of the first side.

    Raises:
        ActionError: For sets that must move as they are written and do not. The message names all of them.

    Warns:
        GroupWarning: For all other words that stay in a spelling that a user would write. It names a few of them, and
            holds all in `words`.
    """
    stays, group = Unmoved.on(sides), sides[0].group
    refused = [form for form in stays.written if _is_refused(group, form, multi_token)]
    if refused:
        whose = "the tokenizer lacks" if len(sides) == 1 else "the source and the target tokenizer lack"
        raise ActionError(
            f"These words do not move as they are written, because {whose} a single token for at least one word of "
            f'each set: {"; ".join(map(_joined, refused))}. Leave them out, or pass multi_token="skip" to go on '
            f"without them.{_offer(sides, refused)}"
        )
    if lines := "; ".join(_places(stays)):
        named = preset_text(factor.sets for factor in group.factors)
        whose = "this tokenizer" if len(sides) == 1 else "these tokenizers"
        warn(
            GroupWarning(
                f"{_head(group, stays, named or 'the group')} stay as they are with {whose} (they or a counterpart "
                f"are not single tokens): {lines}.{_advice(sides, stays)} "
                f"To list them: {_command(named, tokenizer)}",
                [word for forms in (stays.written, stays.lower, stays.start) for form in forms for word in form.words],
            )
        )


def report_lists(group: DemographicGroup, unknown: Sequence[str], multi_token: str) -> None:
    """Report the neutral and general words that have no token of their own on any side.

    Args:
        group: The group.
        unknown: These words.
        multi_token: One of `MULTI_TOKEN`. With `"auto"`, the list that comes with the library may have such words.

    Raises:
        ActionError: For words that must have a token. The message names all of them.

    Warns:
        GroupWarning: For all others. They count as words of the other list.
    """
    for kind, counted in _AS.items():
        lists = [words for factor in group.factors if (words := getattr(factor, kind)) is not None]
        listed = dict.fromkeys(word for words in lists for word in words)
        lost = [word for word in listed if word in unknown]
        if lost and (multi_token == "error" or (multi_token == "auto" and set(lists) != {occupations()})):
            raise ActionError(
                f"These {kind} words are not single tokens, so the model could not tell them from other words: "
                f'{", ".join(lost)}. Leave them out, or pass multi_token="skip" to go on without them.'
            )
        if lost:
            warn(
                GroupWarning(
                    f"{len(lost)} of {len(listed)} {kind} words are not single tokens, so they count as {counted}: "
                    f"{_few(lost)}.",
                    lost,
                )
            )


def fewer_elements(covered: Coverage) -> str:
    """Return with which elements more words would move, as sentences; empty if there are none."""
    return _advice([covered], Unmoved.on([covered])).strip()


def _advice(sides: Sequence[Coverage], stays: Unmoved) -> str:
    return _offer(sides, (*stays.written, *stays.lower))


def _is_refused(group: DemographicGroup, form: FormRow, multi_token: str) -> bool:
    return multi_token == "error" or (multi_token == "auto" and preset_of(group.factors[form.factor].sets) is None)


def _head(group: DemographicGroup, stays: Unmoved, name: str) -> str:
    if not stays.written:
        return f"Some spellings of the words of {name}"
    words = sum(len(form.words) for form in stays.written)
    return f"{words} of {sum(len(sets) for factor in group.factors for sets in factor.sets)} words of {name}"


def _places(stays: Unmoved) -> Iterator[str]:
    places = (("", stays.written), ("in lower case ", stays.lower), ("at the start of a text ", stays.start))
    for place, forms in places:
        if forms:
            yield f"{place}{_few(list(map(_joined, forms)), ' sets', 1 if place else _SHOWN)}"


def _few(names: Sequence[str], what: str = "", count: int = _SHOWN) -> str:
    if len(names) <= count + 1:
        return ", ".join(names)
    return f"{', '.join(names[:count])} and {len(names) - count} more{what}"


def _joined(form: FormRow) -> str:
    return "/".join(form.words)


def _offer(sides: Sequence[Coverage], lost: Iterable[FormRow]) -> str:
    """Return the elements of each factor with which more words would move, as sentences with a leading space."""
    words = [form.words for form in lost]
    offers = zip(*(side.best_elements(words) for side in sides), strict=True)
    found = [(index, names) for index, each in enumerate(offers) if (names := next(filter(None, each), None))]
    return "".join(
        f" More of them move with fewer elements: {_cut_down(sides[0].group, index, names)}." for index, names in found
    )


def _cut_down(group: DemographicGroup, index: int, names: Sequence[str]) -> str:
    factor = group.factors[index]
    places = list(map(factor.names.index, names))
    preset = preset_text([[[words[i] for i in places] for words in factor.sets]])
    return preset or f"keep only {list(names)}"


def _command(named: str | None, tokenizer: Any) -> str:
    """Return the command that lists the words that stay."""
    group = "WORDS" if named is None else shlex.quote(named)
    return f"hf-equi inspect --group {group}{_model(tokenizer)} --all"


def _model(tokenizer: Any) -> str:
    name: str = tokenizer.name_or_path
    if name and Path(name).parent == resources.files("hf_equi").joinpath("assets"):
        return ""  # the embedded model, which commands take by default
    return f" --model {shlex.quote(name)}" if name else ""
