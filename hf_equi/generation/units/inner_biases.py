"""Biases and bans that fall on a token inside a word of several tokens: they have to be known when it is chosen."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property

import torch
from transformers import LogitsProcessor, SequenceBiasLogitsProcessor, SuppressTokensLogitsProcessor

from hf_equi.actions.units import UnitAction

__all__ = ["InnerBiases"]


class InnerBiases:
    """What `sequence_bias`, `bad_words_ids` or `suppress_tokens` adds to forms by their tokens after the first.

    Args:
        biases: The bias of each string of tokens; −∞ bans it.
        action: The group on units.

    Example:
        >>> from hf_equi.actions.token_maps import TokenMap
        >>> from hf_equi.groups import DemographicGroup
        >>> token_map = TokenMap(vocab_size=4, sets=((),), composed=((((1,), (2, 3)),),))
        >>> action = UnitAction(DemographicGroup([["grandson", "granddaughter"]]), token_map)
        >>> InnerBiases({(2, 3): -1.0, (0, 2, 3): -0.5}, action).of([[0], [1]])
        tensor([[-1.5000],
                [-1.0000]])
    """

    def __init__(self, biases: Mapping[tuple[int, ...], float], action: UnitAction) -> None:
        self.biases, self.forms = biases, action.forms
        self._longest = max(map(len, biases), default=1)

    @classmethod
    def read(cls, processor: LogitsProcessor, action: UnitAction) -> InnerBiases | None:
        """Return the biases of a processor; `None` if it is of another kind."""
        if isinstance(processor, SequenceBiasLogitsProcessor):  # that of bad_words_ids is one
            return cls({tuple(word): float(bias) for word, bias in processor.sequence_bias.items()}, action)
        if isinstance(processor, SuppressTokensLogitsProcessor):
            return cls({(int(token),): -math.inf for token in processor.suppress_tokens}, action)
        return None

    def of(self, texts: Sequence[Sequence[int]]) -> torch.Tensor:
        """Return what is added to each form after some texts, `(texts, forms)`."""
        table = self._alone.repeat(len(texts), 1)
        for number, text in enumerate(texts):
            for place in self._reached:
                table[number, place] = self.after(text, self.forms[place])
        return table

    def after(self, text: Sequence[int], tokens: Sequence[int]) -> float:
        """Return what is added to some tokens, the first left out, if they follow a text."""
        before = [*text[-self._longest :], tokens[0]]
        ends = [(*before, *tokens[1:size]) for size in range(2, len(tokens) + 1)]
        return sum((bias for end in ends for word, bias in self.biases.items() if end[-len(word) :] == word), 0.0)

    @cached_property
    def _alone(self) -> torch.Tensor:
        """What is added to each form after an empty text, `(forms,)`."""
        return torch.tensor([self.after((), form) for form in self.forms])

    @cached_property
    def _reached(self) -> list[int]:
        """The forms in which strings end that begin before them."""
        return [
            place
            for place, form in enumerate(self.forms)
            if any(
                word[-size:] == form[:size] for word in self.biases for size in range(2, min(len(word), len(form) + 1))
            )
        ]
