"""The cache of the orbits of texts that are read as units: rows differ in length, and some places are hidden."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from transformers.cache_utils import Cache

from hf_equi.actions.units import UnitAction
from hf_equi.generation.orbit_cache import OrbitCache
from hf_equi.generation.units.marginals import OpenForms
from hf_equi.generation.units.readings import Reading, UnitTables
from hf_equi.symmetrizers import Orbit, Select

__all__ = ["RowTexts", "UnitCache", "UnitTexts"]

_TEXTS = "unit_texts"
"""The attribute in which a cache of the base keeps what its rows hold."""


@dataclass
class RowTexts:
    """What the rows of a cache hold.

    Args:
        tokens: The tokens of each row that are not hidden.
        places: The cached place of each of them.
        width: The number of cached places.
        visible: `(R, width)` bool, false at hidden places; `None` if none is hidden.
    """

    tokens: list[list[int]] = field(default_factory=list)
    places: list[list[int]] = field(default_factory=list)
    width: int = 0
    visible: torch.Tensor | None = None

    def take(self, rows: Sequence[int]) -> RowTexts:
        """Return some rows, in the given order."""
        visible = None if self.visible is None else self.visible[list(rows)]
        return RowTexts([self.tokens[r] for r in rows], [self.places[r] for r in rows], self.width, visible)


@dataclass
class UnitTexts:
    """The texts of a cache, in the user's frame, and what its rows hold.

    Args:
        length: The number of tokens of each text, with padding.
        readings: How each text is read.
        opened: What is open at the end of each text; `None` after tokens were taken back.
        law: `(B, U)` the law of the next unit; `None` after tokens were taken back.
        rows: What the rows hold.
    """

    length: int
    readings: list[Reading]
    opened: list[OpenForms | None]
    law: torch.Tensor | None
    rows: RowTexts

    @classmethod
    def empty(cls, tables: UnitTables, texts: int, rows: int) -> UnitTexts:
        """Return texts without tokens."""
        nothing = RowTexts([[] for _ in range(rows)], [[] for _ in range(rows)])
        return cls(0, [Reading(tables, [], [])] * texts, [None] * texts, None, nothing)


class UnitCache(OrbitCache):
    """A cache of B texts that holds the rows of their orbits, each as long as its member.

    Args:
        inner: The base model's cache. It stays empty if whole texts are read again at each step.
        orbit: Which row holds which member.
        action: The action on units.
        select: As in `OrbitCache`.
    """

    action: UnitAction

    def __init__(self, inner: Cache, orbit: Orbit, action: UnitAction, select: type[Select]) -> None:
        super().__init__(inner, orbit, action, select)
        if not getattr(getattr(inner, _TEXTS, None), "length", 0):
            self.texts = UnitTexts.empty(UnitTables.of(action), len(orbit.elements), orbit.rows)

    @property
    def texts(self) -> UnitTexts:
        """The texts, and what the rows hold."""
        texts: UnitTexts = getattr(self.inner, _TEXTS)
        return texts

    @texts.setter
    def texts(self, texts: UnitTexts) -> None:
        setattr(self.inner, _TEXTS, texts)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Return the number of tokens of each text, in the user's frame."""
        return self.texts.length

    def fork(self, signatures: torch.Tensor) -> Orbit:
        """Fork rows whose members will differ.

        Args:
            signatures: `(B, K)` int64, equal for members that hold the same tokens.
        """
        orbit, parents = self.orbit.extend(signatures.unsqueeze(-1))
        if orbit.rows != self.orbit.rows:
            self._take_rows(parents)
        self.orbit = orbit
        return orbit

    def reorder_cache(self, beam_idx: torch.Tensor) -> None:
        """Take the orbits of the texts `beam_idx`, `(B,)`, in that order."""
        super().reorder_cache(beam_idx)
        texts, chosen = self.texts, beam_idx.tolist()
        law = None if texts.law is None else texts.law[beam_idx.to(texts.law.device)]
        self.texts = UnitTexts(
            texts.length, [texts.readings[i] for i in chosen], [texts.opened[i] for i in chosen], law, texts.rows
        )

    def _take_rows(self, rows: torch.Tensor) -> None:
        if int(self.inner.get_seq_length()) > 0:
            super()._take_rows(rows)
        self.texts.rows = self.texts.rows.take(rows.tolist())

    def forget_rows(self, texts: list[list[int]]) -> None:
        """Forget what the base's cache holds: whole texts were read instead."""
        if int(self.inner.get_seq_length()) > 0:
            self.inner.reset()
        self.texts.rows = RowTexts(texts, [[] for _ in texts])

    def take_up(self, elements: torch.Tensor, texts: torch.Tensor) -> None:
        """Continue with other members; the next call feeds them what their rows do not hold."""
        self.check_members(elements.shape[1])
        beams = len(self.orbit.rank) // len(texts)
        self.orbit = Orbit(elements.repeat_interleave(beams, dim=0), self.orbit.rank, self.orbit.shared)

    def crop(self, tokens_to_remove: int) -> None:
        """Forget the last tokens of all texts. The rows hide what they hold of them with the next call."""
        removed, texts = abs(int(tokens_to_remove)), self.texts
        tables = UnitTables.of(self.action)
        readings = [Reading.of(tables, reading.tokens[: len(reading.tokens) - removed]) for reading in texts.readings]
        self.texts = UnitTexts(texts.length - removed, readings, [None] * len(readings), None, texts.rows)

    def reset(self) -> None:
        """Forget all texts."""
        super().reset()
        self.texts = UnitTexts.empty(UnitTables.of(self.action), len(self.orbit.elements), self.orbit.rows)
