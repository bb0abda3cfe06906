"""The limits of a comparison of texts, in sentences for its reader."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from hf_equi.actions import TokenAction, WordAction
from hf_equi.errors import ActionError
from hf_equi.fairness.completions import Comparison
from hf_equi.groups import DemographicGroup
from hf_equi.groups.forms import composed
from hf_equi.models.causal_lm.explanation import explain_tokens

__all__ = ["limits", "read_words", "staying_names", "staying_words"]


def limits(lm: Any, comparison: Comparison, action: TokenAction | None = None) -> Iterator[str]:
    """Yield a line for each reason why the texts of an EquiLM, or its gap, are not what a reader may expect.

    Args:
        lm: The EquiLM, or a symmetrised sequence-to-sequence model.
        comparison: Its texts.
        action: The group on the tokens of prompts; by default the action of the model.
    """
    still = [orbit.prompt for orbit in comparison.orbits if not orbit.moves]
    if still:
        yield f"nothing moves in {', '.join(map(repr, still))}; hf-equi inspect --text shows why"
    prompts = [list(dict.fromkeys([orbit.prompt, orbit.read])) for orbit in comparison.orbits]
    yield from staying_words(prompts, action or lm.action, lm.tokenizer)
    yield from read_words(prompts, action or lm.action, lm.tokenizer)
    yield from _moving_turns(comparison, action or lm.action, lm.tokenizer)
    if lm.group.relaxed:
        yield "the group is relaxed: the EquiLM claims no symmetry of general words, so its gap need not be 0"
    said = lm.method.text
    if not (said.exact or said.claim) and any(len(orbit.members) < lm.group.order for orbit in comparison.orbits):
        yield (
            f"{lm.config.method} does not symmetrise elements that leave a prompt unchanged, so the gap of the EquiLM "
            "need not be 0"
        )


def _moving_turns(comparison: Comparison, action: TokenAction, tokenizer: Any) -> Iterator[str]:
    """Yield a line for each chat in which words around the shown message move."""
    for orbit in comparison.orbits:
        around = orbit.read.replace(orbit.prompt, " ", 1)
        if around.strip() and (moved := explain_tokens(around, action, tokenizer).moved):
            words = ", ".join(repr(token.strip()) for token in dict.fromkeys(token for token, _ in moved))
            yield (
                f"{words} in the turns around {orbit.prompt!r} moves too, so demographics are asked under different "
                "messages; --json shows them as read"
            )


def staying_words(prompts: Iterable[Sequence[str]], action: TokenAction, tokenizer: Any) -> Iterator[str]:
    """Yield a line for each prompt with words of the group that do not move.

    Args:
        prompts: For each prompt the texts to check, the first of which is shown.
        action: The group on the tokens of `tokenizer`.
        tokenizer: A tokenizer.
    """
    for texts in prompts:
        found = [word for text in texts for word in explain_tokens(text, action, tokenizer).words_unmoved]
        if words := ", ".join(map(repr, dict.fromkeys(found))):
            yield f"in {texts[0]!r} words of the group stay where they are: {words}; hf-equi inspect --text shows why"


def read_words(prompts: Iterable[Sequence[str]], action: TokenAction, tokenizer: Any) -> Iterator[str]:
    """Yield a line with the words of several tokens that move, and one for each prompt that is read in several ways.

    Args:
        prompts: For each prompt the text that is shown, and what the models read if that is something else.
        action: The group on the tokens of `tokenizer`. If only single tokens move, there are no lines.
        tokenizer: A tokenizer.
    """
    if not action.composes:
        return
    read = [(texts[0], [explain_tokens(text, action, tokenizer) for text in texts]) for texts in prompts]
    moved = dict.fromkeys(word.strip() for _, found in read for one in found for word in one.composed)
    if moved:
        yield f"words of several tokens that move as one: {', '.join(map(repr, moved))}"
    for shown, found in read:
        if not all(one.reads_back for one in found):
            yield f"pieces of {shown!r}, or of an image of it, meet as another word, so nothing in it moves"
        elif end := next((one.open_end.strip() for one in found[1:] or found if one.open_end), ""):
            yield (
                f"{shown!r} ends in {end!r}, which may begin a longer word, here or in an image, so nothing is "
                "guaranteed for its texts"
            )


def staying_names(group: DemographicGroup) -> str | None:
    """Return a note on names that the group does not exchange like the demographics; `None` if there are none."""
    try:
        images = WordAction(group).orbit(group.names[0])
    except ActionError:  # the group acts only on tokens
        return None
    for name, image in zip(group.names, images, strict=True):
        if composed(name) != image:
            return (
                f"the group turns the name {group.names[0]!r} into {image!r}, not into {name!r}, so nothing is "
                "guaranteed for prompts with these names: name the demographics by words that move"
            )
    return None
