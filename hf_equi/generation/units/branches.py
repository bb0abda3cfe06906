"""The base's opinion after texts that branch off from rows it has read.

A branch keeps the first tokens of a row and goes on with others: the first tokens of a form, to look ahead, or units
that a longer form has replaced. It is fed to a copy of the row's cache, of which later places are hidden, so nothing
has to be taken back. Where a cache cannot hold hidden places, whole texts are read again.

Letters: N branches, W their most tokens, P cached places, V vocabulary.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.cache_utils import Cache

from hf_equi.bases.compat import cached
from hf_equi.bases.rows import repeat_rows
from hf_equi.generation.base_call import call_base

# The most places of texts that are looked ahead of in one call of the base, counted as rows times their longest text:
# each such row is a copy of the cache.
MOST_PLACES = 1 << 12

__all__ = ["Branch", "CachedRows", "RereadRows", "RowReader", "logits_by_length", "longest_branches", "portions"]


@dataclass(frozen=True)
class Branch:
    """A text that begins like a row.

    Args:
        row: The row.
        kept: The number of its tokens that stay.
        tokens: What follows them.
    """

    row: int
    kept: int
    tokens: tuple[int, ...]


class RowReader(ABC):
    """Reads what branches off from some rows."""

    @abstractmethod
    def read(self, branches: Sequence[Branch]) -> torch.Tensor:
        """Return the logits after each token of some branches, `(N, W, V)`; beyond the end of a branch they are void.

        Cost: one base forward of N rows.
        """


class RereadRows(RowReader):
    """Reads branches from their first token on, with texts of one length in each call, so that nothing is hidden.

    Args:
        base: The base.
        texts: The tokens of each row.
        extras: The other arguments of the base, one entry per row where they are tensors.
        batch: `(R,)` the text of each row.
        count: The number of texts.
    """

    def __init__(
        self,
        base: PreTrainedModel,
        texts: Sequence[Sequence[int]],
        extras: dict[str, Any],
        batch: torch.Tensor,
        count: int,
    ) -> None:
        self.base, self.texts, self.extras, self.batch, self.count = base, texts, extras, batch, count

    def read(self, branches: Sequence[Branch]) -> torch.Tensor:
        """Read whole texts again."""
        whole = [[*self.texts[branch.row][: branch.kept], *branch.tokens] for branch in branches]
        width = max(len(branch.tokens) for branch in branches)
        rows = self.batch[[branch.row for branch in branches]]

        def arguments(places: torch.Tensor) -> dict[str, Any]:
            return repeat_rows(self.extras, rows[places], self.count)

        ends = logits_by_length(self.base, whole, width, arguments, self.batch.device)  # aligned at their ends
        lengths = torch.tensor([len(branch.tokens) for branch in branches], device=ends.device)
        places = torch.arange(width, device=ends.device) + (width - lengths)[:, None]
        return ends.gather(1, places.clamp(max=width - 1)[..., None].expand(-1, -1, ends.shape[-1]))


def logits_by_length(
    base: PreTrainedModel, texts: Sequence[Sequence[int]], keep: int, arguments: Any, device: torch.device
) -> torch.Tensor:
    """Return the logits after the last `keep` tokens of whole texts, `(N, keep, V)`, without cache and padding.

    Args:
        base: The base.
        texts: Tokens.
        keep: The number of last places; those before the beginning of a text are void.
        arguments: Called with the numbers of some texts, `(n,)`; returns the base's other arguments for them.
        device: Where the tokens go.
    """
    found: list[torch.Tensor | None] = [None] * len(texts)
    for length in sorted({len(text) for text in texts}):
        places = [i for i, text in enumerate(texts) if len(text) == length]
        ids = torch.tensor([texts[i] for i in places], dtype=torch.long, device=device)
        more = arguments(torch.tensor(places, device=device))
        logits = call_base(base, {"input_ids": ids, "use_cache": False, **more}, min(keep, length)).logits
        if length < keep:
            logits = torch.nn.functional.pad(logits, (0, 0, keep - length, 0))
        for place, each in zip(places, logits.unbind(), strict=True):
            found[place] = each
    return torch.stack([each for each in found if each is not None])


class CachedRows(RowReader):
    """Reads branches after the cached beginnings of rows.

    Args:
        base: The base.
        caches: Caches with the numbers of the first row and of the row after the last one that each holds.
        places: For each row the cached place of each of its tokens.
        extras: As in `RereadRows`.
        batch: As in `RereadRows`.
        count: As in `RereadRows`.
    """

    def __init__(
        self,
        base: PreTrainedModel,
        caches: Sequence[tuple[int, int, Cache]],
        places: Sequence[Sequence[int]],
        extras: dict[str, Any],
        batch: torch.Tensor,
        count: int,
    ) -> None:
        self.base, self.caches, self.places = base, caches, places
        self.extras, self.batch, self.count = extras, batch, count

    def read(self, branches: Sequence[Branch]) -> torch.Tensor:
        """Read the tokens of branches after copies of their rows."""
        width = max(len(branch.tokens) for branch in branches)
        found: list[torch.Tensor | None] = [None] * len(branches)
        for start, stop, cache in self.caches:
            mine = [i for i, branch in enumerate(branches) if start <= branch.row < stop]
            if mine:
                logits = self._read([branches[i] for i in mine], width, start, cache)
                for i, each in zip(mine, logits.unbind(), strict=True):
                    found[i] = each
        return torch.stack([each for each in found if each is not None])

    def _read(self, branches: Sequence[Branch], width: int, first: int, cache: Cache) -> torch.Tensor:
        device = self.batch.device
        rows = torch.tensor([branch.row for branch in branches], device=device)
        held = int(cache.get_seq_length()) - getattr(cache, "virtual_tokens", 0)
        mask = torch.zeros(len(branches), held + width, dtype=torch.long)
        for number, branch in enumerate(branches):
            mask[number, self.places[branch.row][: branch.kept]] = 1
        mask[:, held:] = 1
        ids = torch.tensor([(*b.tokens, *[0] * (width - len(b.tokens))) for b in branches], device=device)
        kept = torch.tensor([branch.kept for branch in branches], device=device)
        arguments = self.base.prepare_inputs_for_generation(  # type: ignore[operator]  # from GenerationMixin
            ids,
            is_first_iteration=False,
            use_cache=True,
            attention_mask=mask.to(device),
            position_ids=kept[:, None] + torch.arange(width, device=device),
            **cached(copied_rows(cache, rows - first), type(self.base).prepare_inputs_for_generation),  # type: ignore[attr-defined]
            **repeat_rows(self.extras, self.batch[rows], self.count),
        )
        logits: torch.Tensor = call_base(self.base, arguments, 0).logits
        return logits


def copied_rows(cache: Cache, rows: torch.Tensor) -> Cache:
    """Return a cache that holds some rows of another one, which stays as it is."""
    held = copy.copy(cache)
    held.layers = [copy.copy(layer) for layer in cache.layers]
    held.batch_select_indices(rows)
    return held


def portions(branches: Sequence[Branch]) -> Iterator[tuple[int, int]]:
    """Yield where each part of some branches begins and ends, so that few places are held at once."""
    start, longest = 0, 0
    for number, branch in enumerate(branches):
        longest = max(longest, branch.kept + len(branch.tokens))
        if (number - start + 1) * longest > MOST_PLACES and number > start:
            yield start, number
            start, longest = number, branch.kept + len(branch.tokens)
    yield start, len(branches)


def longest_branches(
    wanted: Sequence[tuple[int, int, tuple[int, ...]]],
) -> tuple[list[Branch], list[tuple[int, int]]]:
    """Return the branches that hold all texts that are asked for, and for each text its branch and its last token.

    Args:
        wanted: A row, the number of its tokens that stay, and the tokens that follow.
    """
    branches: list[Branch] = []
    held: dict[tuple[int, int, tuple[int, ...]], tuple[int, int]] = {}
    for row, kept, tokens in sorted(set(wanted), key=lambda each: -len(each[2])):
        if (row, kept, tokens) not in held:
            for size in range(1, len(tokens) + 1):
                held.setdefault((row, kept, tokens[:size]), (len(branches), size - 1))
            branches.append(Branch(row, kept, tokens))
    return branches, [held[each] for each in wanted]
