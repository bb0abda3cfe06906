"""Finite groups as tables: products, inverses and one permutation representation."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, overload

import torch

from hf_equi.checks import check_count, did_you_mean
from hf_equi.display import shown
from hf_equi.errors import GroupError
from hf_equi.groups._axioms import (
    MAX_ORDER,
    arange,
    associative_generators,
    check_generators,
    check_identity,
    checked_names,
    inverse_table,
    long_tensor,
    require_order,
    square_table,
)
from hf_equi.groups.registry import TYPE, without_type

__all__ = ["MAX_ORDER", "FiniteGroup"]


class FiniteGroup:
    r"""A finite group G, given by its multiplication table.

    Elements are $0, \dots, G - 1$ and 0 is the identity. With $p = $ `permutations`,

    $$p_{gh}(v) = p_g(p_h(v)), \qquad \text{product}[g, h] = gh.$$

    All axioms are checked on construction. Associativity is checked by Light's test, which is exact and costs $G^2$
    operations for each generator instead of $G^3$.

    Args:
        product_table (`torch.Tensor` or nested sequence of `int`, shape `(G, G)`):
            Entry `[g, h]` is the element gh.
        names (`Sequence[str]`, *optional*):
            One distinct name per element; `"e"`, `"g1"`, `"g2"`, ... by default.
        permutations (`torch.Tensor` or nested sequence of `int`, shape `(G, degree)`, *optional*):
            Row g is the permutation by which g acts on `degree` points; the regular representation by default.

    Raises:
        GroupError: If the table breaks an axiom (the message names the elements at fault), if the order is above
            `MAX_ORDER`, if there is not one distinct name per element, or if `permutations` is not a representation.

    Example:
        ```python
        >>> from hf_equi.groups import FiniteGroup
        >>> square = FiniteGroup.dihedral(4)
        >>> square.order, square.names[5]
        (8, 'rs')
        >>> r, s = square.element("r"), square.element("s")
        >>> square.names[square.product[r, s]], square.names[square.product[s, r]]
        ('rs', 'r3s')

        ```
    """

    def __init__(
        self,
        product_table: torch.Tensor | Sequence[Sequence[int]],
        *,
        names: Sequence[str] | None = None,
        permutations: torch.Tensor | Sequence[Sequence[int]] | None = None,
    ) -> None:
        self._product = square_table(product_table)
        check_identity(self._product)
        self._generators = associative_generators(self._product)
        self._inverses = inverse_table(self._product)
        self._names = checked_names(names, self.order)
        self._permutations = self._product.clone() if permutations is None else self.check_permutations(permutations)

    def _take_over(self, group: FiniteGroup, names: Sequence[str] | None) -> None:
        """Take over the tables of an existing group with other names, without checking the tables again."""
        self._product, self._permutations = group._product, group._permutations
        self._generators, self._inverses = group._generators, group._inverses
        self._names = checked_names(names, group.order)

    @property
    def order(self) -> int:
        """The number of elements G."""
        return self._product.shape[0]

    @property
    def product(self) -> torch.Tensor:
        """`torch.LongTensor` of shape `(G, G)`; entry `[g, h]` is gh, which acts as g after h."""
        return self._product

    @property
    def inverses(self) -> torch.Tensor:
        """`torch.LongTensor` of shape `(G,)`; entry g is the inverse of g."""
        return self._inverses

    @property
    def identity(self) -> int:
        """The identity, 0."""
        return 0

    @overload
    def compose(self, g: int, h: int) -> int: ...

    @overload
    def compose(self, g: torch.Tensor, h: torch.Tensor | int) -> torch.Tensor: ...

    @overload
    def compose(self, g: int, h: torch.Tensor) -> torch.Tensor: ...

    def compose(self, g: torch.Tensor | int, h: torch.Tensor | int) -> torch.Tensor | int:
        """Return gh, which acts as g after h, for two elements or for tensors of them whose shapes broadcast."""
        found: torch.Tensor | int = _looked_up(self._product, g, h)
        return found

    @overload
    def inverse(self, g: int) -> int: ...

    @overload
    def inverse(self, g: torch.Tensor) -> torch.Tensor: ...

    def inverse(self, g: torch.Tensor | int) -> torch.Tensor | int:
        """Return g⁻¹ for an element, or for each element of a tensor."""
        found: torch.Tensor | int = _looked_up(self._inverses, g)
        return found

    def sample(self, count: int, generator: torch.Generator | None = None) -> torch.Tensor:
        """Draw elements uniformly: `(count,)` int64, on the CPU."""
        return torch.randint(self.order, (count,), generator=generator, device="cpu")

    @property
    def permutations(self) -> torch.Tensor:
        """`torch.LongTensor` of shape `(G, degree)`; entry `[g, v]` is the point g(v)."""
        return self._permutations

    @property
    def names(self) -> tuple[str, ...]:
        """One name per element."""
        return self._names

    @property
    def generators(self) -> tuple[int, ...]:
        """Elements whose products are the whole group, found greedily from the smallest up; empty if G = 1."""
        return self._generators

    def element(self, name_or_index: str | int) -> int:
        """Return the index of an element given by name or by index.

        Args:
            name_or_index (`str` or `int`):
                A name from `names`, or an index from 0 to G - 1, which is returned as it is.

        Returns:
            `int`: The element's index.

        Raises:
            GroupError: If the group has no such element. The message lists those that it has.
        """
        if isinstance(name_or_index, str):
            if name_or_index in self._names:
                return self._names.index(name_or_index)
        elif 0 <= name_or_index < self.order:
            return int(name_or_index)
        known = ", ".join(map(repr, self._names[:24])) + (", ..." if self.order > 24 else "")
        advice = f"give an index from 0 to {self.order - 1} or one of {known}."
        raise GroupError(
            f"No element {name_or_index!r} in {self!r}: {did_you_mean(name_or_index, self._names, advice)}"
        )

    @staticmethod
    def trivial() -> FiniteGroup:
        """Return the group that has only the identity."""
        return FiniteGroup.cyclic(1)

    @staticmethod
    def cyclic(n: int) -> FiniteGroup:
        """Return the cyclic group of order n: element k sends point v to (v + k) mod n.

        Raises:
            GroupError: If n is not an integer from 1 to `MAX_ORDER`.
        """
        check_count("n", n, "size for cyclic(n)", error=GroupError)
        require_order(n, f"cyclic({n})")
        k = arange(n)
        table = (k[:, None] + k[None, :]) % n
        return FiniteGroup(table, names=[_power("r", i) or "e" for i in range(n)])

    @staticmethod
    def dihedral(n: int) -> FiniteGroup:
        """Return the dihedral group of order 2n, the symmetries of a regular polygon.

        Element (k, s) has index k + n s and is rotation k after reflection s: modulo n, it sends corner v to k + v, or
        to k - v if s = 1. For n < 3 the corners do not tell all elements apart, so `permutations` is regular.

        Raises:
            GroupError: If n is not an integer from 1 to `MAX_ORDER` / 2.
        """
        check_count("n", n, "size for dihedral(n)", error=GroupError)
        require_order(2 * n, f"dihedral({n})")
        element = arange(2 * n)
        k, s = element % n, element // n
        sign = 1 - 2 * s
        table = (k[:, None] + sign[:, None] * k[None, :]) % n + n * ((s[:, None] + s[None, :]) % 2)
        corners = (k[:, None] + sign[:, None] * arange(n)[None, :]) % n
        names = [_power("r", i % n) + "s" * (i // n) or "e" for i in range(2 * n)]
        return FiniteGroup(table, names=names, permutations=corners if n > 2 else None)

    @staticmethod
    def symmetric(n: int) -> FiniteGroup:
        """Return the group of all permutations of n points, in lexicographic order. Its names are the array forms.

        Raises:
            GroupError: If n is not an integer from 1 to 6 (7! is above `MAX_ORDER`).
        """
        check_count("n", n, "size for symmetric(n)", error=GroupError)
        require_order(math.factorial(min(n, 20)), f"symmetric({n})")
        return _from_permutations(list(itertools.permutations(range(n))))

    @staticmethod
    def from_generators(generators: Sequence[Sequence[int]]) -> FiniteGroup:
        """Return the group generated by some permutations in array form, in lexicographic order.

        Args:
            generators (`Sequence[Sequence[int]]`):
                Permutations of 0, ..., degree - 1; entry v of a generator is the point that v is sent to.

        Returns:
            `FiniteGroup`: The group, whose `permutations` act on the generators' own points.

        Raises:
            GroupError: If no generator is given, if one is not a permutation, if their lengths differ, or if the order
                of the group exceeds `MAX_ORDER`. The order is computed before any element.

        Example:
            ```python
            >>> from hf_equi.groups import FiniteGroup
            >>> FiniteGroup.from_generators([[1, 2, 3, 0], [0, 3, 2, 1]]).order
            8

            ```
        """
        from sympy.combinatorics import Permutation, PermutationGroup  # noqa: PLC0415 - heavy, and needed here alone

        rows = [[int(point) for point in generator] for generator in generators]
        check_generators(rows)
        closure = PermutationGroup([Permutation(row) for row in rows])
        require_order(int(closure.order()), "the group of these generators")
        # sympy multiplies from left to right. The set of elements is the same either way, so only that is taken from
        # it; products are formed by `_from_permutations`, in this library's order.
        return _from_permutations(sorted(tuple(row) for row in closure.generate(af=True)))

    def to_dict(self) -> dict[str, Any]:
        """Return the group as JSON scalars, lists and dictionaries, as configs store it: its tables."""
        return {
            TYPE: "finite",
            "product": self._product.tolist(),
            "names": list(self._names),
            "permutations": self._permutations.tolist(),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> FiniteGroup:
        """Return the group that `to_dict` described.

        Raises:
            GroupError: If the description has another kind, has missing or unknown keys, or is not that of a group.
        """
        what = 'A finite group is described by {"type": "finite", "product": ..., "names": ..., "permutations": ...}'
        tables = without_type(content, "finite", what)
        if tables.keys() != {"product", "names", "permutations"}:
            raise GroupError(f"{what}; received the keys {sorted(map(str, content))}.")
        product, names, permutations = tables["product"], tables["names"], tables["permutations"]
        return FiniteGroup(product, names=names, permutations=permutations)

    def __mul__(self, other: FiniteGroup) -> FiniteGroup:
        """Return the direct product: (g, h) has index g * other.order + h, and `permutations` act side by side."""
        if not isinstance(other, FiniteGroup):
            return NotImplemented
        order = self.order * other.order
        require_order(order, f"the product of groups of orders {self.order} and {other.order}")
        g, h = arange(order) // other.order, arange(order) % other.order
        table = self.product[g[:, None], g[None, :]] * other.order + other.product[h[:, None], h[None, :]]
        points = torch.cat([self.permutations[g], other.permutations[h] + self.permutations.shape[1]], dim=1)
        names = [f"{a} {b}" for a, b in itertools.product(self.names, other.names)]
        return FiniteGroup(table, names=names, permutations=points)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FiniteGroup) or type(other) is not type(self):
            return NotImplemented
        return (
            self.names == other.names
            and torch.equal(self.product, other.product)
            and torch.equal(self.permutations, other.permutations)
        )

    def __hash__(self) -> int:
        return hash((type(self), self._names))

    def __repr__(self) -> str:
        names = ", ".join(self._names[:8]) + (", ..." if self.order > 8 else "")
        return shown(f"{type(self).__name__}(order={self.order}, names=[{names}])")

    def check_permutations(self, permutations: torch.Tensor | Sequence[Sequence[int]]) -> torch.Tensor:
        """Return a permutation representation of the group as a `(G, degree)` int64 tensor on the CPU, checked.

        Args:
            permutations (`torch.Tensor` or nested sequence of `int`, shape `(G, degree)`):
                Row g is the permutation by which g acts.

        Raises:
            GroupError: If a row is not a permutation, or the rows do not multiply like the elements.
        """
        rows = long_tensor(permutations, "permutations")
        if rows.dim() != 2 or rows.shape[0] != self.order:
            raise GroupError(
                f"permutations needs one row per element, shape ({self.order}, degree); received {tuple(rows.shape)}."
            )
        wrong = (rows.sort(dim=1).values != arange(rows.shape[1])).any(dim=1).nonzero()
        if len(wrong):
            raise GroupError(
                f"Row {int(wrong[0])} of permutations is not a permutation of 0..{rows.shape[1] - 1}: each point must "
                "appear in it exactly once."
            )
        self._check_representation(rows)
        return rows

    def _check_representation(self, rows: torch.Tensor) -> None:
        if not torch.equal(rows[0], arange(rows.shape[1])):
            raise GroupError("Row 0 of permutations must be the identity 0, 1, 2, ...: element 0 moves nothing.")
        # A map that respects the product with each generator respects all products.
        for g in self._generators:
            wrong = (rows[self._product[g]] != rows[g][rows]).any(dim=1).nonzero()
            if len(wrong):
                h = int(wrong[0])
                raise GroupError(
                    f"permutations is not a representation: permutations[product[{g}, {h}]] differs from "
                    f"permutations[{g}][permutations[{h}]]. product[g, h] acts as g after h."
                )


def _looked_up(table: torch.Tensor, *elements: torch.Tensor | int) -> Any:
    """Return entries of a table by elements: an int for ints, else a tensor on the device of the elements."""
    device = next((each.device for each in elements if isinstance(each, torch.Tensor)), None)
    if device is None:
        return int(table[elements])
    return table.to(device)[elements]


def _power(letter: str, exponent: int) -> str:
    return "" if exponent == 0 else letter if exponent == 1 else f"{letter}{exponent}"


def _from_permutations(rows: Sequence[tuple[int, ...]]) -> FiniteGroup:
    points = torch.tensor(rows, dtype=torch.long, device="cpu")
    # Random keys make look-ups fast. If two rows shared a key, the checks of `FiniteGroup` would reject the table.
    generator = torch.Generator(device="cpu").manual_seed(0)
    weights = torch.randint(2**40, (points.shape[1],), generator=generator, device="cpu")
    keys, element = (points * weights).sum(dim=1).sort()
    table = torch.stack([element[torch.searchsorted(keys, (row[points] * weights).sum(dim=1))] for row in points])
    return FiniteGroup(table, names=["(" + " ".join(map(str, row)) + ")" for row in rows], permutations=points)
