r"""Choosing units while `generate` writes tokens: a word of several tokens is chosen as one, then written out.

Sampling: $u_i = \arg\max_u a_i(u) + \gamma(s, k(x) x, i, k(x) u)$, with the scores a of units after all processors and
the noise γ of `coupled_sampling`, where the step i counts units. Since a moves with the group, so do the texts.

Letters: R rows, V vocabulary, U units, M open forms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from transformers import LogitsProcessor, LogitsProcessorList

from hf_equi.actions.units import UnitAction
from hf_equi.generation.coupled_sampling import (
    CUT,
    CoupledNoise,
    Prompts,
    Uniform,
    best_tokens,
    draw_tokens,
    uniform,
)
from hf_equi.generation.units.board import UnitBoard, UnitPlace
from hf_equi.generation.units.marginals import OpenForms
from hf_equi.generation.units.processing import StepScores, UnitProcessors

__all__ = ["UnitNoise"]


@dataclass(frozen=True)
class _Chosen:
    """What a row has chosen.

    Args:
        tokens: The tokens of the unit.
        start: The number of columns before the first of them.
        step: The number of units that were chosen before it.
    """

    tokens: tuple[int, ...]
    start: int
    step: int


class UnitNoise(CoupledNoise):
    """The only processor of a coupled `generate` whose group moves words of several tokens: it chooses units.

    It runs all other processors of the call, as `UnitProcessors` says. Of the units, the best one is then taken, or
    one is drawn. Its first token is written, and its other tokens in the next steps. If a processor rules one of them
    out, what is written stays, and the next unit is chosen from there. The last unit of a text may be cut off.

    A prompt may end in the beginning of a form. Then the forms that are open are chosen among beside the units.

    Args:
        prompts: As in `CoupledNoise`.
        mode: `"sample"` or `"greedy"`.
        record: As in `CoupledNoise`; the scores are those of tokens.
        board: Where the forward notes the law of units.
        start: The number of columns of the prompts of the call.
    """

    prompts: Prompts

    def __init__(self, prompts: Prompts, mode: str, record: bool, board: UnitBoard, start: int) -> None:
        super().__init__(prompts, mode, record)
        self.draws = True  # `generate` has to take what is chosen here
        self.mode, self.board, self.start = mode, board, start
        self.processors = LogitsProcessorList()  # all others of the call
        self._chosen: dict[int, list[_Chosen]] = {}

    def around(self, processors: Sequence[LogitsProcessor]) -> UnitNoise:
        """Take the place of the processors of the call; those of a call that it drafts for are there already."""
        if not self.processors:
            self.processors = LogitsProcessorList(processors)
        return self

    def drafting(self, record: bool, board: UnitBoard, start: int) -> UnitNoise:
        """Return a processor for an assistant, which chooses as this one would."""
        own = UnitNoise(self.prompts, self.mode, record, board, start)
        own.processors, own._chosen = self.processors, dict(self._chosen)
        return own

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.Tensor:
        """Choose the next token, `(R, V)` to scores that leave only this one.

        Scores that no forward of this call has made are those of a draft: only what the others rule out matters.
        """
        columns, place = input_ids.shape[1], self.board.take(input_ids)
        if place is None:
            ruled: torch.Tensor = self.processors(input_ids, scores)
            return ruled
        going = self._going_on(input_ids)
        opened = self._open(place, columns, going)
        found = self._scores(scores, place, opened, going)
        texts = [ids[padding:] for ids, padding in zip(input_ids, self._padding(len(input_ids)), strict=True)]
        self._processors.run(input_ids, found, opened, texts, keeps_tokens=self._recorded is not None)
        if self._recorded is not None:
            self._recorded[columns - self.start] = found.tokens
        chosen = self._after(columns, len(scores))
        rows = (found.going < 0).nonzero().flatten()
        steps, fresh = [each.step + 1 for each in chosen], rows.tolist()
        if fresh:
            columns_of = self._choose(found.units[rows], rows, steps).tolist()
            for row, column in zip(fresh, columns_of, strict=True):
                unit, read = self._unit(column, opened[row])
                chosen[row] = _Chosen(self._written(unit), columns - read, steps[row])
        self._chosen[columns] = chosen
        next_ = torch.tensor([each.tokens[columns - each.start] for each in chosen], device=scores.device)
        return torch.full_like(scores, -torch.inf).scatter_(-1, next_[:, None], 0.0)

    def tie_noise(self, input_ids: torch.Tensor) -> Uniform:
        """Return the noise that breaks ties before a unit is chosen."""
        numbers = [(each.step + 1, CUT) for each in self._after(input_ids.shape[1], len(input_ids))]
        keys = self.prompts.row_keys(numbers)
        return lambda rows, units: self._uniform(rows, units, keys)

    @property
    def _action(self) -> UnitAction:
        action = self.prompts.written
        assert isinstance(action, UnitAction)
        return action

    @cached_property
    def _processors(self) -> UnitProcessors:
        return UnitProcessors(self._action, self.processors)

    @cached_property
    def _first(self) -> torch.Tensor:
        """The first token of each unit, `(U,)`."""
        tokens = torch.arange(self._action.vocab_size)
        return torch.cat([tokens, torch.tensor([form[0] for form in self._action.forms], dtype=torch.long)])

    def _padding(self, rows: int) -> list[int]:
        """Return the number of places of padding before each row."""
        each = self.prompts.padding
        return [padding for padding in each for _ in range(rows // len(each))]

    def _written(self, unit: int) -> tuple[int, ...]:
        return tuple(self._action.write([unit]))

    def _after(self, columns: int, rows: int) -> list[_Chosen]:
        """Return what the rows chose in the step before; before the first step, nothing."""
        known = self._chosen.get(columns - 1)
        return [_Chosen((), columns, -1)] * rows if known is None else list(known)

    def _going_on(self, ids: torch.Tensor) -> list[int]:
        """Return the token that goes on with the unit of each row; −1 if the unit is complete, or given up."""
        columns, last = ids.shape[1], ids[:, -1].tolist()
        going = []
        for each, token in zip(self._after(columns, len(ids)), last, strict=True):
            read = columns - each.start
            goes_on = 0 < read < len(each.tokens) and each.tokens[read - 1] == token
            going.append(each.tokens[read] if goes_on else -1)
        return going

    def _open(self, place: UnitPlace, columns: int, going: Sequence[int]) -> list[OpenForms | None]:
        """Return the forms that may be chosen beside units: at the end of the prompts, or if a unit is given up."""
        first = columns - 1 not in self._chosen
        return [
            each if each.forms and (first or token >= 0) else None
            for each, token in zip(place.opened, going, strict=True)
        ]

    def _scores(
        self, scores: torch.Tensor, place: UnitPlace, opened: Sequence[OpenForms | None], going: Sequence[int]
    ) -> StepScores:
        """Return the scores of a step before the processors."""
        units = place.law.to(scores.device, scores.dtype)
        heads = self._first.to(scores.device).expand(len(units), -1)
        most = max(len(each.forms) if each is not None else 0 for each in opened)
        if most:
            more = units.new_full((len(units), most), -math.inf)
            next_ = torch.zeros(len(units), most, dtype=torch.long)
            closed = units.new_zeros(len(units))
            for row, each in enumerate(opened):
                if each is not None:
                    closed[row] = each.closed.to(units)
                    more[row, : len(each.forms)] = torch.stack(list(each.forms.values())).to(units)
                    next_[row, : len(each.forms)] = torch.tensor([self._written(u)[k] for u, k in each.forms])
            units, heads = torch.cat([units + closed[:, None], more], 1), torch.cat([heads, next_.to(heads)], 1)
        return StepScores(scores, units, heads, torch.tensor(going, device=scores.device))

    def _choose(self, units: torch.Tensor, rows: torch.Tensor, steps: Sequence[int]) -> torch.Tensor:
        """Return the column of what some rows choose, `(rows,)`."""
        sample = self.mode == "sample"

        def noise(numbers: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
            keys = self.prompts.row_keys([(step,) for step in steps], sample)
            return self._uniform(rows[numbers], columns, keys)

        if sample:
            return draw_tokens(units, noise)
        chosen = best_tokens(units, noise)
        return units.argmax(-1) if chosen is None else chosen

    def _unit(self, column: int, opened: OpenForms | None) -> tuple[int, int]:
        """Return the unit of a column, and how many of its tokens are there."""
        size = self._action.units
        return (column, 0) if column < size or opened is None else list(opened.forms)[column - size]

    def _uniform(self, rows: torch.Tensor, tokens: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        """Return uniform numbers in (0, 1) for some rows and columns, float64."""
        elements, size = self.prompts.row_elements(len(keys))[rows], self._action.units
        canonical = self.prompts.counters(elements, tokens.clamp(max=size - 1))
        return uniform(keys[rows], torch.where(tokens < size, canonical, tokens))
