"""Check a group by enumeration."""

from __future__ import annotations

import torch

from hf_equi.errors import GroupError
from hf_equi.groups import FiniteGroup

__all__ = ["assert_group"]


def assert_group(group: FiniteGroup) -> None:
    """Check all axioms, the inverses, the names and the permutations of a group by plain enumeration.

    This repeats the checks of a new `FiniteGroup` in the most direct way and with other code. It is meant for
    subclasses and for groups that were changed after they were made. Costs G³ operations.

    Args:
        group (`FiniteGroup`):
            The group.

    Raises:
        GroupError: If a check fails; the message gives a counterexample.

    Example:
        ```python
        >>> from hf_equi.groups import FiniteGroup
        >>> assert_group(FiniteGroup.symmetric(3))

        ```
    """
    _check_shapes(group)
    _check_units(group.product.tolist(), group.inverses.tolist())
    _check_associativity(group.product)
    _check_permutations(group)


def _check_shapes(group: FiniteGroup) -> None:
    order = group.order
    if order < 1 or tuple(group.product.shape) != (order, order) or tuple(group.inverses.shape) != (order,):
        raise GroupError(
            f"A group of order {order} needs a product of shape {(order, order)} and an inverse of shape {(order,)}; "
            f"received {tuple(group.product.shape)} and {tuple(group.inverses.shape)}."
        )
    for g, row in enumerate(group.product.tolist()):
        for h, gh in enumerate(row):
            if not 0 <= gh < order:
                raise GroupError(f"Closure fails: product[{g}, {h}] is {gh}, which is not an element.")
    if len(group.names) != order or len(set(group.names)) != order:
        raise GroupError(f"A group of order {order} needs {order} distinct names; received {group.names}.")


def _check_units(product: list[list[int]], inverse: list[int]) -> None:
    for g in range(len(product)):
        if product[0][g] != g or product[g][0] != g:
            raise GroupError(
                f"Element 0 is not the identity: 0 * {g} is {product[0][g]} and {g} * 0 is {product[g][0]}."
            )
        h = inverse[g]
        if not 0 <= h < len(product) or product[g][h] != 0 or product[h][g] != 0:
            raise GroupError(f"inverse[{g}] is {h}, but the two do not multiply to the identity 0.")


def _check_associativity(product: torch.Tensor) -> None:
    for g in range(len(product)):
        wrong = (product[product[g]] != product[g][product]).nonzero()
        if len(wrong):
            h, k = wrong[0].tolist()
            raise GroupError(
                f"Associativity fails: ({g} * {h}) * {k} is {int(product[product[g, h], k])}, but "
                f"{g} * ({h} * {k}) is {int(product[g, product[h, k]])}."
            )


def _check_permutations(group: FiniteGroup) -> None:
    points = group.permutations
    for g, row in enumerate(points.tolist()):
        if sorted(row) != list(range(len(row))):
            raise GroupError(f"permutations[{g}] is not a permutation: {row}.")
    for g in range(group.order):
        wrong = (points[group.product[g]] != points[g][points]).any(dim=1).nonzero()
        if len(wrong):
            h = int(wrong[0])
            raise GroupError(
                f"permutations[product[{g}, {h}]] is {points[group.product[g, h]].tolist()}, but "
                f"permutations[{g}][permutations[{h}]] is {points[g][points[h]].tolist()}: a left action is required."
            )
