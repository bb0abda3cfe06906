"""How a text is read as units while it grows, one token after the other.

What is read is kept apart from what is written: a `Reading` holds the tokens in the user's frame, the units that stand
for them, and what may still be completed. The law on units (`laws`) asks it which units may follow, in each member.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from hf_equi.actions.units import FormNode, UnitAction

__all__ = ["Reading", "UnitTables", "rests"]


class UnitTables:
    """The tables of an action on units as plain lists, for steps that look at one token at a time.

    Args:
        action: The action.

    Attributes:
        root: The node before the first token of a form.
        longest: The most tokens of a form.
        size: The number of tokens of the vocabulary.
        loud: The units of which a member ends in the beginning of a form.
        composed: The units of which a member has several tokens.
    """

    def __init__(self, action: UnitAction) -> None:
        self.action = action
        self.root = action.trie
        self.longest = max(map(len, action.forms), default=1)
        self.size = action.vocab_size
        units = range(action.units)
        loud = {unit for unit in (*action.trie, *units[self.size :]) if self.after(unit) is not None}
        elements = range(action.group.order)
        self.loud = frozenset(u for g in elements for u in action.move(g, loud))  # the orbits of what goes on
        self.composed = frozenset(u for g in elements for u in action.move(g, units[self.size :]))

    @classmethod
    def of(cls, action: UnitAction) -> UnitTables:
        """Return the tables of an action, made once for each."""
        found = _TABLES.get(action)
        if found is None:
            found = _TABLES[action] = cls(action)
        return found

    def tokens(self, unit: int) -> tuple[int, ...]:
        """Return the tokens of a unit."""
        return (unit,) if unit < self.size else self.action.forms[unit - self.size]

    def after(self, unit: int) -> FormNode | None:
        """Return the node after the tokens of a unit, if a form goes on from there; otherwise `None`."""
        return self.root.after(self.tokens(unit)) or None

    def may_go_on(self, tokens: Sequence[int]) -> bool:
        """Whether some last tokens of a text are the beginning of a form."""
        tail = tokens[-self.longest + 1 :] if self.longest > 1 else ()
        return any(self.root.after(tail[start:]) for start in range(len(tail)))

    def follow(self, nodes: Sequence[FormNode], unit: int) -> list[FormNode] | None:
        """Return what is open after one more unit; `None` if the unit would complete a form that is open.

        Args:
            nodes: What is open before it.
            unit: A unit in the same frame.
        """
        going = self.follow_open(nodes, unit)
        own = self.after(unit)
        return going if going is None or own is None else [own, *going]

    def follow_open(self, nodes: Sequence[FormNode], unit: int) -> list[FormNode] | None:
        """Return where the forms that were open go on after one more unit; `None` if it would complete one."""
        tokens = self.tokens(unit)
        ends = [node.after(tokens[:size]) for node in nodes for size in range(1, len(tokens) + 1)]
        if any(end is not None and end.form is not None for end in ends):
            return None
        return [end for end in ends[len(tokens) - 1 :: len(tokens)] if end is not None]


_TABLES: WeakKeyDictionary[UnitAction, UnitTables] = WeakKeyDictionary()


def rests(nodes: Sequence[FormNode]) -> list[tuple[int, ...]]:
    """Return what is left of the forms that go on from some nodes, without those that begin with another one."""
    return shortest([rest for node in nodes for rest in _below(node)])


def shortest(strings: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Return those of some strings of tokens that do not begin with another one."""
    found = sorted(set(strings), key=lambda string: (len(string), string))
    return [string for string in found if not any(string[:size] in found for size in range(1, len(string)))]


def _below(node: FormNode) -> Iterator[tuple[int, ...]]:
    for token, child in node.items():
        if child.form is not None:
            yield (token,)
        else:
            yield from ((token, *rest) for rest in _below(child))


