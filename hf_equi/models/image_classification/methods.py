"""The methods for image classifiers, by name."""

from __future__ import annotations

from typing import Any

from hf_equi.registration import create_method
from hf_equi.symmetrizers import EqualWeights, Equizero, FeatureWeights, Method, create_loss

__all__ = ["LOSSES", "TASK", "create", "equizero"]

TASK = "image_classification"
LOSSES = ("max_probability", "entropy", "published_least_confident")


def equizero(average: str, loss: str) -> Equizero:
    """Return equizero with a loss of that name."""
    return Equizero(create_loss(loss), average)


def create(name: str, average: str, loss: str, **canonical: Any) -> Method:
    """Return the method of that name.

    Args:
        name: The name.
        average: What the level averages.
        loss: What equizero minimises.
        **canonical: The settings of methods with a canonicalizer, as in `EquiVisionConfig.canonical_settings`.

    Raises:
        ConfigurationError: If there is no such method, or a setting is not one of its settings.
    """
    create_loss(loss, known=LOSSES)
    method: Method = create_method(TASK, name, average=average, loss=loss, **canonical)
    method.check_parts((EqualWeights, FeatureWeights), chooses=True, what="models of images")
    return method
