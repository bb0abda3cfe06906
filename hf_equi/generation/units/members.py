"""Where the members of texts stand in their rows: what to feed, and which places answer which question."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, takewhile

from hf_equi.generation.units.places import Origin
from hf_equi.generation.units.readings import Reading, UnitTables

__all__ = ["GrowingText", "Member"]


@dataclass(frozen=True)
class GrowingText:
    """One text of a call.

    Args:
        before: Its reading before the new tokens.
        reading: Its reading after them.
        loud: By their number of tokens, the readings on the way after which something is open.
        asked: For each of the last places of the call the number of tokens up to it; `None` at padding.
        held: Whether the rows hold its members as they were before the new tokens.
    """

    before: Reading
    reading: Reading
    loud: dict[int, Reading]
    asked: list[int | None]
    held: bool

    @classmethod
    def grown(cls, before: Reading, new: Sequence[int], asked: list[int | None], held: bool) -> GrowingText:
        """Read new tokens. A text whose images would be read differently stays from its first token on.

        What looks like one in the middle of a form that the law has begun to write moves on: the law allows nothing
        but the rest of the form. A prompt that ends there stays, because nobody says that its user means the form.
        """
        reading, loud = before.along(new)
        read = len(before.tokens)
        reading = reading.moving() if read else reading
        known = {number: each.unmoved() if reading.stays else each.moving() for number, each in loud.items()}
        loud = {read + number + 1: each for number, each in known.items()}
        if reading.stays != before.stays:
            reading, held = reading.unmoved() if reading.stays else reading, False
        return cls(before, reading, loud, asked, held)

    @property
    def turned(self) -> bool:
        """Whether the text moves and did not before, or the other way round, so that its law has to be asked anew."""
        return self.before.stays != self.reading.stays

    @property
    def last(self) -> int:
        """The number of tokens of the text."""
        return len(self.reading.tokens)

    def wanted(self, known: bool) -> list[int]:
        """Return the numbers of tokens after which the law is needed, ascending.

        Besides the places that are asked for, these are the places since which something has been open in the user's
        frame.

        Args:
            known: Whether it is known what was open before the new tokens.
        """
        numbers = [number for number in self.asked if number is not None]
        first = min([*numbers, self.last])
        least = len(self.before.tokens) + 1 if known and not self.turned else 1
        while first > least and self.reading.tables.may_go_on(self.reading.tokens[:first][-self._longest :]):
            first -= 1
        return list(range(first, self.last + 1))

    @property
    def _longest(self) -> int:
        return self.reading.tables.longest

    def at(self, number: int) -> Reading | None:
        """Return the reading of the first tokens if something is open after them; otherwise `None`."""
        if number <= len(self.before.tokens):
            reading = Reading.of(self.reading.tables, self.reading.tokens[:number])
            reading = reading.unmoved() if self.reading.stays else reading.moving()
            return None if reading.quiet else reading
        return self.loud.get(number)

    @cached_property
    def ends(self) -> list[int]:
        """The number of tokens up to the end of each unit, beginning with 0."""
        return list(accumulate((len(self.reading.tables.tokens(unit)) for unit in self.reading.units), initial=0))


@dataclass(frozen=True)
class Member:
    """One member of a text in the row that holds it.

    Args:
        text: The text.
        element: The element that makes it.
        held: The tokens that its row holds.
    """

    text: GrowingText
    element: int
    held: list[int]

    @cached_property
    def change(self) -> tuple[int, list[int]]:
        """How many tokens of the row stay, and which follow."""
        text, reading = self.text, self.text.reading
        if text.held:
            settled, _ = text.before.settled
            old = reading.member(self.element, text.before.units[settled:])
            new = reading.member(self.element, reading.units[settled:])
            start = len(self.held) - len(old)
        else:
            old, new, start = self.held, reading.member(self.element), 0
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))
        return start + same, new[same:]

    @property
    def length(self) -> int:
        """The number of tokens of the member."""
        kept, new = self.change
        return kept + len(new)

    def origin(self, number: int) -> Origin:
        """Return where the image of the first tokens of the text stands in the row.

        A number inside a form of the text is that of another reading, whose image branches off from the row.
        """
        text, reading = self.text, self.text.reading
        if number == text.last:
            return self.length, ()
        if reading.plain:
            return number, ()
        unit = bisect_right(text.ends, number) - 1
        kept = self._ends[unit]
        if text.ends[unit] == number:
            return kept, ()
        part = text.at(number)
        assert part is not None  # the first tokens of a form are open
        return kept, tuple(reading.member(self.element, part.units[unit:]))

    @cached_property
    def _ends(self) -> list[int]:
        tables: UnitTables = self.text.reading.tables
        units = tables.action.move(self.element, self.text.reading.units)
        return list(accumulate((len(tables.tokens(unit)) for unit in units), initial=0))
