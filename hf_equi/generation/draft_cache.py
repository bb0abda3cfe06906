"""The one cache of a search: its rows are rolled back, shared, forked and fed in one forward."""

from __future__ import annotations

from typing import Any

import torch
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import Cache

from hf_equi.bases.compat import CACHE, cached
from hf_equi.errors import ConfigurationError
from hf_equi.generation.base_call import call_base
from hf_equi.symmetrizers.orbit import distinct_rows

__all__ = ["DraftCache"]


class DraftCache:
    """The scores of the next token after each row of a search, computed with a key-value cache.

    Letters: P prompts, G rows of each, T tokens, V vocabulary.

    Args:
        base: The language model.
        cache: An empty cache to fill, as `generate` makes it; by default a new one.
        extras: The other arguments of each forward.

    Raises:
        ConfigurationError: For a fixed-size cache, which cannot be rolled back, or a cache that is not empty.
    """

    def __init__(
        self, base: PreTrainedModel, cache: Cache | None = None, extras: dict[str, Any] | None = None
    ) -> None:
        if cache is not None and cache.is_compileable:
            raise ConfigurationError(
                "A search takes drafts back, and a static cache cannot do that: leave cache_implementation out"
            )
        if cache is not None and cache.get_seq_length() > 0:
            raise ConfigurationError(f"A search starts with an empty cache: leave {CACHE}= out")
        self.base = base
        self.cache = cache
        self.extras = extras or {}
        self.ids: torch.Tensor | None = None  # (P * G, cached)
        self.mask: torch.Tensor | None = None
        self.padded = False
        self.oldest = 0  # how far sliding windows can be taken back

    def feed(self, ids: torch.Tensor, mask: torch.Tensor, origin: torch.Tensor) -> torch.Tensor:
        """Return the scores after whole rows. Only tokens that the cache does not hold are fed, in one forward.

        Args:
            ids: `(P, G, T)` padded on the left.
            mask: `(P, G, T)`, 0 at padding.
            origin: `(P,)` the prompt of the last call that each one was.

        Returns:
            `(P * G, V)` float32.
        """
        rows, row_mask = ids.flatten(0, 1), mask.flatten(0, 1)
        self.padded = not bool(mask.all())
        parents, known = self._parents(ids, mask, origin)
        distinct, place = distinct_rows(torch.cat([rows, row_mask.to(rows.dtype)], 1))
        self._roll_back(known, parents[distinct])
        scores = self._forward(rows[distinct, known:], row_mask[distinct])
        if len(distinct) < len(rows):
            self._cache().reorder_cache(place)  # type: ignore[arg-type]  # any int64 tensor serves
            scores = scores[place]
        self.ids, self.mask = rows, row_mask
        # Sliding windows record what passes out of them after the prefill, and forget it when they are cropped.
        self.oldest = known or rows.shape[1]
        return scores

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return the scores after one more token in each row: `(P * G,)` to `(P * G, V)` float32."""
        assert self.ids is not None and self.mask is not None  # noqa: PT018  feed() comes first
        self.ids = torch.cat([self.ids, tokens[:, None]], 1)
        self.mask = torch.cat([self.mask, torch.ones_like(self.mask[:, :1])], 1)
        return self._forward(tokens[:, None], self.mask)

    def _parents(self, ids: torch.Tensor, mask: torch.Tensor, origin: torch.Tensor) -> tuple[torch.Tensor, int]:
        """Return the cached row that begins as each row does, and how many places they all have in common."""
        P, G, T = ids.shape
        if self.ids is None or self.mask is None:
            return torch.arange(P * G, device=ids.device), 0
        cached = self.ids.view(-1, G, self.ids.shape[1])[origin]  # (P, G, cached)
        cached_mask = self.mask.view(-1, G, self.mask.shape[1])[origin]
        width = min(T - 1, cached.shape[2])  # at least one token is fed, to get its scores
        same = (ids[:, :, None, :width] == cached[:, None, :, :width]) | (mask[:, :, None, :width] == 0)
        same &= mask[:, :, None, :width] == cached_mask[:, None, :, :width]
        common = same.int().cumprod(-1).sum(-1)  # (P, G, G)
        # A row's own place comes first, so that nothing moves if all agree.
        common = common * 2 + torch.eye(G, dtype=torch.long, device=ids.device)
        best, parent = common.max(-1)
        known = 0 if self.base._is_stateful else int(best.min()) // 2
        if known < self.oldest and any(self._cache().is_sliding + self._cache().is_linear):
            known = 0
        return (origin[:, None] * G + parent).flatten(), known

    def _roll_back(self, known: int, parents: torch.Tensor) -> None:
        """Keep the first `known` places of the rows `parents`."""
        if self.ids is None:
            return
        cached = self.ids.shape[1]
        if known == 0:  # recurrent layers cannot go back, and other layers have nothing to keep
            self.cache = DynamicCache(config=self.base.config.get_text_config(decoder=True))
            return
        cache = self._cache()
        # Sliding windows keep what passes out of them only when told to, from the first draft on.
        cache.crop(known - cached)
        if not torch.equal(parents, torch.arange(len(self.ids), device=parents.device)):
            cache.reorder_cache(parents)  # type: ignore[arg-type]

    def _cache(self) -> Cache:
        if self.cache is None:
            self.cache = DynamicCache(config=self.base.config.get_text_config(decoder=True))
        return self.cache

    def _forward(self, new: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        cache = self._cache()
        first = cache.get_seq_length() == 0
        positions = (mask.long().cumsum(-1) - 1).clamp(min=0)[:, -new.shape[1] :]
        arguments = self.base.prepare_inputs_for_generation(  # type: ignore[operator]  # of GenerationMixin
            new,
            attention_mask=mask if self.padded else None,
            position_ids=positions,
            is_first_iteration=first,
            use_cache=True,
            **cached(cache, type(self.base).prepare_inputs_for_generation),  # type: ignore[attr-defined]
            **self.extras,
        )
        scores: torch.Tensor = call_base(self.base, arguments, 1).logits[:, -1].float()
        if first and not self.base._is_stateful:
            cache.activate_past_recording()
        return scores
