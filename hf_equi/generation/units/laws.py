r"""The law of the next unit: what a base says of words of several tokens, symmetrised.

$$ p'(u \mid h) \propto p(\text{write}(u) \mid \text{write}(h))\; q(hu), \qquad
   P_G(u \mid h) = \text{normalise}\; \text{combine}_g\; p'(gu \mid gh) $$

q(h) is the probability that no longer form is completed over the units h. A form needs the base's scores after its
first tokens. They are asked for where `LookAhead` says so; elsewhere a constant share of the probability of the tokens
before stands for them. Both are decided for all members alike, so the equation above holds for any setting.

Letters: B texts, K members, R rows, N places, V vocabulary, C forms, U = V + C units.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice

import torch

from hf_equi.actions.units import FormNode, UnitAction
from hf_equi.checks import check_between, check_share
from hf_equi.errors import ConfigurationError
from hf_equi.generation.units.branches import RowReader, longest_branches, portions
from hf_equi.generation.units.places import Places
from hf_equi.generation.units.readings import Reading, UnitTables, rests, shortest
from hf_equi.symmetrizers import Method
from hf_equi.symmetrizers.fold import Accumulator, combine_pulled_back

__all__ = ["LookAhead", "UnitLaw"]

_SHARE = -1
"""Stands for the pairs of a form's tokens that are not read."""


@dataclass(frozen=True)
class LookAhead:
    """Where the base is asked what follows the first tokens of a form.

    Args:
        threshold: The second token of a form is read where the first tokens of its images combine to at least this
            probability, which bounds its own, and all others where the first two do: 0 for always, 1 for never.
        share: Elsewhere, the probability of a form is this share of that of its tokens that are read.
    """

    threshold: float = 0.05
    share: float = 0.1

    def check(self, multi_token: str) -> None:
        """Refuse values that are out of range, and values without effect, by the names of the settings.

        Raises:
            ConfigurationError: For any.
        """
        check_share("look_ahead", self.threshold)
        check_between("unlooked_share", self.share, 1, closed=True)
        usual = LookAhead()
        given = {"look_ahead": (self.threshold, usual.threshold), "unlooked_share": (self.share, usual.share)}
        for name, (value, default) in given.items():
            if multi_token != "compose" and value != default:
                raise ConfigurationError(
                    f"{name}={value!r} is about words of several tokens, which move with "
                    'multi_token="compose" only: pass that too, or leave it out'
                )


@dataclass
class _Asked:
    """What has to be read ahead, and which values it gives.

    Attributes:
        pairs: The log-probabilities that are asked for: a row, a place, the tokens after it, the next token.
        terms: For some columns the numbers of the pairs whose sum is the log-probability of a unit's tokens, with
            `_SHARE` for those that are not read, and for each rest that would complete a longer form the numbers of
            its pairs.
        said: The log-probabilities of the first pairs, which are read.
        void: Columns of units that would complete an open form.
        left_out: The same in the user's frame, for all members: a text, a place and a unit.
    """

    pairs: dict[tuple[int, int, tuple[int, ...], int], int] = field(default_factory=dict)
    terms: dict[tuple[int, int, int], tuple[list[int], list[list[int]]]] = field(default_factory=dict)
    void: set[tuple[int, int, int]] = field(default_factory=set)
    left_out: set[tuple[int, int, int]] = field(default_factory=set)
    said: torch.Tensor | None = None

    def string(self, row: int, place: int, before: tuple[int, ...], tokens: tuple[int, ...]) -> list[int]:
        """Return the numbers of the pairs that say how probable some tokens are after others."""
        return [
            self.pairs.setdefault((row, place, (*before, *tokens[:size]), token), len(self.pairs))
            for size, token in enumerate(tokens)
        ]


