"""The methods that a CLIP-like model can be symmetrised with, by name."""

from __future__ import annotations

from hf_equi.checks import check_choice
from hf_equi.errors import ConfigurationError
from hf_equi.registry import create_method, register_method
from hf_equi.symmetrizers import (
    Attention,
    ClassMaximum,
    Equitune,
    Equizero,
    Identity,
    LambdaEquitune,
    MaxSimilarity,
    Method,
)

__all__ = ["SELECTIONS", "TASK", "create"]

TASK = "clip"
SELECTIONS = ("image", "class")


def _equizero(average: str, selection: str) -> Method:
    return ClassMaximum() if selection == "class" else Equizero(MaxSimilarity(), average)


register_method(task=TASK, name="equitune", factory=lambda average, selection: Equitune(average))
register_method(task=TASK, name="equizero", factory=_equizero)
register_method(task=TASK, name="lambda", factory=lambda average, selection: LambdaEquitune(average))
register_method(task=TASK, name="attention", factory=lambda average, selection: Attention(average))
register_method(task=TASK, name="identity", factory=lambda average, selection: Identity())


def create(name: str, average: str, selection: str) -> Method:
    """The method of that name.

    Args:
        name: The name.
        average: What its level averages.
        selection: What equizero takes from one member: all of an `"image"`, or each `"class"`.

    Raises:
        ConfigurationError: If there is none, or a setting is not one of its own.
    """
    check_choice("selection", selection, SELECTIONS)
    if selection == "class" and (name != "equizero" or average != "probabilities"):
        raise ConfigurationError(
            'selection="class" takes the largest probability of each class among the members: use it with '
            'method="equizero" and level="probabilities"'
        )
    method: Method = create_method(TASK, name, average=average, selection=selection)
    return method
