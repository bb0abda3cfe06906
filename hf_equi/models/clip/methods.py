"""The methods for CLIP-like models, by name."""

from __future__ import annotations

from typing import Any

from hf_equi.checks import check_choice
from hf_equi.errors import ConfigurationError
from hf_equi.registration import create_method
from hf_equi.symmetrizers import ClassMaximum, EqualWeights, Equizero, FeatureWeights, MaxSimilarity, Method

__all__ = ["SELECTIONS", "TASK", "create", "equizero"]

TASK = "clip"
SELECTIONS = ("image", "class")


def equizero(average: str, selection: str) -> Method:
    """Return equizero by similarity, or the class-wise maximum."""
    return ClassMaximum() if selection == "class" else Equizero(MaxSimilarity(), average)


def create(name: str, average: str, selection: str, **canonical: Any) -> Method:
    """Return the method of that name.

    Args:
        name: The name.
        average: What the level averages.
        selection: What equizero takes from one member: all of an `"image"`, or each `"class"`.
        **canonical: The settings of methods with a canonicalizer, as in `EquiVisionConfig.canonical_settings`.

    Raises:
        ConfigurationError: If there is no such method, or a setting is not one of its settings.
    """
    check_choice("selection", selection, SELECTIONS)
    method: Method = create_method(TASK, name, average=average, selection=selection, **canonical)
    by_class = method.takes_best and method.loss is None
    if selection == "class" and not (by_class and average == "probabilities"):
        raise ConfigurationError(
            'selection="class" takes the largest probability of each class among the members: use it with '
            'method="equizero" and level="probabilities"'
        )
    method.check_parts((EqualWeights, FeatureWeights), chooses=True, what="models of images")
    return method
