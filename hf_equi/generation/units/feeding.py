"""Feeds the rows of orbits of texts that are read as units: each row holds its member, whatever its length.

A member may become another text before its end: a form is complete, and its image is shorter. What a row holds of the
old text is hidden, and only what follows the common beginning is fed. Positions count what is not hidden.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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

    def feed(
        self,
        cache: Cache | None,
        held: RowTexts,
        new: Sequence[Sequence[int]],
        kept: Sequence[int],
        keep: int,
        rows: slice | None = None,
    ) -> tuple[Fed, RowTexts]:
        """Feed each row what follows its first tokens, in one call.

        Args:
            cache: The base's cache of these rows; `None` for a new one.
            held: What it holds.
            new: The tokens to feed, at least one a row.
            kept: How many tokens of each row stay visible before them.
            keep: How many last places to score.
            rows: Which rows these are; by default all.

        Returns:
            What the base said, and what the rows hold now.
        """
        device, width = self.batch.device, max(map(len, new))
        lengths, before = torch.tensor([len(each) for each in new]), torch.tensor(list(kept))
        ids = torch.tensor([[*[0] * (width - len(each)), *each] for each in new], device=device)
        column = torch.arange(width) - (width - lengths)[:, None]  # below 0 at places that stay empty
        visible = self._visible(held, kept, column)
        now = RowTexts(
            [[*text[:many], *each] for text, many, each in zip(held.tokens, kept, new, strict=True)],
            [
                [*places[:many], *range(held.width + width - len(each), held.width + width)]
                for places, many, each in zip(held.places, kept, new, strict=True)
            ],
            held.width + width,
            visible,
        )
        batch = self.batch if rows is None else self.batch[rows]
        arguments = self.base.prepare_inputs_for_generation(  # type: ignore[operator]  # from GenerationMixin
            ids,
            is_first_iteration=held.width == 0,
            use_cache=True,
            attention_mask=None if visible is None else visible.long().to(device),
            position_ids=(before[:, None] + column).clamp(min=0).to(device),
            **cached(cache, type(self.base).prepare_inputs_for_generation),  # type: ignore[attr-defined]
            **repeat_rows(self.extras, batch, self.count),
        )
        out = call_base(self.base, arguments, keep)
        return Fed(out.logits, cache_of(out)), now

    @staticmethod
    def _visible(held: RowTexts, kept: Sequence[int], column: torch.Tensor) -> torch.Tensor | None:
        """Return which places are visible after the call, `(R, places)`; `None` if all are."""
        drops = any(many < len(text) for many, text in zip(kept, held.tokens, strict=True))
        if held.visible is None and not drops and bool((column >= 0).all()):
            return None
        before = torch.ones(len(column), held.width, dtype=torch.bool) if held.visible is None else held.visible.clone()
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
