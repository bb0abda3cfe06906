"""Random inputs that models are measured with, the same in every process."""

from __future__ import annotations

from collections.abc import Iterable

import torch

__all__ = ["random_ids", "seeded"]


def seeded() -> torch.Generator:
    """Return a new random generator, always with the same seed."""
    return torch.Generator().manual_seed(0)


def random_ids(count: int, length: int, vocab_size: int, taken: Iterable[int] = ()) -> torch.Tensor:
    """Return random token ids, `(count, length)`, without those in `taken`."""
    free = torch.ones(vocab_size)
    free[[token for token in taken if token < vocab_size]] = 0
    return torch.multinomial(free, count * length, replacement=True, generator=seeded()).view(count, length)
