"""The inputs on which models are measured that move words of several tokens: images of a text differ in length."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import torch

from hf_equi.actions import TokenAction, UnitAction
from hf_equi.actions._elements import read_elements
from hf_equi.actions.base import Action
from hf_equi.actions.token_maps import TokenMap
from hf_equi.generation.units.readings import Reading, UnitTables
from hf_equi.models.cards.random_inputs import seeded

__all__ = ["PADDING", "PaddedTexts", "closed_law", "plain_action", "unit_texts"]

PADDING = -1


class PaddedTexts(Action):
    """A group on texts of different lengths in one tensor, with −1 after the end of each.

    Args:
        action: The group on units.
        width: The number of tokens of the longest text, and of the longest image of one.
    """

    def __init__(self, action: UnitAction, width: int) -> None:
        self.group, self.action, self.width = action.group, action, width

    def apply(self, elements: Any, x: torch.Tensor, /) -> torch.Tensor:
        """Return g x, `(R, width)`: one element for all texts, or one for each."""
        each = torch.as_tensor(read_elements(self.group, elements, x), device=x.device).expand(len(x))
        members = self.action.members_of(each[:, None], x.clamp(min=0), x != PADDING)
        return padded([member for (member,) in members], self.width).to(x.device)


def padded(texts: list[list[int]], width: int) -> torch.Tensor:
    """Return texts in one tensor."""
    return torch.tensor([[*text, *[PADDING] * (width - len(text))] for text in texts])


def unit_texts(action: UnitAction, special: list[int], texts: int, length: int) -> tuple[torch.Tensor, PaddedTexts]:
    """Return random texts of equally many units, and the action on them.

    Each text has a word of several tokens that moves, and a token of each factor that has one. The other units are
    tokens that begin no word. All images are read as they were written.

    Args:
        action: The group.
        special: Tokens that are left out.
        texts: The number of texts.
        length: The number of units of each.
    """
    generator, free = seeded(), action.alone.to("cpu", torch.float32)
    free[[token for token in special if token < action.vocab_size]] = 0
    forms = torch.tensor([unit for unit in sorted(action.moving) if unit >= action.vocab_size])
    rows = [factor for factor in action.token_map.sets if factor]
    found: list[list[int]] = []
    while len(found) < texts:
        units = torch.multinomial(free, length, replacement=True, generator=generator)
        places = torch.randperm(length, generator=generator)
        units[places[0]] = _one_of(forms, generator)
        for place, factor in zip(places[1:].tolist(), rows, strict=False):
            units[place] = _one_of(torch.tensor(factor).flatten(), generator)
        text = action.write(units.tolist())
        if action.read(text) == units.tolist() and action.reads_back(text):
            found.append(text)
    width = max(len(action.member(g, text)) for g in range(action.group.order) for text in found)
    return padded(found, width), PaddedTexts(action, width)


def _one_of(units: torch.Tensor, generator: torch.Generator) -> int:
    return int(units[torch.randint(len(units), (1,), generator=generator)])


def plain_action(action: UnitAction) -> TokenAction:
    """Return the group on the scores of tokens. It moves those that are `alone` as the group on units does."""
    whole = action.token_map
    return TokenAction(
        action.group, TokenMap(whole.vocab_size, whole.sets, whole.neutral, whole.general), action.device
    )


def closed_law(action: UnitAction, ids: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """Return the law of the next token after each unit, `(texts, units, vocab)`, among tokens that are `alone`.

    A token that begins a word has the probabilities of the words that it begins, and these are not those of the words
    that its image begins. For the same reason all scores are 0 where a word may go on.

    Args:
        action: The group.
        ids: `(texts, tokens)`, −1 after the end of each text.
        logits: `(texts, tokens, vocab)` the scores of a model.
    """
    tables = UnitTables.of(action)
    texts = [[token for token in row if token != PADDING] for row in ids.tolist()]
    ends = [list(accumulate(len(tables.tokens(unit)) for unit in action.read(text))) for text in texts]
    quiet = [[Reading.of(tables, text[:end]).quiet for end in row] for text, row in zip(texts, ends, strict=True)]
    places, device = torch.tensor(ends) - 1, logits.device
    law = logits.float().log_softmax(-1)[torch.arange(len(ids))[:, None], places]
    kept = action.alone if action.general is None else action.alone & ~action.general[: action.vocab_size]
    law = law.masked_fill(~kept.to(device), -torch.inf)
    law = law if action.general is None else law.log_softmax(-1)
    return law.masked_fill(~torch.tensor(quiet, device=device)[..., None], 0.0)
