"""How equivariant a model is, measured for its card, and its base beside it."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from hf_equi.errors import ConfigurationError
from hf_equi.testing import Action, equivariance_error
from hf_equi.testing.tolerances import tolerance_of

__all__ = ["Measurement", "Probe", "measure"]

MOST_ELEMENTS = 16
"""So many elements are tried of a larger group."""
MOST_COPIED = 2_000_000_000
"""Parameters of a model in half precision of which a copy in float32 is still made."""


@dataclass(frozen=True)
class Probe:
    """What a model is measured with.

    Args:
        inputs: What the group acts on.
        input_action: How it acts on them.
        output_action: How it acts on what the model says; `None` for an invariant model.
        run: From a model, wrapped or not, and such inputs to what it says of them.
        described: The inputs in words.
        said: In words what the model says of them.
        exact: Whether nothing but rounding may make a difference.
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
    """What a measurement gave.

    Args:
        error: The largest difference of the model, or `None` where no input is moved.
        base_error: That of its base.
        elements: How many elements were tried, apart from the identity.
        dtype: The type of the weights in the measurement.
        stored: The type of the weights of the model.
        probe: What it was measured with.
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
        """The error as a card states it: the tolerance where it is within, as its digits are noise of the machine."""
        limit = tolerance_of(self.dtype)
        if self.error is not None and self.error <= limit:
            return f"at most {limit:.0e}"
        return _digits(self.error)

    @property
    def base_bound(self) -> str:
        """The error of the base."""
        return _digits(self.base_error)


def measure(model: Any) -> Measurement:
    r"""Measure the largest $|g^{-1} M_G(gx) - M_G(x)|$ over elements g and a few random inputs x.

    Weights in half precision are copied to float32 first, unless the model is large, quantised or spread over devices:
    then it is measured as it is. The model's mode and the random numbers of torch stay as they are.

    Args:
        model: A wrapped model.

    Raises:
        ConfigurationError: For an error that is not finite; that of the base may be infinite.

    Cost: |G| calls of the model and |G| of its base, for at most 16 elements g.
    """
    measured = _in_float32(model)
    probe: Probe = measured.card_kind.probe(measured)
    elements = _moving(probe)
    error = base_error = None
    if elements:
        with _evaluating(measured):
            error, base_error = (_error(each, probe, elements) for each in (measured, measured.base))
        _check_finite(model, error, base_error)
    return Measurement(error, base_error, len(elements), _weight_dtype(measured), _weight_dtype(model), probe)


def _error(model: Any, probe: Probe, elements: list[int]) -> float:
    def function(x: torch.Tensor) -> torch.Tensor:
        return probe.run(model, x)

    errors = equivariance_error(function, probe.inputs, probe.input_action, probe.output_action, elements)
    return float(errors.max())


def _check_finite(model: Any, error: float, base_error: float) -> None:
    """Refuse figures that say nothing. A base may rule out one word of a set, which is an infinite difference."""
    if math.isfinite(error) and not math.isnan(base_error):
        return
    name, value = (type(model.base).__name__, base_error) if math.isfinite(error) else (type(model).__name__, error)
    raise ConfigurationError(
        f"The equivariance error of the {name} is {value}, no finite number: its outputs hold NaN or infinities. "
        "Look for weights that are not finite (torch.isfinite), or take an earlier checkpoint."
    )


def _moving(probe: Probe) -> list[int]:
    """The elements that are tried, none where none of them moves an input: an error of 0 would say nothing."""
    elements, action = _elements(probe.input_action.group.order), probe.input_action
    moved = any(not torch.equal(action.apply(g, probe.inputs), probe.inputs) for g in elements)
    return elements if moved else []


def _elements(order: int) -> list[int]:
    """All but the identity, or as many as are tried, evenly spread."""
    if order - 1 <= MOST_ELEMENTS:
        return list(range(1, order))
    return sorted({1 + round(step * (order - 2) / (MOST_ELEMENTS - 1)) for step in range(MOST_ELEMENTS)})


def _weight_dtype(model: Any) -> torch.dtype:
    dtype: torch.dtype = next(weight.dtype for weight in model.parameters() if weight.is_floating_point())
    return dtype


def _in_float32(model: Any) -> Any:
    """The model where its weights are float32 or wider or it stays as it is, else a copy."""
    spread = getattr(model.base, "hf_device_map", None) or getattr(model, "is_quantized", False)
    narrow = _weight_dtype(model) in (torch.float16, torch.bfloat16)
    if spread or not narrow or sum(weight.numel() for weight in model.parameters()) > MOST_COPIED:
        return model
    scorer = getattr(model, "_scorer", None)  # a classifier of its own that nothing is asked of
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
