"""The processors of a call of `generate`, run on the scores of units beside those of tokens.

Letters: R rows, V vocabulary, U units, M open forms.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import LogitsProcessor

from hf_equi.actions.units import UnitAction
from hf_equi.generation.processors_table import kind_of
from hf_equi.generation.units.inner_biases import InnerBiases
from hf_equi.generation.units.marginals import OpenForms

__all__ = ["StepScores", "UnitProcessors"]


@dataclass
class StepScores:
    """The scores of a step while processors change them.

    Args:
        tokens: `(R, V)`.
        units: `(R, U + M)` those of units, and of the forms that are open.
        heads: `(R, U + M)` the next token of each.
        going: `(R,)` the token that goes on with the unit of a row; −1 if the next unit is to be chosen.
    """

    tokens: torch.Tensor
    units: torch.Tensor
    heads: torch.Tensor
    going: torch.Tensor

    def follow(self, tokens: torch.Tensor) -> None:
        """Take new scores of tokens; a unit changes as its next token does."""
        before = self.tokens
        self.tokens = tokens = tokens.where(~(tokens.isnan() & before.isneginf()), before)  # guidance: −∞ less −∞
        same = tokens == before  # also if both are −∞
        if bool(same.all()):
            return
        restored = before.isneginf() & ~same
        change = (tokens - before).masked_fill(same | restored, 0.0)
        self.units = self.units + change.gather(-1, self.heads)
        size = tokens.shape[-1]
        self.units[:, :size] = self.units[:, :size].where(~restored, tokens)
        ruled_out = tokens.isneginf() & ~same
        self.going = self.going.masked_fill(ruled_out.gather(-1, self.going.clamp(min=0)[:, None]).squeeze(-1), -1)


class UnitProcessors:
    """Runs the processors of a call in their order.

    Those that look at values alone (temperature, top-p) run on the scores of units. Those that look at what repeats
    read the units of the text. So both move with the group. Any other runs on the scores of tokens, and what it adds
    to a token is added to all units that begin with it. What `bad_words_ids`, `sequence_bias` and `suppress_tokens`
    add to a token inside a unit is added too, so these move with the group if all images of a word are named alike.

    Args:
        action: The group on units.
        processors: The processors.
    """

    def __init__(self, action: UnitAction, processors: Sequence[LogitsProcessor]) -> None:
        self.action = action
        self.processors = [(each, kind_of(each), InnerBiases.read(each, action)) for each in processors]

    def run(
        self,
        ids: torch.LongTensor,
        found: StepScores,
        opened: Sequence[OpenForms | None],
        texts: Sequence[torch.Tensor],
        keeps_tokens: bool,
    ) -> None:
        """Change the scores of a step.

        Args:
            ids: `(R, T)` the texts with padding.
            found: The scores.
            opened: The forms that may be chosen beside the units.
            texts: The texts without padding, which an image has more or less of.
            keeps_tokens: Whether the scores of tokens are wanted after the last processor.
        """
        by_tokens = [number for number, (_, kind, _) in enumerate(self.processors) if kind == "tokens"]
        last = len(self.processors) if keeps_tokens else max(by_tokens, default=0)
        for number, (processor, kind, inner) in enumerate(self.processors):
            if kind == "tokens":
                found.follow(processor(ids, found.tokens.clone()))  # a user's own may write into what it gets
                if inner is not None:
                    found.units = found.units + self._inside(inner, ids.tolist(), opened).to(found.units)
                continue
            found.units = (
                self._repeats(processor, ids, texts, found.units) if kind == "repeats" else processor(ids, found.units)
            )
            if number < last:
                found.tokens = processor(ids, found.tokens)

    def _repeats(
        self, processor: LogitsProcessor, ids: torch.Tensor, texts: Sequence[torch.Tensor], units: torch.Tensor
    ) -> torch.Tensor:
        """Run a processor on the units of each text, which differ in number."""
        left_out = getattr(processor, "prompt_ignore_length", None)
        own = copy.copy(processor)
        if left_out is not None:
            own.prompt_ignore_length = None  # type: ignore[attr-defined]  # it counts tokens
            starts = left_out.tolist() if isinstance(left_out, torch.Tensor) else [left_out] * len(ids)
            padding = [ids.shape[1] - len(text) for text in texts]
            texts = [text[max(n - pad, 0) :] for text, n, pad in zip(texts, starts, padding, strict=True)]
        read = [self.action.read(text.tolist()) for text in texts]
        parts = [own(ids.new_tensor([text]), units[row : row + 1]) for row, text in enumerate(read)]
        return torch.cat(parts)

    def _inside(self, inner: InnerBiases, texts: list[list[int]], opened: Sequence[OpenForms | None]) -> torch.Tensor:
        """Return what is added to units and open forms because of their tokens after the next one, `(R, U + M)`."""
        forms = inner.of(texts)
        more = [
            [inner.after(text, self.action.write([unit])[read:]) for unit, read in (each.forms if each else ())]
            for text, each in zip(texts, opened, strict=True)
        ]
        most = max(map(len, more))
        added = torch.tensor([[*row, *[0.0] * (most - len(row))] for row in more])
        return torch.cat([torch.zeros(len(texts), self.action.vocab_size), forms, added.view(len(texts), most)], 1)
