"""Check a group: a finite one by enumeration, any other on random elements."""

from __future__ import annotations

import itertools
from typing import Any

import torch

from hf_equi.errors import GroupError
from hf_equi.groups import FiniteGroup, Group
from hf_equi.testing.actions import elements_of, shown_element
from hf_equi.testing.tolerances import tolerance_of

__all__ = ["assert_group"]


def assert_group(group: Group) -> None:
    r"""Check the axioms of a group.

    $$ e g = g = g e, \qquad (gh) k = g (hk), \qquad g^{-1} g = e = g g^{-1} $$

    A `FiniteGroup` is checked by plain enumeration, with its inverses, names and permutations. This repeats the checks
    of a new one in the most direct way and with other code. It is meant for subclasses, and for groups that were
    changed after they were made. It costs G³ operations.

    Any other group is checked on the identity and a few elements that are drawn with a fixed seed, up to `TOLERANCES`:
    one by one, and as batches.

    Args:
        group (`Group`):
            The group.

    Raises:
        GroupError: If a check fails; the message gives a counterexample.

    Example:
        ```python
        >>> from hf_equi.groups import SO3, FiniteGroup
        >>> assert_group(FiniteGroup.symmetric(3))
        >>> assert_group(SO3())

        ```
    """
    if not isinstance(group, FiniteGroup):
        _check_drawn(group)
        return
    _check_shapes(group)
    _check_units(group.product.tolist(), group.inverses.tolist())
    _check_associativity(group.product)
    _check_permutations(group)


def _check_drawn(group: Group) -> None:
    elements = elements_of(group)
    for g in elements:
        _require(group.compose(group.identity, g), g, "e g must be g", g)
        _require(group.compose(g, group.identity), g, "g e must be g", g)
        _require(group.compose(group.inverse(g), g), group.identity, "g⁻¹g must be e", g)
        _require(group.compose(g, group.inverse(g)), group.identity, "g g⁻¹ must be e", g)
    for g, h, k in itertools.product(elements, repeat=3):
        first, second = group.compose(group.compose(g, h), k), group.compose(g, group.compose(h, k))
        _require(first, second, "(gh) k must be g (hk)", g, h, k)
    batch, turned = torch.stack(elements), torch.stack(elements[::-1])
    products, inverses = group.compose(batch, turned), group.inverse(batch)
    for row, (g, h) in enumerate(zip(batch, turned, strict=True)):
        _require(products[row], group.compose(g, h), "a product must be the same in a batch as alone", g, h)
        _require(inverses[row], group.inverse(g), "an inverse must be the same in a batch as alone", g)


def _require(received: torch.Tensor, required: torch.Tensor, equation: str, *elements: Any) -> None:
    limit = tolerance_of(required.dtype)
    if received.shape != required.shape or not torch.allclose(received, required, rtol=0.0, atol=limit):
        raise GroupError(
            f"Not a group: {equation}. For {', '.join(map(shown_element, elements))} received "
            f"{shown_element(received)}, required {shown_element(required)}."
        )


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
