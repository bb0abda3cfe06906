"""Prompts with which a group that moves words of several tokens cannot keep its guarantee."""

from __future__ import annotations

import torch

from hf_equi.actions.staying import TextBatch
from hf_equi.actions.units import UnitAction
from hf_equi.errors import GroupWarning, warn
from hf_equi.generation.units.readings import Reading, UnitTables

__all__ = ["warn_of_prompts"]

SHOWN = 3
"""The most prompts that a warning lists."""


def warn_of_prompts(prompts: TextBatch) -> None:
    """Warn of prompts that end in the beginning of a word, and of those whose images would be read as other words.

    Args:
        prompts: The prompts of a call. For a group that moves tokens alone, there is nothing to say.

    Warns:
        GroupWarning: At most once for each of the two.
    """
    action, ids, mask = prompts.action, prompts.ids, prompts.mask
    if not isinstance(action, UnitAction) or ids is None:
        return
    itself = torch.zeros(len(ids), 1, dtype=torch.long)
    texts = [tuple(text) for (text,) in action.members_of(itself, ids, mask)]
    tables = UnitTables.of(action)
    readings = [Reading.of(tables, text) for text in dict.fromkeys(texts)]
    stays = [_shown(prompts, each.tokens) for each in readings if each.stays]
    opened = [_shown(prompts, tables.tokens(each.units[-1])) for each in readings if not (each.stays or each.quiet)]
    if stays:
        warn(
            f"Pieces of {_listed(stays)}, or of an image of it, meet in such a way that they are read as another "
            "word. So the words of this prompt do not move, and nothing is guaranteed for its texts.",
            GroupWarning,
        )
    if opened:
        warn(
            f"A prompt ends in {_listed(opened)}. This, or an image of it, may be the beginning of a longer word that "
            "moves, and is read as either. So nothing is guaranteed for the texts of this prompt. End prompts where "
            "no word can go on, for example after a comma.",
            GroupWarning,
        )


def _shown(prompts: TextBatch, tokens: tuple[int, ...] | list[int]) -> str:
    return f"{list(tokens)}" if prompts.tokenizer is None else repr(prompts.tokenizer.decode(list(tokens)))


def _listed(shown: list[str]) -> str:
    unique = list(dict.fromkeys(shown))
    return ", ".join(unique[:SHOWN]) + (", ..." if len(unique) > SHOWN else "")
