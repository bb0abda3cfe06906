"""The axioms of a finite group, checked on its tables; each error names a counterexample."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from hf_equi.errors import GroupError

__all__ = [
    "MAX_ORDER",
    "arange",
    "associative_generators",
    "check_generators",
    "check_identity",
    "checked_names",
    "inverse_table",
    "long_tensor",
    "require_order",
    "square_table",
]

MAX_ORDER = 1024
"""The largest order that is allowed: tables grow with its square, and the batch of an orbit with the order itself."""


def require_order(order: int, what: str) -> None:
    """Raise `GroupError` if a group of this order would be too large."""
    if order > MAX_ORDER:
        raise GroupError(
            f"A group may have at most {MAX_ORDER} elements, but {what} would have more (at least {order}): "
            "use fewer or smaller factors."
        )


def arange(n: int) -> torch.Tensor:
    """`0, ..., n - 1` on the CPU."""
    # The device is explicit here and below because models are also built under torch.device("meta").
    return torch.arange(n, device="cpu")


def long_tensor(values: torch.Tensor | Sequence[Sequence[int]], what: str) -> torch.Tensor:
    """Return integers as a new int64 tensor; raise `GroupError` for anything else."""
    try:
        tensor = torch.as_tensor(values, device="cpu")
    except (TypeError, ValueError, RuntimeError) as error:
        raise GroupError(f"{what} must be a rectangular array of integers; received {values!r}.") from error
    if tensor.numel() and (tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool):
        raise GroupError(f"{what} must hold integers; received entries of type {tensor.dtype}.")
    return tensor.detach().to(torch.long).clone()


def square_table(product_table: torch.Tensor | Sequence[Sequence[int]]) -> torch.Tensor:
    """Return a product table as a tensor, checked to be square and to hold only elements."""
    require_order(len(product_table), "a table of this many rows")
    table = long_tensor(product_table, "A product table")
    if table.dim() != 2 or table.shape[0] != table.shape[1] or table.shape[0] == 0:
        raise GroupError(f"A product table must be square, (G, G) with G >= 1; received shape {tuple(table.shape)}.")
    order = table.shape[0]
    outside = ((table < 0) | (table >= order)).nonzero()
    if len(outside):
        g, h = outside[0].tolist()
        raise GroupError(
            f"Closure fails: product[{g}, {h}] is {int(table[g, h])}, which is not one of the elements 0..{order - 1}."
        )
    return table


def check_identity(table: torch.Tensor) -> None:
    """Refuse a table whose element 0 is not the identity."""
    elements = arange(table.shape[0])
    wrong = ((table[0] != elements) | (table[:, 0] != elements)).nonzero()
    if len(wrong):
        g = int(wrong[0])
        raise GroupError(
            f"Element 0 must be the identity, but product[0, {g}] is {int(table[0, g])} and product[{g}, 0] is "
            f"{int(table[g, 0])}: both must be {g}. Number the identity 0."
        )


def associative_generators(table: torch.Tensor) -> tuple[int, ...]:
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


def inverse_table(table: torch.Tensor) -> torch.Tensor:
    """Return the inverse of each element."""
    found = table == 0
    missing = (~(found & found.T).any(dim=1)).nonzero()
    if len(missing):
        g = int(missing[0])
        raise GroupError(f"Element {g} has no inverse: no h gives both product[{g}, h] = 0 and product[h, {g}] = 0.")
    return found.long().argmax(dim=1)


def checked_names(names: Sequence[str] | None, order: int) -> tuple[str, ...]:
    """Return one distinct name per element; `e`, `g1`, ... by default."""
    if names is None:
        return ("e", *(f"g{i}" for i in range(1, order)))
    if isinstance(names, str) or len(names) != order:
        raise GroupError(f"names needs a list of {order} names, one per element; received {names!r}.")
    repeated = [name for i, name in enumerate(names) if name in set(names[:i])] if len(set(names)) < order else []
    if repeated:
        raise GroupError(f"Two elements are named {repeated[0]!r}: give each element its own name.")
    return tuple(names)


def check_generators(rows: list[list[int]]) -> None:
    """Refuse generators that are not permutations of one set of points."""
    if not rows or not rows[0]:
        raise GroupError(f"At least one generator of at least one point is needed; received {rows!r}.")
    for i, row in enumerate(rows):
        if sorted(row) != list(range(len(rows[0]))):
            raise GroupError(
                f"Generator {i} must hold each of 0..{len(rows[0]) - 1} once, because entry v is the point that v is "
                f"sent to; received {row!r}. Write fixed points out."
            )