@dataclass(frozen=True)
class Reading:
    """One text, read as units.

    Args:
        tables: The tables of the action.
        tokens: The tokens of the text, without padding.
        units: The units of the longest reading, all closed.
        stays: Whether some image of the text would be read as other units. Then no member moves the text.
        transit: Whether it stays only until a longer form that is open in the user's frame is complete.
        quiet: Whether nothing is open: no member ends in the beginning of a form.
        plain: Whether no unit of the text has a member of several tokens, so that all members are as long as the text.
            Texts that stay are plain.
    """

    tables: UnitTables
    tokens: list[int]
    units: list[int]
    stays: bool = False
    quiet: bool = True
    plain: bool = True
    transit: bool = False

    @classmethod
    def of(cls, tables: UnitTables, tokens: Sequence[int]) -> Reading:
        """Read a whole text."""
        return cls._read(tables, list(tokens), tables.action.read(list(tokens)), 0)

    @classmethod
    def _read(cls, tables: UnitTables, tokens: list[int], units: list[int], first: int) -> Reading:
        """Return the reading of some units, of which those before the number `first` are read back on their own."""
        stays = not _reads_back(tables, units[first:])
        transit = stays and _is_transit(tables, units, first)
        quiet = _is_quiet(tables, units, stays)
        return cls(tables, tokens, units, stays, quiet, stays or tables.composed.isdisjoint(units), transit)

    def then(self, token: int) -> Reading:
        """Return the reading of the text with one more token."""
        tables = self.tables
        tokens = [*self.tokens, token]
        if self.quiet and token not in tables.loud:
            plain = self.stays or (self.plain and token not in tables.composed)
            return Reading(tables, tokens, [*self.units, token], self.stays, True, plain)
        kept, start = self.settled
        new = tables.action.read(tokens[start:])
        units = [*self.units[:kept], *new]
        if self.stays and not self.transit:  # no token changes this
            return Reading(tables, tokens, units, True, _is_quiet(tables, units, True), True)
        return Reading._read(tables, tokens, units, max(kept - tables.longest, 0))

    @property
    def settled(self) -> tuple[int, int]:
        """How many units no further token can change, and the number of their tokens."""
        kept, start = len(self.units), len(self.tokens)
        while kept and start > len(self.tokens) - self.tables.longest + 1:
            kept -= 1
            start -= len(self.tables.tokens(self.units[kept]))
        return kept, start

    def along(self, tokens: Sequence[int]) -> tuple[Reading, dict[int, Reading]]:
        """Return the reading after more tokens, and the readings on the way after which something is open.

        Args:
            tokens: The next tokens.

        Returns:
            The last reading, and by the number of tokens that were read before it each reading that is not quiet.
        """
        reading, loud, run = self, {}, []
        for number, token in enumerate(tokens):
            if reading.quiet and token not in self.tables.loud:
                run.append(token)
                continue
            reading = reading._with_run(run).then(token)
            run = []
            if not reading.quiet:
                loud[number] = reading
        return reading._with_run(run), loud

    def _with_run(self, run: list[int]) -> Reading:
        """Return the reading after tokens that leave nothing open."""
        if not run:
            return self
        plain = self.stays or (self.plain and self.tables.composed.isdisjoint(run))
        return Reading(self.tables, [*self.tokens, *run], [*self.units, *run], self.stays, True, plain)

    def unmoved(self) -> Reading:
        """Return the same text, which no member moves."""
        quiet = _is_quiet(self.tables, self.units, True)
        return Reading(self.tables, self.tokens, self.units, True, quiet, True, self.transit)

    def moving(self) -> Reading:
        """Return the same text, which members move although a longer form has to be completed first."""
        if not self.transit:
            return self
        return Reading(self.tables, self.tokens, self.units, False, False, self.tables.composed.isdisjoint(self.units))

    def member(self, element: int, units: Sequence[int] | None = None) -> list[int]:
        """Return the tokens of a member of the text, or of some units in its frame."""
        action = self.tables.action
        return action.write(action.move(0 if self.stays else element, self.units if units is None else units))

    def open_nodes(self, element: int) -> list[FormNode]:
        """Return where a member ends in the beginning of forms: one node for each unit from which a form goes on."""
        return [] if self.quiet else _open_nodes(self.tables, self.units, 0 if self.stays else element)


def _open_nodes(tables: UnitTables, units: Sequence[int], element: int) -> list[FormNode]:
    nodes: list[FormNode] = []
    tail: list[int] = []
    for unit in reversed(tables.action.move(element, units[-tables.longest :])):
        tail = [*tables.tokens(unit), *tail]
        if len(tail) > tables.longest:
            break
        if node := tables.root.after(tail):
            nodes.append(node)
    return nodes


def _is_quiet(tables: UnitTables, units: Sequence[int], stays: bool) -> bool:
    if tables.loud.isdisjoint(units[-tables.longest :]):
        return True
    elements = (0,) if stays else range(tables.action.group.order)
    return not any(_open_nodes(tables, units, g) for g in elements)


def _reads_back(tables: UnitTables, units: Sequence[int]) -> bool:
    """Whether some units are read back in each member."""
    if tables.loud.isdisjoint(units):
        return True
    action = tables.action
    images = (action.move(g, units) for g in range(action.group.order))
    return all(action.read(action.write(image)) == image for image in images)


def _is_transit(tables: UnitTables, units: Sequence[int], first: int) -> bool:
    """Whether a form goes on from some units in the user's frame, and those before them are read back."""
    tail: list[int] = []
    opened = None
    for place in range(len(units) - 1, -1, -1):
        tail = [*tables.tokens(units[place]), *tail]
        if len(tail) >= tables.longest:
            break
        if tables.root.after(tail):
            opened = place
    return opened is not None and _reads_back(tables, units[first:opened])
