"""Feeds the rows of orbits of texts that are read as units: each row holds its member, whatever its length.

A member may become another text before its end: a form is complete, and its image is shorter. What a row holds of the
old text is hidden, and only what follows the common beginning is fed. Positions count what is not hidden.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.cache_utils import Cache

from hf_equi.bases.compat import cache_of, cached
from hf_equi.bases.rows import repeat_rows
from hf_equi.bases.signatures import parameters
from hf_equi.generation.base_call import call_base
from hf_equi.generation.units.state import RowTexts

__all__ = ["Fed", "RowFeeder", "can_hide"]


@dataclass(frozen=True)
class Fed:
    """What the base said while rows were fed.

    Args:
        logits: `(R, keep, V)`, aligned at the end of the rows.
        cache: The base's cache.
    """

    logits: torch.Tensor
    cache: Cache | None


@dataclass(frozen=True)
class RowFeeder:
    """Feeds rows of different lengths.

    Args:
        base: The base.
        extras: The other arguments of the base, with one entry per text where they are tensors.
        batch: `(R,)` the text of each row.
        count: The number of texts.
    """

    base: PreTrainedModel
    extras: dict[str, Any]
    batch: torch.Tensor
    count: int

    def of_rows(self, rows: range) -> RowFeeder:
        """Return the feeder of some rows."""
        return replace(self, batch=self.batch[rows.start : rows.stop])

    def feed(
        self,
        cache: Cache | None,
        held: RowTexts,
        new: Sequence[Sequence[int]],
        kept: Sequence[int],
        keep: int,
        most: int | None = None,
    ) -> tuple[Fed, RowTexts]:
        """Feed each row what follows its first tokens.

        Args:
            cache: The base's cache of these rows; `None` for a new one.
            held: What it holds.
            new: The tokens to feed.
            kept: How many tokens of each row stay visible before them.
            keep: How many last places to score.
            most: The most places of a call; `None` for all in one call.

        Returns:
            What the base said, and what the rows hold now.
        """
        width = max(map(len, new))
        most = width if most is None else most
        logits: list[torch.Tensor] = []
        for start in range(0, width, most):
            stop = min(start + most, width)
            parts = [each[max(start - width + len(each), 0) : max(stop - width + len(each), 0)] for each in new]
            needed = min(max(keep - (width - stop), 0), stop - start)
            fed, held = self._feed(cache, held, parts, kept, max(needed, 1), stop - start)
            cache = fed.cache
            kept = [len(text) for text in held.tokens]
            if needed:
                logits.append(fed.logits)
        return Fed(logits[0] if len(logits) == 1 else torch.cat(logits, 1), cache), held

    def _feed(
        self,
        cache: Cache | None,
        held: RowTexts,
        new: Sequence[Sequence[int]],
        kept: Sequence[int],
        keep: int,
        width: int,
    ) -> tuple[Fed, RowTexts]:
        """Feed a number of places in one call."""
        device = self.batch.device
        lengths, before = torch.tensor([len(each) for each in new]), torch.tensor(list(kept))
        ids = torch.tensor([[*[0] * (width - len(each)), *each] for each in new], device=device)
        column = torch.arange(width) - (width - lengths)[:, None]  # below 0 at places that stay empty
        visible = self._visible(held, kept, column)
        end = held.width + width
        now = RowTexts(
            [[*text[:many], *each] for text, many, each in zip(held.tokens, kept, new, strict=True)],
            [
                [*places[:many], *range(end - len(each), end)]
                for places, many, each in zip(held.places, kept, new, strict=True)
            ],
            end,
            visible,
        )
        arguments = self.base.prepare_inputs_for_generation(  # type: ignore[operator]  # from GenerationMixin
            ids,
            is_first_iteration=held.width == 0,
            use_cache=True,
            attention_mask=None if visible is None else visible.long().to(device),
            position_ids=(before[:, None] + column).clamp(min=0).to(device),
            **cached(cache, type(self.base).prepare_inputs_for_generation),  # type: ignore[attr-defined]
            **repeat_rows(self.extras, self.batch, self.count),
        )
        out = call_base(self.base, arguments, keep)
        return Fed(out.logits, cache_of(out)), now

    @staticmethod
    def _visible(held: RowTexts, kept: Sequence[int], column: torch.Tensor) -> torch.Tensor | None:
        """Return which places are visible after the call, `(R, places)`; `None` if all are."""
        drops = any(many < len(text) for many, text in zip(kept, held.tokens, strict=True))
        if held.visible is None and not drops and bool((column >= 0).all()):
            return None
        before = (
            torch.ones(len(column), held.width, dtype=torch.bool) if held.visible is None else held.visible.clone()
        )
        for row, (places, many) in enumerate(zip(held.places, kept, strict=True)):
            before[row, places[many:]] = False
        return torch.cat([before, column >= 0], 1)


def can_hide(base: PreTrainedModel, places: int) -> bool:
    """Return whether a cache of the base may hide some of its places without changing what the base says.

    Positions have to be given, because they count what is visible. A layer that looks back a fixed number of places
    counts hidden ones too, so it can do so only before it forgets any. Recurrent layers cannot.

    Args:
        base: The base.
        places: The number of cached places.
    """
    if base._is_stateful or "position_ids" not in parameters(type(base).forward):
        return False
    config = base.config.get_text_config(decoder=True)
    windows = [getattr(config, name, None) for name in ("sliding_window", "window_size", "attention_chunk_size")]
    return all(window is None or places < window for window in windows)
