"""What a user is told about the words that a group cannot move in a vocabulary: an error, or one short warning."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from hf_equi.actions.coverage import Coverage, Unmoved
from hf_equi.actions.reasons import OTHER, why_it_stays
from hf_equi.actions.spellings import AFTER_SPACE
from hf_equi.errors import ActionError, GroupWarning, warn
from hf_equi.groups import DemographicGroup, FormRow, occupations, preset_of
from hf_equi.groups.preset import kept_spellings, preset_text

__all__ = ["COMPOSE", "MULTI_TOKEN", "WORDS", "fewer_elements", "report", "report_lists"]

MULTI_TOKEN = ("auto", "compose", "error", "skip")
"""How to treat words that are not one token: those of presets may stay, all move as units, none may stay, all may."""

COMPOSE = 'Pass multi_token="compose" to move them too'
"""What to do about words that do not move, where scores are combined."""
WORDS = 'Pass action="words" to move whole words'
"""What to do about them where texts are mapped back."""

_SHOWN = 3
"""The number of sets or words that a warning names, if there are more. An error names all, because they must go."""
_AS = {
    "neutral": "general and keep the scores of the base",
    "general": "neutral and are made symmetric",
}


def report(sides: Sequence[Coverage], multi_token: str, tokenizer: Any, remedy: str | None = None) -> None:
    """Report the sets of words that stay on all sides.

    Args:
        sides: The words that move with one tokenizer, or with those of a source and a target.
        multi_token: One of `MULTI_TOKEN`.
        tokenizer: The tokenizer of the first side.
        remedy: The way to move words of several tokens, as the beginning of a sentence; `None` if there is none.

    Raises:
        ActionError: For sets that must move as they are written and do not. The message names all of them.

    Warns:
        GroupWarning: For all other words that stay in a spelling that a user would write. It names a few of them, and
            holds all in `words`.
    """
    stays, group, composes = Unmoved.on(sides), sides[0].group, sides[0].composes
    refused = [form for form in stays.written if _is_refused(group, form, multi_token)]
    if refused:
        raise ActionError(_refusal(sides, refused, remedy))
    if lines := "; ".join(_places(stays)):
        named = preset_text((factor.sets, factor.leave_out) for factor in group.factors)
        whose = "this tokenizer" if len(sides) == 1 else "these tokenizers"
        cause = "cannot be written in it" if composes else "are not single tokens"
        warn(
            GroupWarning(
                f"{_head(group, stays, named or 'the group')} stay as they are with {whose} (they or a counterpart "
                f"{cause}): {lines}.{_advice(sides, stays)} To list them: {_command(named, tokenizer, composes)}",
                [word for forms in (stays.written, stays.lower, stays.start) for form in forms for word in form.words],
            )
        )


def _refusal(sides: Sequence[Coverage], refused: Sequence[FormRow], remedy: str | None) -> str:
    """Return the message of the error for sets that must move and do not."""
    verb, whose = ("lacks", "the tokenizer") if len(sides) == 1 else ("lack", "the source and the target tokenizer")
    cause, ways = f"{verb} a single token for", "" if remedy is None else f"{remedy}, leave them out"
    names = list(map(_joined, refused))
    if sides[0].composes:
        cause, ways = "cannot write", ""
        names = [f"{name} ({_fault(form, sides[0])})" for name, form in zip(names, refused, strict=True)]
    return (
        f"These words do not move as they are written, because {whose} {cause} at least one word of each set: "
        f'{"; ".join(names)}. {ways or "Leave them out"}, or pass multi_token="skip" to go on without them.'
        f"{_offer(sides, refused)}"
    )


def _fault(form: FormRow, covered: Coverage) -> str:
    """Return which word of a set cannot be written, and why."""
    reasons = ((word, why_it_stays(word, (), AFTER_SPACE, covered.spellings, composes=True)) for word in form.words)
    word, reason = next((each for each in reasons if each[1].kind != "other"), (form.words[0], OTHER))
    return f"{word!r}: {reason.text}"


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
    composes = multi_token == "compose"
    fault = "cannot be written, or have a piece that moves" if composes else "are not single tokens"
    for kind, counted in _AS.items():
        lists = [words for factor in group.factors if (words := getattr(factor, kind)) is not None]
        listed = dict.fromkeys(word for words in lists for word in words)
        lost = [word for word in listed if word in unknown]
        own = set(lists) != {occupations()}
        if lost and (multi_token == "error" or (multi_token != "skip" and own)):
            raise ActionError(
                f"These {kind} words {fault}, so the model could not tell them from other words: "
                f'{", ".join(lost)}. Leave them out, or pass multi_token="skip" to go on without them.'
            )
        if lost:
            warn(
                GroupWarning(
                    f"{len(lost)} of {len(listed)} {kind} words {fault}, so they count as {counted}: {_few(lost)}.",
                    lost,
                )
            )


def fewer_elements(covered: Coverage) -> str:
    """Return with which elements more words would move, as sentences; empty if there are none."""
    return _advice([covered], Unmoved.on([covered])).strip()


def _advice(sides: Sequence[Coverage], stays: Unmoved) -> str:
    return _offer(sides, (*stays.written, *stays.lower))


def _is_refused(group: DemographicGroup, form: FormRow, multi_token: str) -> bool:
    own = preset_of(group.factors[form.factor].sets) is None
    return multi_token == "error" or (multi_token != "skip" and own)


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
    sets = [[words[i] for i in places] for words in factor.sets]
    preset = preset_text([(sets, kept_spellings(factor.leave_out, sets))])
    return preset or f"keep only {list(names)}"


def _command(named: str | None, tokenizer: Any, composes: bool) -> str:
    """Return the command that lists the words that stay."""
    group = "WORDS" if named is None else shlex.quote(named)
    mode = f" --multi-token {'compose' if composes else 'skip'}"
    return f"hf-equi inspect --group {group}{_model(tokenizer)}{mode} --all"


def _model(tokenizer: Any) -> str:
    name: str = tokenizer.name_or_path
    if name and Path(name).parent == resources.files("hf_equi").joinpath("assets"):
        return ""  # the embedded model, which commands take by default
    return f" --model {shlex.quote(name)}" if name else ""
