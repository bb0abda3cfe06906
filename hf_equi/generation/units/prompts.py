"""Prompts with which a group that moves words of several tokens cannot keep its guarantee."""

from __future__ import annotations

import torch

from hf_equi.actions.staying import TextBatch
from hf_equi.actions.units import UnitAction
from hf_equi.errors import GroupWarning, warn
from hf_equi.generation.units.readings import Reading, UnitTables

__all__ = ["warn_of_prompts", "warn_of_readings"]

SHOWN = 3
"""The most prompts that a warning lists."""


def warn_of_prompts(prompts: TextBatch) -> None:
    """Warn of prompts that end in the beginning of a word, and of those whose images would be read as other words.

    Args:
        prompts: The prompts of a call. For a group that moves tokens alone, there is nothing to say.

    Warns:
        GroupWarning: At most once for each of the two.
    """
    readings = _readings(prompts)
    _warn_of_images(prompts, readings)
    opened = [
        _shown(prompts, each.tables.tokens(each.units[-1])) for each in readings if not (each.stays or each.quiet)
    ]
    if opened:
        warn(
            f"A prompt ends in {_listed(opened)}. This, or an image of it, may be the beginning of a longer word that "
            "moves, and is read as either. So nothing is guaranteed for the texts of this prompt. End prompts where "
            "no word can go on, for example after a comma.",
            GroupWarning,
        )


def warn_of_readings(texts: TextBatch) -> None:
    """Warn of texts whose images would be read as other words, wherever they end.

    Args:
        texts: As in `warn_of_prompts`.

    Warns:
        GroupWarning: At most once.
    """
    _warn_of_images(texts, _readings(texts))


def _readings(texts: TextBatch) -> list[Reading]:
    """Return how each text is read, equal ones once; nothing for a group that moves tokens alone."""
    action, ids, mask = texts.action, texts.ids, texts.mask
    if not isinstance(action, UnitAction) or ids is None:
        return []
    itself = torch.zeros(len(ids), 1, dtype=torch.long)
    mask = None if mask is None or mask.dim() != 2 else mask[:, -ids.shape[1] :]  # others are refused later
    whole = (tuple(text) for (text,) in action.members_of(itself, ids, mask))
    return [Reading.of(UnitTables.of(action), text) for text in dict.fromkeys(whole)]


def _warn_of_images(texts: TextBatch, readings: list[Reading]) -> None:
    stays = [_shown(texts, each.tokens) for each in readings if each.stays]
    if stays:
        warn(
            f"Pieces of {_listed(stays)}, or of an image of it, meet in such a way that they are read as another "
            "word. So the words of this text do not move, and nothing is guaranteed for it.",
            GroupWarning,
        )


def _shown(prompts: TextBatch, tokens: tuple[int, ...] | list[int]) -> str:
    return f"{list(tokens)}" if prompts.tokenizer is None else repr(prompts.tokenizer.decode(list(tokens)))


def _listed(shown: list[str]) -> str:
    unique = list(dict.fromkeys(shown))
    return ", ".join(unique[:SHOWN]) + (", ..." if len(unique) > SHOWN else "")
