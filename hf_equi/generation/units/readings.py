"""How a text is read as units while it grows, one token after the other.

What is read is kept apart from what is written: a `Reading` holds the tokens in the user's frame, the units that stand
for them, and what may still be completed. The law on units (`laws`) asks it which units may follow, in each member.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hf_equi.actions.units import UnitAction

__all__ = ["Reading", "UnitTables", "rests"]


class UnitTables:
    """The tables of an action on units as plain lists, for steps that look at one token at a time.

    Args:
        action: The action.

    Attributes:
        root: The node before the first token of a form.
        longest: The most tokens of a form.
        images: `[g][unit]`, the unit to which each element sends a unit.
        quiet: `[unit]`, whether no member of the unit ends in the beginning of a form, so that it leaves nothing open.
        plain: `[unit]`, whether all members of the unit are tokens.
    """

    def __init__(self, action: UnitAction) -> None:
        self.action = action
        self.root = action.trie
        self.longest = max(map(len, action.forms), default=1)
        self.images: list[list[int]] = action.permutations.tolist()
        self.size = action.vocab_size
        ends = [not self._goes_on(unit) for unit in range(action.units)]
        self.quiet = [all(ends[image] for image in images) for images in zip(*self.images, strict=True)]
        self.plain = [all(image < self.size for image in images) for images in zip(*self.images, strict=True)]

    def tokens(self, unit: int) -> tuple[int, ...]:
        """Return the tokens of a unit."""
        return (unit,) if unit < self.size else self.action.forms[unit - self.size]

    def after(self, unit: int) -> Any:
        """Return the node after the tokens of a unit, if a form goes on from there; otherwise `None`."""
        node = self.root
        for token in self.tokens(unit):
            node = node.next.get(token)
            if node is None:
                return None
        return node if node.next else None

    def _goes_on(self, unit: int) -> bool:
        return self.after(unit) is not None

    def follow(self, nodes: Sequence[Any], unit: int) -> list[Any] | None:
        """Return what is open after one more unit; `None` if the unit would complete a form that is open.

        Args:
            nodes: What is open before it.
            unit: A unit in the same frame.
        """
        left = [] if (own := self.after(unit)) is None else [own]
        for node in nodes:
            for token in self.tokens(unit):
                node = node.next.get(token)
                if node is None:
                    break
                if node.form is not None:
                    return None
            if node is not None:
                left.append(node)
        return left


def rests(nodes: Sequence[Any]) -> list[tuple[int, ...]]:
    """Return what is left of the forms that go on from some nodes, without those that begin with another one."""
    found = sorted({rest for node in nodes for rest in _below(node)}, key=len)
    return [rest for rest in found if not any(rest[:size] in found for size in range(1, len(rest)))]


def _below(node: Any) -> Iterator[tuple[int, ...]]:
    for token, child in node.next.items():
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
        quiet: Whether nothing is open: no member ends in the beginning of a form.
        plain: Whether no unit of the text has a member of several tokens, so that all members are as long as the text.
    """

    tables: UnitTables
    tokens: list[int]
    units: list[int]
    stays: bool = False
    quiet: bool = True
    plain: bool = True

    @classmethod
    def of(cls, tables: UnitTables, tokens: Sequence[int]) -> Reading:
        """Read a whole text."""
        given = list(tokens)
        units = tables.action.read(given)
        stays = not all(tables.quiet[unit] for unit in units) and not tables.action.reads_back(given)
        plain = all(tables.plain[unit] for unit in units)
        return cls(tables, given, units, stays, _is_quiet(tables, units, stays), plain)

    def then(self, token: int) -> Reading:
        """Return the reading of the text with one more token."""
        tables = self.tables
        tokens = [*self.tokens, token]
        if self.quiet and tables.quiet[token]:
            return Reading(tables, tokens, [*self.units, token], self.stays, True, self.plain and tables.plain[token])
        kept, start = self._before_the_end()
        units = [*self.units[:kept], *tables.action.read(tokens[start:])]
        stays = self.stays or not self._reads_back(units)
        plain = self.plain and all(tables.plain[unit] for unit in units[kept:])
        return Reading(tables, tokens, units, stays, _is_quiet(tables, units, stays), plain)

    def _before_the_end(self) -> tuple[int, int]:
        """Return how many units no further token can change, and where they end."""
        kept, start = len(self.units), len(self.tokens)
        while kept and start > len(self.tokens) - self.tables.longest + 1:
            kept -= 1
            start -= len(self.tables.tokens(self.units[kept]))
        return kept, start

    def _reads_back(self, units: list[int]) -> bool:
        """Whether the last units are read back from each member; the ones before them are."""
        action = self.tables.action
        # A form can begin at most `longest` - 1 tokens, and so as many units, before the last unit.
        end = units[-self.tables.longest - 1 :]
        for table in self.tables.images:
            image = [table[unit] for unit in end]
            if action.read(action.write(image)) != image:
                return False
        return True

    def member(self, element: int, units: Sequence[int] | None = None) -> list[int]:
        """Return the tokens of a member of the text, or of some units in its frame."""
        units = self.units if units is None else units
        table = self.tables.images[0 if self.stays else element]
        return self.tables.action.write([table[unit] for unit in units])

    def open_nodes(self, element: int) -> list[Any]:
        """Return where a member ends in the beginning of forms: one node for each unit from which a form goes on."""
        if self.quiet:
            return []
        return _open_nodes(self.tables, self.units, self.tables.images[0 if self.stays else element])


def _open_nodes(tables: UnitTables, units: Sequence[int], table: Sequence[int]) -> list[Any]:
    nodes: list[Any] = []
    tail: list[int] = []
    for unit in reversed(units):
        tail = [*tables.tokens(table[unit]), *tail]
        if len(tail) >= tables.longest:
            break
        node = tables.root
        for token in tail:
            node = node.next.get(token)
            if node is None:
                break
        if node is not None and node.next:
            nodes.append(node)
    return nodes


def _is_quiet(tables: UnitTables, units: Sequence[int], stays: bool) -> bool:
    if all(tables.quiet[unit] for unit in units[-tables.longest :]):
        return True
    images = tables.images[:1] if stays else tables.images
    return not any(_open_nodes(tables, units, table) for table in images)
