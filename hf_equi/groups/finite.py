"""Finite groups as tables: products, inverses and one permutation representation."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch

from hf_equi.errors import GroupError

__all__ = ["MAX_ORDER", "FiniteGroup"]

MAX_ORDER = 1024
"""The largest order that is materialised: tables grow with its square, an orbit's batch with the order itself."""


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
            One distinct name an element; `"e"`, `"g1"`, `"g2"`, ... by default.
        permutations (`torch.Tensor` or nested sequence of `int`, shape `(G, degree)`, *optional*):
            Row g is the permutation by which g acts on `degree` points; the regular representation by default.

    Raises:
        GroupError: If the table breaks an axiom (the message names the offending elements), if the order is above
            `MAX_ORDER`, if the names are not one distinct name an element, or if `permutations` is no representation.

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
        self._product = _square_table(product_table)
        _check_identity(self._product)
        self._generators = _associative_generators(self._product)
        self._inverse = _inverses(self._product)
        self._names = _checked_names(names, self.order)
        self._permutations = self._product.clone() if permutations is None else self._checked(permutations)

    @property
    def order(self) -> int:
        """The number of elements G."""
        return self._product.shape[0]

    @property
    def product(self) -> torch.Tensor:
        """`torch.LongTensor` of shape `(G, G)`; entry `[g, h]` is gh, which acts as g after h."""
        return self._product

    @property
    def inverse(self) -> torch.Tensor:
        """`torch.LongTensor` of shape `(G,)`; entry g is the inverse of g."""
        return self._inverse

    @property
    def permutations(self) -> torch.Tensor:
        """`torch.LongTensor` of shape `(G, degree)`; entry `[g, v]` is the point g(v)."""
        return self._permutations

    @property
    def names(self) -> tuple[str, ...]:
        """One name an element."""
        return self._names

    @property
    def generators(self) -> tuple[int, ...]:
        """Elements whose products are the whole group, found greedily from the smallest on; empty if G = 1."""
        return self._generators

    def element(self, name_or_index: str | int) -> int:
        """Return the index of an element given by name or by index.

        Args:
            name_or_index (`str` or `int`):
                A name from `names`, or an index from 0 to G - 1, which is returned as it is.

        Returns:
            `int`: The element's index.

        Raises:
            GroupError: If the group has no such element; the message lists those it has.
        """
        if isinstance(name_or_index, str):
            if name_or_index in self._names:
                return self._names.index(name_or_index)
        elif 0 <= name_or_index < self.order:
            return int(name_or_index)
        known = ", ".join(map(repr, self._names[:24])) + (", ..." if self.order > 24 else "")
        raise GroupError(
            f"No element {name_or_index!r} in {self!r}: give an index from 0 to {self.order - 1} or one of {known}."
        )

    @staticmethod
    def trivial() -> FiniteGroup:
        """Return the group of the identity alone."""
        return FiniteGroup.cyclic(1)

    @staticmethod
    def cyclic(n: int) -> FiniteGroup:
        """Return the cyclic group of order n: element k sends point v to (v + k) mod n.

        Raises:
            GroupError: If n is no integer from 1 to `MAX_ORDER`.
        """
        _require_size(n, "cyclic")
        require_order(n, f"cyclic({n})")
        k = _arange(n)
        table = (k[:, None] + k[None, :]) % n
        return FiniteGroup(table, names=[_power("r", i) or "e" for i in range(n)])

    @staticmethod
    def dihedral(n: int) -> FiniteGroup:
        """Return the dihedral group of order 2n, the symmetries of a regular polygon.

        Element (k, s) has index k + n s and is rotation k after reflection s: it sends corner v to k + v, or to k - v
        where s = 1, modulo n. For n < 3 the corners do not tell all elements apart, and `permutations` is regular.

        Raises:
            GroupError: If n is no integer from 1 to `MAX_ORDER` / 2.
        """
        _require_size(n, "dihedral")
        require_order(2 * n, f"dihedral({n})")
        element = _arange(2 * n)
        k, s = element % n, element // n
        sign = 1 - 2 * s
        table = (k[:, None] + sign[:, None] * k[None, :]) % n + n * ((s[:, None] + s[None, :]) % 2)
        corners = (k[:, None] + sign[:, None] * _arange(n)[None, :]) % n
        names = [_power("r", i % n) + "s" * (i // n) or "e" for i in range(2 * n)]
        return FiniteGroup(table, names=names, permutations=corners if n > 2 else None)

    @staticmethod
    def symmetric(n: int) -> FiniteGroup:
        """Return the group of all permutations of n points, in lexicographic order; its names are the array forms.

        Raises:
            GroupError: If n is no integer from 1 to 6 (7! is above `MAX_ORDER`).
        """
        _require_size(n, "symmetric")
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
            GroupError: If there is no generator, one is no permutation, their lengths differ, or the order of the
                group is above `MAX_ORDER`. The order is computed before any element is.

        Example:
            ```python
            >>> from hf_equi.groups import FiniteGroup
            >>> FiniteGroup.from_generators([[1, 2, 3, 0], [0, 3, 2, 1]]).order
            8

            ```
        """
        from sympy.combinatorics import Permutation, PermutationGroup  # noqa: PLC0415 - heavy, and needed here alone

        rows = [[int(point) for point in generator] for generator in generators]
        _check_generators(rows)
        closure = PermutationGroup([Permutation(row) for row in rows])
        require_order(int(closure.order()), "the group of these generators")
        # sympy multiplies from left to right. The set of elements is the same either way, so only that is taken from
        # it; products are formed by `_from_permutations`, in this library's order.
        return _from_permutations(sorted(tuple(row) for row in closure.generate(af=True)))

    def __mul__(self, other: FiniteGroup) -> FiniteGroup:
        """Return the direct product: (g, h) has index g * other.order + h, and `permutations` act side by side."""
        if not isinstance(other, FiniteGroup):
            return NotImplemented
        order = self.order * other.order
        require_order(order, f"the product of groups of orders {self.order} and {other.order}")
        g, h = _arange(order) // other.order, _arange(order) % other.order
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
        shown = ", ".join(self._names[:8]) + (", ..." if self.order > 8 else "")
        return f"{type(self).__name__}(order={self.order}, names=[{shown}])"

    def _checked(self, permutations: torch.Tensor | Sequence[Sequence[int]]) -> torch.Tensor:
        rows = _long(permutations, "permutations")
        if rows.dim() != 2 or rows.shape[0] != self.order:
            raise GroupError(
                f"permutations needs one row an element, shape ({self.order}, degree); received {tuple(rows.shape)}."
            )
        wrong = (rows.sort(dim=1).values != _arange(rows.shape[1])).any(dim=1).nonzero()
        if len(wrong):
            raise GroupError(
                f"Row {int(wrong[0])} of permutations is no permutation of 0..{rows.shape[1] - 1}: each point must "
                "appear in it exactly once."
            )
        self._check_representation(rows)
        return rows

    def _check_representation(self, rows: torch.Tensor) -> None:
        if not torch.equal(rows[0], _arange(rows.shape[1])):
            raise GroupError("Row 0 of permutations must be the identity 0, 1, 2, ...: element 0 moves nothing.")
        # A map that respects the product with each generator respects all products.
        for g in self._generators:
            wrong = (rows[self._product[g]] != rows[g][rows]).any(dim=1).nonzero()
            if len(wrong):
                h = int(wrong[0])
                raise GroupError(
                    f"permutations is no representation: permutations[product[{g}, {h}]] differs from "
                    f"permutations[{g}][permutations[{h}]]. product[g, h] acts as g after h."
                )


def require_order(order: int, what: str) -> None:
    """Raise `GroupError` if a group of this order would be too large to materialise."""
    if order > MAX_ORDER:
        raise GroupError(
            f"A group may have at most {MAX_ORDER} elements, and {what} would have more (at least {order}): "
            "use fewer or smaller factors."
        )


def _arange(n: int) -> torch.Tensor:
    # The device is explicit here and below because models are also built under torch.device("meta").
    return torch.arange(n, device="cpu")


def _long(values: torch.Tensor | Sequence[Sequence[int]], what: str) -> torch.Tensor:
    try:
        tensor = torch.as_tensor(values, device="cpu")
    except (TypeError, ValueError, RuntimeError) as error:
        raise GroupError(f"{what} must be a rectangular array of integers; received {values!r}.") from error
    if tensor.numel() and (tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool):
        raise GroupError(f"{what} must hold integers; received entries of type {tensor.dtype}.")
    return tensor.detach().to(torch.long).clone()


def _require_size(n: object, constructor: str) -> None:
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise GroupError(f"{constructor}(n) needs an integer n >= 1; received {n!r}.")


def _power(letter: str, exponent: int) -> str:
    return "" if exponent == 0 else letter if exponent == 1 else f"{letter}{exponent}"


def _square_table(product_table: torch.Tensor | Sequence[Sequence[int]]) -> torch.Tensor:
    require_order(len(product_table), "a table of this many rows")
    table = _long(product_table, "A product table")
    if table.dim() != 2 or table.shape[0] != table.shape[1] or table.shape[0] == 0:
        raise GroupError(f"A product table must be square, (G, G) with G >= 1; received shape {tuple(table.shape)}.")
    order = table.shape[0]
    outside = ((table < 0) | (table >= order)).nonzero()
    if len(outside):
        g, h = outside[0].tolist()
        raise GroupError(
            f"Closure fails: product[{g}, {h}] is {int(table[g, h])}, which is none of the elements 0..{order - 1}."
        )
    return table


def _check_identity(table: torch.Tensor) -> None:
    elements = _arange(table.shape[0])
    wrong = ((table[0] != elements) | (table[:, 0] != elements)).nonzero()
    if len(wrong):
        g = int(wrong[0])
        raise GroupError(
            f"Element 0 must be the identity, but product[0, {g}] is {int(table[0, g])} and product[{g}, 0] is "
            f"{int(table[g, 0])}: both must be {g}. Number the identity 0."
        )


def _associative_generators(table: torch.Tensor) -> tuple[int, ...]:
    """Check associativity and return generators: Light's test.

    The elements s with (g s) h = g (s h) for all g, h are closed under products, so testing generators suffices.
    """
    generators: list[int] = []
    tested = torch.zeros(table.shape[0], dtype=torch.bool, device="cpu")
    tested[0] = True
    while not tested.all():
        s = int((~tested).nonzero()[0])
        wrong = (table[table[:, s]] != table[:, table[s]]).nonzero()
        if len(wrong):
            g, h = wrong[0].tolist()
            raise GroupError(
                f"Associativity fails: ({g} * {s}) * {h} is {int(table[table[g, s], h])}, but {g} * ({s} * {h}) is "
                f"{int(table[g, table[s, h]])}."
            )
        generators.append(s)
        tested = _closure(table, tested, s)
    return tuple(generators)


def _closure(table: torch.Tensor, members: torch.Tensor, new: int) -> torch.Tensor:
    members = members.clone()
    members[new] = True
    size = 0
    while size < (size := int(members.sum())):
        inside = members.nonzero().flatten()
        members[table[inside][:, inside].flatten()] = True
    return members


def _inverses(table: torch.Tensor) -> torch.Tensor:
    found = table == 0
    missing = (~(found & found.T).any(dim=1)).nonzero()
    if len(missing):
        g = int(missing[0])
        raise GroupError(f"Element {g} has no inverse: no h gives both product[{g}, h] = 0 and product[h, {g}] = 0.")
    return found.long().argmax(dim=1)


def _checked_names(names: Sequence[str] | None, order: int) -> tuple[str, ...]:
    if names is None:
        return ("e", *(f"g{i}" for i in range(1, order)))
    if isinstance(names, str) or len(names) != order:
        raise GroupError(f"names needs a list of {order} names, one an element; received {names!r}.")
    repeated = [name for i, name in enumerate(names) if name in set(names[:i])] if len(set(names)) < order else []
    if repeated:
        raise GroupError(f"Two elements are named {repeated[0]!r}: give each element a name of its own.")
    return tuple(names)


def _check_generators(rows: list[list[int]]) -> None:
    if not rows or not rows[0]:
        raise GroupError(f"At least one generator of at least one point is needed; received {rows!r}.")
    for i, row in enumerate(rows):
        if sorted(row) != list(range(len(rows[0]))):
            raise GroupError(
                f"Generator {i} must hold each of 0..{len(rows[0]) - 1} once, as entry v is the point that v is sent "
                f"to; received {row!r}. Write fixed points out."
            )


def _from_permutations(rows: Sequence[tuple[int, ...]]) -> FiniteGroup:
    points = torch.tensor(rows, dtype=torch.long, device="cpu")
    # Random keys look products up fast; should two rows ever share one, the checks of `FiniteGroup` reject the table.
    generator = torch.Generator(device="cpu").manual_seed(0)
    weights = torch.randint(2**40, (points.shape[1],), generator=generator, device="cpu")
    keys, element = (points * weights).sum(dim=1).sort()
    table = torch.stack([element[torch.searchsorted(keys, (row[points] * weights).sum(dim=1))] for row in points])
    return FiniteGroup(table, names=["(" + " ".join(map(str, row)) + ")" for row in rows], permutations=points)
