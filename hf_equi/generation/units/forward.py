"""The reader of texts in which words of several tokens move: the counterpart of `orbit_forward` for units.

    tokens ── read as units, orbit ──► rows of different lengths ── base ──► law of tokens in each row
           ── forms, looking ahead ──► law of units ── pull back, combine ──► law of units ── marginal ──► (B, T, V)

Letters: B texts, K members of each, R distinct rows, T new tokens, N places, V vocabulary, U units.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import takewhile
from typing import Any

import torch
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import Cache

from hf_equi.actions.units import UnitAction
from hf_equi.bases.rows import repeat_rows
from hf_equi.errors import UnsupportedModelError
from hf_equi.generation.units.branches import CachedRows, RereadRows, RowReader, logits_by_length, longest_branches
from hf_equi.generation.units.feeding import RowFeeder, can_hide
from hf_equi.generation.units.laws import LookAhead, UnitLaw
from hf_equi.generation.units.marginals import OpenForms, TokenMarginal
from hf_equi.generation.units.members import GrowingText, Member
from hf_equi.generation.units.places import Origin, Places
from hf_equi.generation.units.plans import RowPlan
from hf_equi.generation.units.state import RowTexts, UnitCache, UnitTexts
from hf_equi.symmetrizers import Method, Orbit

# A second call of the base costs about as much as this number of rows times tokens, because the weights are read
# again. So a shared prefix is fed separately only if that saves more.
MINIMUM_SAVING = 256

__all__ = ["UnitForward", "UnitScores"]


@dataclass(frozen=True)
class UnitScores:
    """The output of a forward.

    Args:
        combined: `(B, keep, V)` the law of the next token.
        identity: `(B, keep, V)` the base's own, in the user's frame.
        cache: The cache, if one is kept.
        law: `(B, keep, U)` the law of the next unit after the closed reading.
        opened: What is open at each place of each text.
    """

    combined: torch.Tensor
    identity: torch.Tensor
    cache: UnitCache | None
    law: torch.Tensor
    opened: list[list[OpenForms]]


@dataclass(frozen=True)
class UnitForward:
    """A forward of texts of units.

    Args:
        base: The base.
        action: The group on units.
        method: How members are combined.
        look: Where to look ahead.
        extras: The other arguments of the base, with one entry per text where they are tensors.
        chunk: The members of each orbit that go through the base at once; `None` for all.
    """

    base: PreTrainedModel
    action: UnitAction
    method: Method
    look: LookAhead
    extras: dict[str, Any]
    chunk: int | None = None

    @cached_property
    def marginal(self) -> TokenMarginal:
        """The marginal of the law of units on tokens."""
        return TokenMarginal(self.action)

    def score(
        self, ids: torch.Tensor, mask: torch.Tensor | None, elements: torch.Tensor, cache: Cache | None, keep: int
    ) -> UnitScores:
        """Score texts as `run` does; without a cache as many at once as their rows fit into a chunk."""
        if torch.compiler.is_exporting():
            raise UnsupportedModelError(
                "A graph cannot read words of several tokens, because the words of a text decide how long its rows "
                'are: export a model with multi_token="skip".'
            )
        count = len(ids)
        if cache is not None or self.chunk is None or self.chunk >= elements.shape[1]:
            return self.run(ids, mask, elements, cache, keep)
        size, parts = max(1, count * self.chunk // elements.shape[1]), []
        for some in (slice(start, start + size) for start in range(0, count, size)):
            own = replace(self, extras=repeat_rows(self.extras, torch.arange(count, device=ids.device)[some], count))
            parts.append(own.run(ids[some], None if mask is None else mask[some], elements[some], None, keep))
        return UnitScores(
            torch.cat([part.combined for part in parts]),
            torch.cat([part.identity for part in parts]),
            None,
            torch.cat([part.law for part in parts]),
            [row for part in parts for row in part.opened],
        )

    def run(
        self, ids: torch.Tensor, mask: torch.Tensor | None, elements: torch.Tensor, cache: Cache | None, keep: int
    ) -> UnitScores:
        """Score the last places of some texts.

        Args:
            ids: `(B, T)` new tokens, in the user's frame.
            mask: `(B, T)`, 0 at padding.
            elements: `(B, K)`.
            cache: The cache so far, which may be an empty cache of the base; `None` to keep none.
            keep: The number of last places to score.
        """
        held = self._open(cache, elements)
        known = held.texts.law is not None
        texts = self._grow(held.texts, ids, mask, keep)
        numbers = _aligned([text.wanted(known) for text in texts])
        members = _members(texts, held)
        if cache is not None and self._feeds_prefix(held, members):
            members = _members(texts, held)
        fed = self._feed(held, members, numbers, cache is not None)
        orbit, logits, origins, reader = fed
        readings = [
            [None if number is None else text.at(number) for number in row]
            for text, row in zip(texts, numbers, strict=True)
        ]
        law = UnitLaw(self.action, self.method, self.look, reader)
        combined, own = law.combined(Places(logits, readings, origins, orbit))
        opened = self._open_forms(held.texts, texts, numbers, combined)
        tokens = self._mixed(combined, opened)
        held.texts = UnitTexts(
            held.texts.length + ids.shape[1],
            [text.reading for text in texts],
            [row[-1] for row in opened],
            combined[:, -1].detach().clone(),  # not a view, which would keep the law of all places
            held.texts.rows,
        )
        slots = _slots(texts, numbers).to(tokens.device)
        identity = own[orbit.row_of[:, 0]]
        return UnitScores(
            _at(tokens, slots),
            _at(identity, slots),
            held if cache is not None else None,
            _at(combined, slots),
            [[row[slot] for slot in own_slots] for row, own_slots in zip(opened, slots.tolist(), strict=True)],
        )

    def _open(self, cache: Cache | None, elements: torch.Tensor) -> UnitCache:
        """Return the cache of the call, or a new one."""
        if isinstance(cache, UnitCache):
            return cache
        inner = cache
        if inner is None:
            inner = DynamicCache(config=self.base.config.get_text_config(decoder=True))
        return UnitCache(inner, Orbit.start(elements), self.action, type(self.method.select))

    def _grow(self, held: UnitTexts, ids: torch.Tensor, mask: torch.Tensor | None, keep: int) -> list[GrowingText]:
        """Read the new tokens of each text."""
        self.action.check_ids(ids)
        rows = ids.tolist()
        visible = torch.ones_like(ids, dtype=torch.bool) if mask is None else mask.bool()
        texts = []
        for before, row, shown in zip(held.readings, rows, visible.tolist(), strict=True):
            new = [token for token, there in zip(row, shown, strict=True) if there]
            count, asked = len(before.tokens), []
            for there in shown:
                count += there
                asked.append(count if there else None)
            texts.append(GrowingText.grown(before, new, asked[-keep:], held.law is not None))
        return texts

    def _feed(
        self, held: UnitCache, members: list[list[Member]], numbers: list[list[int | None]], keeps: bool
    ) -> tuple[Orbit, torch.Tensor, list[list[Origin | None]], RowReader]:
        """Run the base on what the rows do not hold; return its scores at the places, and who reads branches."""
        plan = RowPlan.of(held, members, numbers, keeps, self._hides(held, members))
        batch, count = plan.orbit.batch_of_row, len(members)
        if plan.hides:
            logits, caches = self._feed_caches(held, plan, count, keeps)
            reader: RowReader = CachedRows(self.base, caches, held.texts.rows.places, self.extras, batch, count)
        if not plan.hides or not caches:
            reader = RereadRows(self.base, plan.targets, self.extras, batch, count)
        if not plan.hides:

            def arguments(places: torch.Tensor) -> dict[str, Any]:
                return repeat_rows(self.extras, batch[places], count)

            logits = logits_by_length(self.base, plan.targets, plan.deepest, arguments, batch.device)
            held.forget_rows(plan.targets)
        aligned = _at(logits, plan.places.to(logits.device))
        return plan.orbit, _with_branches(aligned, plan.origins, reader), plan.origins, reader

    def _feeds_prefix(self, held: UnitCache, members: list[list[Member]]) -> bool:
        """Feed what all members of a text begin with to one row, and return whether that saved enough to do it."""
        if held.texts.rows.width or held.orbit.rows > len(members) or not self._hides(held, members):
            return False
        prefixes = [_common([member.change[1] for member in row]) for row in members]
        others = [len({tuple(member.change[1]) for member in row}) - 1 for row in members]
        if sum(many * len(prefix) for many, prefix in zip(others, prefixes, strict=True)) <= MINIMUM_SAVING:
            return False
        feeder = RowFeeder(self.base, self.extras, held.orbit.batch_of_row, len(members))
        width = max(map(len, prefixes))
        most = width if self.chunk is None else max(1, self.chunk * width)
        _, held.texts.rows = feeder.feed(held.inner, held.texts.rows, prefixes, [0] * len(prefixes), 1, most)
        return True

    def _hides(self, held: UnitCache, members: list[list[Member]]) -> bool:
        """Return whether the rows can be fed to a cache of which some places are hidden."""
        longest = max(member.length for row in members for member in row)
        return can_hide(self.base, held.texts.rows.width + longest)

    def _feed_caches(
        self, held: UnitCache, plan: RowPlan, count: int, keeps: bool
    ) -> tuple[torch.Tensor, list[tuple[int, int, Cache]]]:
        """Feed the rows, at most as many at once as the chunk allows; return the scores and the caches."""
        feeder = RowFeeder(self.base, self.extras, plan.orbit.batch_of_row, count)
        rows, texts = len(plan.targets), held.texts.rows
        if keeps:
            width = max(map(len, plan.new))
            most = width if self.chunk is None else max(1, count * self.chunk * width // rows)
            fed, held.texts.rows = feeder.feed(held.inner, texts, plan.new, plan.kept, plan.deepest, most)
            return fed.logits, [(0, rows, held.inner)]
        most = rows if self.chunk is None else count * self.chunk
        logits, caches, parts = [], [], []
        for start in range(0, rows, most):
            some = range(start, min(start + most, rows))
            new, kept = [plan.new[row] for row in some], [0 for _ in some]
            part = feeder.of_rows(some)
            fed, now = part.feed(None, texts.take(some), new, kept, plan.deepest)
            logits.append(torch.nn.functional.pad(fed.logits, (0, 0, plan.deepest - fed.logits.shape[1], 0)))
            parts.append(now)
            if fed.cache is not None:
                caches.append((start, some.stop, fed.cache))
        held.texts.rows = RowTexts(
            [tokens for part in parts for tokens in part.tokens], [places for part in parts for places in part.places]
        )
        return torch.cat(logits), caches

    def _open_forms(
        self,
        held: UnitTexts,
        texts: list[GrowingText],
        numbers: list[list[int | None]],
        combined: torch.Tensor,
    ) -> list[list[OpenForms]]:
        """Return what is open at each place of each text."""
        found = []
        for index, (text, wanted) in enumerate(zip(texts, numbers, strict=True)):
            tokens, read = text.reading.tokens, len(text.before.tokens)
            closed = OpenForms(combined.new_zeros(()))
            row: list[OpenForms] = []
            opened: OpenForms | None = None
            for place, number in enumerate(wanted):
                if number is None:
                    row.append(closed)
                    continue
                if opened is None:  # the first place of the text
                    last = held.opened[index]
                    if 0 < read == number - 1 and not text.turned and held.law is not None and last is not None:
                        opened = self.marginal.after(last, held.law[index], tokens[number - 1])
                    elif number == 1:
                        opened = self._begin(tokens[0], combined)
                    else:
                        opened = closed
                else:
                    opened = self.marginal.after(opened, combined[index, place - 1], tokens[number - 1])
                row.append(opened)
            found.append(row)
        return found

    def _begin(self, token: int, like: torch.Tensor) -> OpenForms:
        """Return what is open after the first token of a text: there is no law before it, so the base weighs it."""
        begun = self.marginal.begun(token)
        if not begun:
            return OpenForms(like.new_zeros(()))
        device = self.action.device
        no_rows = torch.zeros(1, dtype=torch.long, device=device)
        reader = RereadRows(self.base, [[token]], {}, no_rows, 1)
        places = Places(
            logits=logits_by_length(self.base, [[token]], 1, lambda _: {}, device),
            readings=[[None]],
            origins=[[(1, ())]],
            orbit=Orbit.start(no_rows[:, None]),
        )
        law = UnitLaw(self.action, self.method, self.look, reader)
        closed, forms = law.first(places, token, begun)
        return self.marginal.begin(token, closed, dict(zip(begun, forms, strict=True)))

    def _mixed(self, combined: torch.Tensor, opened: list[list[OpenForms]]) -> torch.Tensor:
        """Return the law of the next token at each place, `(B, N, V)`."""
        law = self.marginal.of_closed(combined)
        for text, row in enumerate(opened):
            for place, forms in enumerate(row):
                if forms.forms:
                    index = (torch.tensor(text, device=law.device), torch.tensor(place, device=law.device))
                    law = law.index_put(index, self.marginal.mixed(law[text, place], forms))
        return law


def _with_branches(logits: torch.Tensor, origins: list[list[Origin | None]], reader: RowReader) -> torch.Tensor:
    """Fill in the scores after texts that branch off from their rows."""
    spots = [
        (row, place, each)
        for row, places in enumerate(origins)
        for place, each in enumerate(places)
        if each is not None and each[1]
    ]
    if not spots:
        return logits
    branches, where = longest_branches([(row, kept, after) for row, _, (kept, after) in spots])
    read = reader.read(branches)
    at = torch.tensor(where, device=read.device)
    index = torch.tensor([(row, place) for row, place, _ in spots], device=logits.device)
    return logits.index_put((index[:, 0], index[:, 1]), read[at[:, 0], at[:, 1]].to(logits.dtype))


def _common(texts: list[list[int]]) -> list[int]:
    """Return the tokens that all texts begin with, without the last token of any."""
    size = min(map(len, texts)) - 1
    first, last = min(texts), max(texts)
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False)))
    return first[: min(size, same)]


def _members(texts: list[GrowingText], held: UnitCache) -> list[list[Member]]:
    rows, elements = held.orbit.row_of.tolist(), held.orbit.elements.tolist()
    return [
        [Member(text, element, held.texts.rows.tokens[row]) for element, row in zip(*pair, strict=True)]
        for text, *pair in zip(texts, elements, rows, strict=True)
    ]


def _aligned(wanted: list[list[int]]) -> list[list[int | None]]:
    """Return lists of one length, filled up at their beginnings."""
    width = max(map(len, wanted))
    return [[*[None] * (width - len(row)), *row] for row in wanted]


def _slots(texts: list[GrowingText], numbers: list[list[int | None]]) -> torch.Tensor:
    """Return the place of each token that is asked for, `(B, keep)`; padding takes the last one."""
    table = []
    for text, row in zip(texts, numbers, strict=True):
        place = {number: index for index, number in enumerate(row)}
        table.append([len(row) - 1 if number is None else place[number] for number in text.asked])
    return torch.tensor(table)


def _at(values: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Return the values of some places in each row: `(R, N, V)` and `(R, M)` to `(R, M, V)`."""
    everything = torch.arange(values.shape[1], device=places.device)
    if places.shape[1] == values.shape[1] and bool((places == everything).all()):
        return values
    return values[torch.arange(len(places), device=places.device)[:, None], places]
