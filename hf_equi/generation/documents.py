"""Several documents in one row, as collators without padding make it: each is a text with an orbit of its own.

Attention implementations find the documents of a row in different ways. Some of these work only for a batch of one
row, but an orbit has several rows. So the base receives each document as a row of its own, and its output is put back
where the document lay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

__all__ = ["Documents"]

BOUNDARIES = ("cu_seq_lens_q", "cu_seq_lens_k", "max_length_q", "max_length_k", "seq_idx")
"""Arguments that tell a base where the documents of a row begin and end, besides positions that restart."""


@dataclass(frozen=True)
class Documents:
    """The places of the documents in some rows.

    Letters: B rows, T tokens of each, D documents, L tokens of the longest.

    Args:
        places: `(D, L)` the place of each token in the rows, counted through the rows one after the other.
        mask: `(D, L)` int64, 0 after the end of a document.
        shape: (B, T).

    Example:
        >>> documents = Documents.of(torch.tensor([[0, 1, 2, 0, 1]]), None, {}, (1, 5))
        >>> documents.apart(torch.tensor([[5, 6, 7, 8, 9]]), fill=0)
        tensor([[5, 6, 7],
                [8, 9, 0]])
        >>> documents.together(torch.tensor([[1, 2, 3], [4, 5, 6]]))
        tensor([[1, 2, 3, 4, 5]])
    """

    places: torch.Tensor
    mask: torch.Tensor
    shape: tuple[int, int]

    @classmethod
    def of(
        cls,
        positions: torch.Tensor | None,
        mask: torch.Tensor | None,
        extras: Mapping[str, Any],
        shape: tuple[int, int],
    ) -> Documents | None:
        """Return the documents of some rows, or `None` if every row is a single document.

        Args:
            positions: `(B, T)` or `(1, T)`. As for attention in transformers, a document ends where they do not
                increase by one, unless a mask has padding.
            mask: `(B, T)`, 0 at padding.
            extras: The other arguments of the base, which may include the boundaries of documents.
            shape: (B, T).
        """
        starts = _starts(positions, extras, shape)
        if starts is None or not bool(starts[:, 1:].any()) or (mask is not None and not bool(mask.all())):
            return None
        starts[:, 0] = True
        begins = starts.flatten().nonzero().squeeze(1)  # (D,)
        lengths = torch.diff(begins, append=begins.new_tensor([starts.numel()]))
        steps = torch.arange(int(lengths.max()), device=begins.device)
        inside = steps < lengths[:, None]
        return cls((begins[:, None] + steps).where(inside, begins[:, None]), inside.long(), shape)

    @property
    def rows(self) -> torch.Tensor:
        """The row of each document, `(D,)`."""
        return self.places[:, 0] // self.shape[1]

    def apart(self, x: torch.Tensor, fill: int) -> torch.Tensor:
        """Put each document in a row of its own: `(B, T)` to `(D, L)`."""
        return x.expand(self.shape).flatten()[self.places].masked_fill(self.mask == 0, fill)

    def together(self, x: torch.Tensor) -> torch.Tensor:
        """Put outputs for documents back where these lay: `(D, L, ...)` to `(B, T, ...)`."""
        inside = self.mask.flatten().nonzero().squeeze(1)  # documents lie one after the other
        return x.flatten(0, 1)[inside].view(*self.shape, *x.shape[2:])

    def extras(self, extras: Mapping[str, Any]) -> dict[str, Any]:
        """Return the other arguments of the base, for rows of one document each."""
        rows = {name: value for name, value in extras.items() if name not in BOUNDARIES}
        for name, value in rows.items():
            if isinstance(value, torch.Tensor) and value.shape == self.shape:
                rows[name] = self.apart(value, fill=0)
            elif isinstance(value, torch.Tensor) and value.shape[:1] == self.shape[:1]:
                rows[name] = value[self.rows.to(value.device)]
        return rows


def _starts(positions: torch.Tensor | None, extras: Mapping[str, Any], shape: tuple[int, int]) -> torch.Tensor | None:
    """Return where documents begin, `(B, T)`, or `None` if nothing marks it."""
    if positions is not None:
        return None if positions.dim() != 2 else _steps(positions, by=1).expand(shape).clone()
    if (ends := extras.get("cu_seq_lens_q")) is not None:
        starts = torch.zeros(shape, dtype=torch.bool, device=ends.device)
        starts.flatten()[ends[:-1].long()] = True
        return starts
    numbers = extras.get("seq_idx")
    return None if numbers is None else _steps(numbers, by=0).expand(shape).clone()


def _steps(numbers: torch.Tensor, by: int) -> torch.Tensor:
    """Return where numbers, `(B, T)`, do not increase by `by`; never at the first place of a row."""
    return torch.diff(numbers, prepend=numbers[:, :1] - by) != by