class UnitLaw:
    """The law of the next unit at some places.

    Args:
        action: The group on units.
        method: How members are combined.
        look: Where to look ahead.
        reader: Reads what branches off from the rows.
    """

    def __init__(self, action: UnitAction, method: Method, look: LookAhead, reader: RowReader) -> None:
        self.action, self.method, self.look, self.reader = action, method, look, reader
        self.tables = UnitTables.of(action)

    def combined(self, places: Places) -> tuple[torch.Tensor, torch.Tensor]:
        """Return log P_G of each unit, `(B, N, U)`, and the base's log-probabilities of tokens by row, `(R, N, V)`.

        Cost: one base forward of the branches that are looked at, if any are.
        """
        tokens = places.logits.to(torch.promote_types(places.logits.dtype, torch.float32)).log_softmax(-1)
        asked = self._ask(places, tokens)
        columns = self._first_tokens.to(tokens.device)
        forms = tokens.index_select(-1, columns) + math.log(self.look.share)
        scores = self._correct(torch.cat([tokens, forms], -1), places, asked)
        fold = self.method.combine.fold(places.orbit, self.action, True)
        fold.add(0, scores if fold.takes_logits else scores.log_softmax(-1))
        combined = fold.result()
        if asked.left_out:
            index = _index(sorted(asked.left_out), combined.device)
            combined = combined.index_put(index, combined.new_tensor(-math.inf))
            texts = torch.unique(torch.stack(index[:2]), dim=1)
            combined = combined.index_put((texts[0], texts[1]), combined[texts[0], texts[1]].log_softmax(-1))
        return combined, tokens

    def first(self, places: Places, token: int, forms: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return how the base itself reads the first token of a text.

        Args:
            places: One text of this token, with one member.
            token: The token.
            forms: The forms that begin with it, as units.

        Returns:
            `()` the log-probability that no form is completed over it, and `(forms,)` those of the forms, given the
            token.
        """
        asked = _Asked()
        for unit in (token, *forms):
            written = self.tables.tokens(unit)
            more = [asked.string(0, 0, written[1:], rest) for rest in rests(self.tables.follow([], unit) or [])]
            asked.terms[0, 0, unit] = asked.string(0, 0, (), written[1:]), more
        scores = places.logits.to(torch.promote_types(places.logits.dtype, torch.float32)).log_softmax(-1)
        values = self._values(scores, places, asked)
        return values[0], values[1:]

    @cached_property
    def _first_tokens(self) -> torch.Tensor:
        return torch.tensor([form[0] for form in self.action.forms], dtype=torch.long)

    def _ask(self, places: Places, tokens: torch.Tensor) -> _Asked:
        """Decide where to look ahead, and which units may not follow."""
        asked = _Asked()
        for text, place, reading in places.loud():
            self._rule_out(asked, places, text, place, reading)
        looked = self._read_whole(asked, places, tokens, self._begun(places, tokens))
        for text, place, going in self._going(places, tokens):
            looked.setdefault((text, place), []).extend(going)
        for (text, place), units in looked.items():
            here = places.readings[text][place]
            for row, element in places.members(text):
                nodes = [] if here is None else here.open_nodes(element)
                self._terms(asked, (row, place), self.action.move(element, units), nodes)
        return asked

    def _rule_out(self, asked: _Asked, places: Places, text: int, place: int, reading: Reading) -> None:
        """Note the units that would complete an open form of some member."""
        for row, element in places.members(text):
            back = self.action.group.inverse(element)
            for unit in self._completing(reading.open_nodes(element)):
                asked.void.add((row, place, unit))
                asked.left_out.add((text, place, self.action.move(back, [unit])[0]))

    def _completing(self, nodes: Sequence[FormNode]) -> Iterator[int]:
        """Yield the units that begin with what completes an open form."""
        for rest in rests(nodes):
            if len(rest) == 1:
                yield rest[0]
            if (node := self.tables.root.after(rest)) is not None:
                yield from _forms_from(node)

    def _begun(self, places: Places, tokens: torch.Tensor) -> list[tuple[int, int, int]]:
        """Return texts, places and forms whose second tokens are read there, in the user's frame."""
        if self.look.threshold >= 1:
            return []
        units, columns, which = self._watched
        said = tokens.detach().index_select(-1, columns.to(tokens.device))  # (R, N, first tokens)
        first = which.to(tokens.device)[places.orbit.elements]  # (B, K, units)
        members = said[places.orbit.row_of]  # (B, K, N, first tokens)
        members = members.gather(-1, first[:, :, None].expand(-1, -1, said.shape[1], -1))
        bound = combine_pulled_back(self._accumulator, members)  # (B, N, units)
        return [
            (text, place, units[number])
            for text, place, number in (bound >= self._least).nonzero().tolist()
            if places.origins[places.rows_of[text][0]][place] is not None
        ]

    @property
    def _least(self) -> float:
        """The logarithm of the threshold."""
        return -math.inf if self.look.threshold <= 0 else math.log(self.look.threshold)

    def _read_whole(
        self, asked: _Asked, places: Places, tokens: torch.Tensor, begun: list[tuple[int, int, int]]
    ) -> dict[tuple[int, int], list[int]]:
        """Read the second tokens of forms; return by text and place those of which all others are read, too.

        Most first tokens that are likely begin other words, and then the second ones say so.
        """
        whole: dict[tuple[int, int], list[int]] = {}
        if self._least == -math.inf:  # all are read, and this in one call
            for text, place, unit in begun:
                whole.setdefault((text, place), []).append(unit)
        elif begun:
            images = [
                [(row, place, self.action.move(element, [unit])[0]) for row, element in places.members(text)]
                for text, place, unit in begun
            ]
            columns = [
                [asked.string(row, here, (), self.tables.tokens(unit)[:2]) for row, here, unit in each]
                for each in images
            ]
            said = torch.cat([self._read(tokens, places, asked).detach(), tokens.new_zeros(1)])
            pairs = torch.stack([_padded(each, len(said) - 1, said.device, 2) for each in columns])
            bound = combine_pulled_back(self._accumulator, said[pairs].sum(-1, keepdim=True))  # (begun, 1)
            for (text, place, unit), each, numbers, likely in zip(
                begun, images, columns, (bound >= self._least).flatten().tolist(), strict=True
            ):
                if likely:
                    whole.setdefault((text, place), []).append(unit)
                    continue
                for at, first in zip(each, numbers, strict=True):
                    left = len(self.tables.tokens(at[2])) - len(first)
                    asked.terms[at] = [*first, *[_SHARE] * (left > 0)], []
        return whole

    def _going(self, places: Places, tokens: torch.Tensor) -> Iterator[tuple[int, int, list[int]]]:
        """Yield texts and places, with the tokens that go on with an open form there and are looked at."""
        for text, place, reading in places.loud() if self.look.threshold < 1 else ():
            going = [u for u in sorted(self._half_way(places, text, reading)) if u not in self.tables.composed]
            yield text, place, [u for u in going if self._bound(places, tokens, (text, place), u) >= self._least]

    @property
    def _accumulator(self) -> Accumulator:
        """How members are added up."""
        combine = self.method.combine
        assert isinstance(combine, Accumulator)  # methods of other kinds do not take units
        return combine

    @cached_property
    def _watched(self) -> tuple[list[int], torch.Tensor, torch.Tensor]:
        """The units with an image of several tokens; the first tokens of all images; which is whose."""
        units = sorted(self.tables.composed)
        images = [self.action.move(g, units) for g in range(self.action.group.order)]
        firsts = [[self.tables.tokens(image)[0] for image in row] for row in images]
        columns = sorted({token for row in firsts for token in row})
        number = {token: place for place, token in enumerate(columns)}
        return units, torch.tensor(columns), torch.tensor([[number[token] for token in row] for row in firsts])

    def _half_way(self, places: Places, text: int, reading: Reading) -> set[int]:
        """Return the tokens that go on with an open form of a member without completing it, in the user's frame."""
        found = set()
        for element in places.elements[text]:
            back = self.action.group.inverse(element)
            going = [
                token for node in reading.open_nodes(element) for token, child in node.items() if child.form is None
            ]
            found.update(self.action.move(back, going))
        return found

    def _bound(self, places: Places, tokens: torch.Tensor, spot: tuple[int, int], unit: int) -> float:
        """Return what the first tokens of a unit's images combine to."""
        text, place = spot
        firsts = [
            (row, self.tables.tokens(self.action.move(element, [unit])[0])[0]) for row, element in places.members(text)
        ]
        said = torch.stack([tokens[row, place, first] for row, first in firsts]).detach()
        return float(combine_pulled_back(self._accumulator, said[None, :, None]))

    def _terms(self, asked: _Asked, spot: tuple[int, int], units: Sequence[int], nodes: Sequence[FormNode]) -> None:
        """Note what the exact values of units after a row are made of, in the frame of the row.

        Args:
            asked: Takes the terms.
            spot: The row and the place.
            units: The units that are looked at.
            nodes: What is open in the row.
        """
        begun: dict[int, list[tuple[int, ...]]] = {}
        for unit in units:
            written = self.tables.tokens(unit)
            if len(written) > 1:
                begun.setdefault(written[0], []).append(written[1:])
                left = self.tables.follow(nodes, unit)
                if left is not None:
                    self._term(asked, spot, written, unit, rests(left))
            elif (half := self.tables.follow_open(nodes, unit)) is not None:
                begun.setdefault(unit, []).extend(rests(half))
        for token, more in begun.items():
            if more and self.tables.follow_open(nodes, token) is not None:
                self._term(asked, spot, (token,), token, shortest(more))

    @staticmethod
    def _term(
        asked: _Asked, spot: tuple[int, int], written: tuple[int, ...], unit: int, longer: list[tuple[int, ...]]
    ) -> None:
        if (*spot, unit) not in asked.terms:  # members that share a row look at the same units there
            more = [asked.string(*spot, written, rest) for rest in longer]
            asked.terms[*spot, unit] = asked.string(*spot, (), written), more

    def _correct(self, scores: torch.Tensor, places: Places, asked: _Asked) -> torch.Tensor:
        """Write the exact values of what was looked at into the scores of units, and rule units out."""
        if asked.terms:
            values = self._values(scores, places, asked)
            scores = scores.index_put(_index(list(asked.terms), scores.device), values)
        if asked.void:
            scores = scores.index_put(_index(sorted(asked.void), scores.device), scores.new_tensor(-math.inf))
        return scores

    def _values(self, scores: torch.Tensor, places: Places, asked: _Asked) -> torch.Tensor:
        r"""Return the values of the terms: $\log p(\text{write}(u)) + \log\big(1 - \sum_r p(r)\big)$."""
        said = self._read(scores, places, asked)
        one, none = len(said), len(said) + 1
        # An empty product, what cannot be, and what stands for tokens that are not read.
        said = torch.cat([said, said.new_tensor([0.0, -math.inf, math.log(self.look.share)])])
        products = [product for product, _ in asked.terms.values()]
        most = max(len(more) for _, more in asked.terms.values())
        value = said[_padded(products, one, said.device)].sum(-1)
        if not most:
            return value
        longest = max(len(rest) for _, more in asked.terms.values() for rest in more)
        table = [
            [*(rest + [one] * (longest - len(rest)) for rest in more), *[[none] * longest] * (most - len(more))]
            for _, more in asked.terms.values()
        ]
        lost = said[torch.tensor(table, device=said.device)].sum(-1).exp().sum(-1)  # (terms,)
        return value + torch.log1p(-lost.clamp(max=1 - torch.finfo(lost.dtype).eps))

    def _read(self, scores: torch.Tensor, places: Places, asked: _Asked) -> torch.Tensor:
        """Return the log-probabilities of all pairs; those after further tokens are read from branches."""
        known = 0 if asked.said is None else len(asked.said)
        new = list(islice(asked.pairs.items(), known, None))
        if not new:
            assert asked.said is not None  # nobody asks for nothing
            return asked.said
        here = [(row, place, token) for (row, place, after, token), _ in new if not after]
        numbers = [number for (_, _, after, _), number in new if not after]
        branched = [(pair, number) for pair, number in new if pair[2]]
        found = scores[_index(here, scores.device)] if here else scores.new_zeros(0)
        if branched:
            found = torch.cat([found, self._read_branches([pair for pair, _ in branched], places, scores.dtype)])
        order = torch.tensor([*numbers, *(number for _, number in branched)], device=scores.device).argsort()
        asked.said = found[order] if asked.said is None else torch.cat([asked.said, found[order]])
        return asked.said

    def _read_branches(
        self, pairs: Sequence[tuple[int, int, tuple[int, ...], int]], places: Places, dtype: torch.dtype
    ) -> torch.Tensor:
        """Return the log-probabilities of tokens after branches, `(pairs,)`."""
        wanted = []
        for row, place, after, token in pairs:
            kept, tokens = places.origins[row][place] or (0, ())
            wanted.append((row, kept, (*tokens, *after), token))
        branches, where = longest_branches([(row, kept, tokens) for row, kept, tokens, _ in wanted])
        found, order = [], []
        for start, stop in portions(branches):
            mine = [number for number, (branch, _) in enumerate(where) if start <= branch < stop]
            logits = self.reader.read(branches[start:stop])
            spots = torch.tensor([(where[n][0] - start, where[n][1], wanted[n][3]) for n in mine])
            which, last, wished = spots.to(logits.device).unbind(1)
            found.append(logits[which, last].to(dtype).log_softmax(-1).gather(1, wished[:, None]).squeeze(1))
            order += mine
        return torch.cat(found)[torch.tensor(order, device=found[0].device).argsort()]


def _forms_from(node: FormNode) -> Iterator[int]:
    if node.form is not None:
        yield node.form
    for child in node.values():
        yield from _forms_from(child)


def _index(columns: Sequence[tuple[int, int, int]], device: torch.device) -> tuple[torch.Tensor, ...]:
    return torch.tensor(columns, dtype=torch.long, device=device).unbind(1)


def _padded(lists: Sequence[Sequence[int]], fill: int, device: torch.device, width: int | None = None) -> torch.Tensor:
    width = max(map(len, lists)) if width is None else width
    return torch.tensor([[*each, *[fill] * (width - len(each))] for each in lists], device=device)
