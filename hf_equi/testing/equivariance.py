"""Measure how equivariant a function is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch

from hf_equi.actions import Action
from hf_equi.errors import EquivarianceError
from hf_equi.groups import ContinuousGroup, FiniteGroup
from hf_equi.testing.actions import elements_of, shown_element
from hf_equi.testing.tolerances import tolerance_of

__all__ = ["assert_equivariant", "equivariance_error"]


def equivariance_error(
    function: Callable[[Any], torch.Tensor],
    x: Any,
    input_action: Action,
    output_action: Action | None = None,
    elements: Iterable[Any] | None = None,
) -> torch.Tensor:
    r"""Return how far a function is from equivariant, for each element.

    $$\text{error}_g = \max \left| g^{-1} f(g x) - f(x) \right|$$

    Args:
        function (`Callable`):
            f, from what `input_action` acts on to one tensor. It must be deterministic, so without dropout.
        x (`Any`):
            One input, or a batch of them.
        input_action (`Action`):
            The action on inputs.
        output_action (`Action`, *optional*):
            The action of the same group on outputs; by default the trivial one, so that invariance is measured.
        elements (`Iterable`, *optional*):
            The elements to try; by default all of a finite group, and a few of a continuous one, drawn with a fixed
            seed.

    Returns:
        A `torch.Tensor` of shape `(G,)`, or `(len(elements),)`, and dtype float64, on the CPU: the largest absolute
        difference; NaN if an output is NaN. Equal infinities differ by 0. Costs one call of f for each element, and
        one more.

    Raises:
        EquivarianceError: If the groups differ, or f does not return tensors of one shape.

    Example:
        ```python
        >>> import torch
        >>> from hf_equi import DemographicGroup, WordAction
        >>> words = WordAction(DemographicGroup([["man", "woman"]]))
        >>> length = lambda text: torch.tensor(float(len(text)))
        >>> equivariance_error(length, "A man.", words)
        tensor([0., 2.], dtype=torch.float64)

        ```
    """
    return _errors(function, x, input_action, output_action, elements)[0]


def assert_equivariant(
    function: Callable[[Any], torch.Tensor],
    x: Any,
    input_action: Action,
    output_action: Action | None = None,
    elements: Iterable[Any] | None = None,
    *,
    tolerance: float | None = None,
) -> None:
    """Check that a function is equivariant on an input.

    Args:
        function (`Callable`): See `equivariance_error`.
        x (`Any`): See `equivariance_error`.
        input_action (`Action`): See `equivariance_error`.
        output_action (`Action`, *optional*): See `equivariance_error`.
        elements (`Iterable`, *optional*): See `equivariance_error`.
        tolerance (`float`, *optional*):
            The largest error to accept; by default that of the output's dtype in `TOLERANCES`, 0 for integers.

    Raises:
        EquivarianceError: If the error of an element is above the tolerance, or NaN. The message names the worst.

    Example:
        ```python
        >>> import torch
        >>> from hf_equi import DemographicGroup, WordAction
        >>> words = WordAction(DemographicGroup([["man", "woman"]]))
        >>> assert_equivariant(lambda text: torch.tensor(text.count(" ")), "A man.", words)

        ```
    """
    tried = elements_of(input_action.group) if elements is None else list(elements)
    errors, dtype = _errors(function, x, input_action, output_action, tried)
    limit = tolerance_of(dtype) if tolerance is None else tolerance
    if bool((errors <= limit).all()):
        return
    worst = int(errors.nan_to_num(nan=torch.inf).argmax())
    g = tried[worst]
    raise EquivarianceError(
        f"The function is not equivariant: for element {_name(input_action.group, g)} the largest difference between "
        f"g⁻¹f(gx) and f(x) is {float(errors[worst]):.3g}, but at most {limit:.3g} is allowed for {dtype}. Switch off "
        "dropout, check the two actions, or pass tolerance=."
    )


def _errors(
    function: Callable[[Any], torch.Tensor],
    x: Any,
    input_action: Action,
    output_action: Action | None,
    elements: Iterable[Any] | None,
) -> tuple[torch.Tensor, torch.dtype]:
    group = input_action.group
    if output_action is not None and not _same_group(output_action.group, group):
        raise EquivarianceError(
            f"Both actions must be of the same group; received {group!r} for inputs, {output_action.group!r} for "
            "outputs."
        )
    tried = elements_of(group) if elements is None else elements
    with torch.no_grad():
        required = _tensor(function(x))
        errors = []
        for g in tried:
            received = _tensor(function(input_action.apply(g, x)))
            errors.append(_difference(_pull_back(output_action, g, received), required))
    return torch.tensor(errors, dtype=torch.float64, device="cpu"), required.dtype


def _same_group(one: Any, other: Any) -> bool:
    if isinstance(one, ContinuousGroup) or isinstance(other, ContinuousGroup):
        return bool(one == other)
    finite = isinstance(one, FiniteGroup), isinstance(other, FiniteGroup)
    return torch.equal(one.product, other.product) if all(finite) else not any(finite)


def _name(group: Any, g: Any) -> str:
    return f"{g} ({group.names[g]})" if isinstance(group, FiniteGroup) else shown_element(g)


def _tensor(output: object) -> torch.Tensor:
    if not isinstance(output, torch.Tensor):
        raise EquivarianceError(
            f"The function must return one tensor; received {type(output).__name__}. Select one, for example with "
            "lambda x: model(x).logits."
        )
    return output


def _pull_back(action: Action | None, g: int, output: torch.Tensor) -> torch.Tensor:
    if action is None:
        return output
    return _tensor(action.invert(g, output))


def _difference(received: torch.Tensor, required: torch.Tensor) -> float:
    if received.shape != required.shape:
        raise EquivarianceError(
            f"g⁻¹f(gx) and f(x) must have the same shape; received {tuple(received.shape)} and "
            f"{tuple(required.shape)}."
        )
    # The dtype's own arithmetic would round the difference of half precision outputs; MPS has no float64.
    a, b = received.cpu().double(), required.cpu().double()
    return float(torch.where(a == b, 0.0, (a - b).abs()).max()) if a.numel() else 0.0
