"""Measure for a card how equivariant a model is, and its base for comparison."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from hf_equi.errors import ConfigurationError
from hf_equi.groups import FiniteGroup
from hf_equi.testing import Action, equivariance_error
from hf_equi.testing.actions import elements_of
from hf_equi.testing.tolerances import tolerance_of

__all__ = ["Measurement", "Probe", "measure"]

MOST_ELEMENTS = 16
"""The most elements of a group that are tried."""
MOST_COPIED = 2_000_000_000
"""The most parameters of a model in half precision that is still copied to float32."""


@dataclass(frozen=True)
class Probe:
    """The inputs and actions that a model is measured with.

    Args:
        inputs: The inputs, which the group acts on.
        input_action: The action of the group on the inputs.
        output_action: The action of the group on the outputs; `None` for an invariant model.
        run: Returns the outputs of a model, wrapped or not, for such inputs.
        described: The inputs in words.
        said: The outputs in words.
        exact: Whether only rounding may make a difference.
    """

    inputs: torch.Tensor
    input_action: Action
    output_action: Action | None
    run: Callable[[Any, torch.Tensor], torch.Tensor]
    described: str
    said: str
    exact: bool = True


@dataclass(frozen=True)
class Measurement:
    """The result of a measurement.

    Args:
        error: The largest difference of the model, or `None` if no input is moved.
        base_error: The largest difference of its base.
        elements: How many elements were tried, apart from the identity.
        dtype: The type of the weights in the measurement.
        stored: The type of the weights of the model.
        probe: The inputs and actions of the measurement.
    """

    error: float | None
    base_error: float | None
    elements: int
    dtype: torch.dtype
    stored: torch.dtype
    probe: Probe

    @property
    def weights(self) -> str:
        """The type of the weights in words."""
        measured, stored = (str(dtype).removeprefix("torch.") for dtype in (self.dtype, self.stored))
        return measured if measured == stored else f"{stored}, read as {measured}"

    @property
    def bound(self) -> str:
        """The error as a card states it. Within the tolerance it is that bound: its digits are machine noise."""
        limit = tolerance_of(self.dtype)
        if self.error is not None and self.error <= limit:
            return f"at most {limit:.0e}"
        return _digits(self.error)

    @property
    def base_bound(self) -> str:
        """The error of the base."""
        return _digits(self.base_error)


def measure(model: Any) -> Measurement | None:
    r"""Measure the largest $|g^{-1} M_G(gx) - M_G(x)|$ over elements g and a few random inputs x.

    Weights in half precision are copied to float32 first. A model that is large, quantised or spread over devices is
    measured as it is. The model's mode and the random numbers of torch stay as they are.

    Args:
        model: A wrapped model.

    Returns:
        The result; `None` for a model without outputs to compare.

    Raises:
        ConfigurationError: If the error is not finite. That of the base may be infinite.

    Cost: |G| calls of the model and |G| of its base, for at most 16 elements g; for 5 of a continuous group.
    """
    measured = _in_float32(model)
    probe: Probe | None = measured.card_kind.probe(measured)
    if probe is None:
        return None
    elements = _moving(probe)
    error = base_error = None
    if elements:
        with _evaluating(measured):
            error, base_error = (_error(each, probe, elements) for each in (measured, measured.base))
        _check_finite(model, error, base_error)
    return Measurement(error, base_error, len(elements), _weight_dtype(measured), _weight_dtype(model), probe)


def _error(model: Any, probe: Probe, elements: list[Any]) -> float:
    def function(x: torch.Tensor) -> torch.Tensor:
        return probe.run(model, x)

    errors = equivariance_error(function, probe.inputs, probe.input_action, probe.output_action, elements)
    return float(errors.max())


def _check_finite(model: Any, error: float, base_error: float) -> None:
    """Refuse figures that say nothing. A base may rule out one word of a set, which makes the difference infinite."""
    if math.isfinite(error) and not math.isnan(base_error):
        return
    name, value = (type(model.base).__name__, base_error) if math.isfinite(error) else (type(model).__name__, error)
    raise ConfigurationError(
        f"The equivariance error of the {name} is {value}, which is not finite: its outputs hold NaN or infinities. "
        "Look for weights that are not finite (torch.isfinite), or take an earlier checkpoint."
    )


def _moving(probe: Probe) -> list[Any]:
    """The elements to try. There are none if none of them moves an input: an error of 0 would say nothing."""
    action = probe.input_action
    finite = isinstance(action.group, FiniteGroup)
    elements = _elements(action.group.order) if finite else elements_of(action.group)[1:]
    moved = any(not torch.equal(action.apply(g, probe.inputs), probe.inputs) for g in elements)
    return elements if moved else []


def _elements(order: int) -> list[int]:
    """All elements but the identity, or an evenly spread selection of a larger group."""
    if order - 1 <= MOST_ELEMENTS:
        return list(range(1, order))
    return sorted({1 + round(step * (order - 2) / (MOST_ELEMENTS - 1)) for step in range(MOST_ELEMENTS)})


def _weight_dtype(model: Any) -> torch.dtype:
    dtype: torch.dtype = next(weight.dtype for weight in model.parameters() if weight.is_floating_point())
    return dtype


def _in_float32(model: Any) -> Any:
    """Return the model itself, or a copy in float32 if its weights are narrower and can be copied."""
    spread = getattr(model.base, "hf_device_map", None) or getattr(model, "is_quantized", False)
    narrow = _weight_dtype(model) in (torch.float16, torch.bfloat16)
    if spread or not narrow or sum(weight.numel() for weight in model.parameters()) > MOST_COPIED:
        return model
    scorer = getattr(model, "_scorer", None)  # a separate classifier, which is not measured
    return copy.deepcopy(model, {id(scorer): scorer}).float()


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _digits(error: float | None) -> str:
    return "–" if error is None else f"{error:.2g}"
