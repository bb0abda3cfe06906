"""Θ of canonical-λ-equitune: a finite set of elements, as configs store it and as a method uses it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

import torch

from hf_equi.errors import ConfigurationError, GroupError
from hf_equi.groups import ContinuousGroup
from hf_equi.groups._motions import has_values

__all__ = ["plain_theta", "read_theta"]

_ANGLE = re.compile(r"-?\d+(\.\d+)?°")
_CLOSER = 1e-6
"""Matrices whose entries differ by less are those of one element."""


def plain_theta(theta: Any) -> Any:
    """Return Θ as JSON: a list of names, indices or matrices. What is not a list of elements is returned as it is.

    Args:
        theta: The elements: names, indices, tensors, or one tensor of all.

    Example:
        >>> plain_theta(("0°", 2)), plain_theta(torch.eye(2)[None])
        (['0°', 2], [[[1.0, 0.0], [0.0, 1.0]]])
    """
    listed = theta.tolist() if hasattr(theta, "tolist") else theta
    if isinstance(listed, (str, Mapping, Set)) or not isinstance(listed, Iterable):
        return listed
    return [one.tolist() if hasattr(one, "tolist") else one for one in listed]


def read_theta(theta: Any, group: Any) -> torch.Tensor:
    """Return the elements of Θ.

    Args:
        theta: A sequence of elements. Those of a finite group are names or indices. Those of a continuous group are
            matrices, and in the plane and about one axis also angles, counter-clockwise, such as `"90°"`.
        group: The group.

    Returns:
        `(T,)` int64, or `(T, n, n)` float64 for a continuous group, on the CPU.

    Raises:
        ConfigurationError: If Θ is missing, empty or in no order, if it names no element of the group, or if it
            names one twice.

    Example:
        >>> from hf_equi import ImageGroup
        >>> from hf_equi.groups import SO2
        >>> read_theta(["0°", "270°"], ImageGroup.rotations(4))
        tensor([0, 3])
        >>> SO2().log(read_theta(["0°", "45°"], SO2())).rad2deg()[:, 0].round()
        tensor([ 0., 45.], dtype=torch.float64)
    """
    if isinstance(theta, Set):
        raise ConfigurationError(
            f"theta={theta!r} has no order, but group_weights are in that of Θ: pass a list, such as {_example(group)}"
        )
    if theta is None or isinstance(theta, (str, Mapping)) or not isinstance(theta, Sequence) or not theta:
        raise ConfigurationError(
            f"theta={theta!r} is not a set of elements: the base reads one member for each, so name one or more, "
            f"such as theta={_example(group)}"
        )
    read = _matrix if isinstance(group, ContinuousGroup) else _index
    try:
        found = torch.stack([read(group, one) for one in theta])
    except GroupError as error:
        raise ConfigurationError(f"theta= must hold elements of the group. {error}") from error
    if not has_values(found):  # a graph is traced
        return found
    rows = found.flatten(1) if found.dim() > 1 else found[:, None]
    same = ((rows[:, None] - rows).abs().amax(-1) < _CLOSER).triu(1).nonzero()
    if len(same):
        one, other = (theta[place] for place in same[0].tolist())
        raise ConfigurationError(
            f"theta= names an element twice, as {one!r} and {other!r}: it would count twice. Name each element once"
        )
    return found


def _index(group: Any, one: Any) -> torch.Tensor:
    """Return an element of a finite group."""
    if isinstance(one, bool) or not isinstance(one, (int, str)):
        raise GroupError(f"Elements of {group!r} are named or numbered; received {one!r}.")
    return torch.tensor(group.element(one), device="cpu")


def _matrix(group: ContinuousGroup, one: Any) -> torch.Tensor:
    """Return an element of a continuous group."""
    if _turns_about_one_axis(group) and isinstance(one, str) and _ANGLE.fullmatch(one):
        logarithm = torch.zeros(group.coordinates, dtype=torch.float64, device="cpu")
        logarithm[-1] = math.radians(float(one[:-1]))
        return group.exp(logarithm)
    try:
        matrix = torch.as_tensor(one, dtype=torch.float64, device="cpu")
    except (TypeError, ValueError, RuntimeError) as error:
        angles = " or angles such as '90°'" if _turns_about_one_axis(group) else ""
        raise GroupError(f"Elements of {group!r} are matrices{angles}; received {one!r}.") from error
    if matrix.dim() != 2:
        raise GroupError(f"Elements of {group!r} are matrices; received {one!r}.")
    return group.check(matrix)


def _turns_about_one_axis(group: ContinuousGroup) -> bool:
    return group.coordinates == 1 + group.dimension * group.translates


def _example(group: Any) -> str:
    if isinstance(group, ContinuousGroup):
        return "['0°', '90°']" if _turns_about_one_axis(group) else f"{group!r}.sample(2)"
    return repr(list(group.names[:2]))
