"""The methods that an image classifier can be symmetrised with, by name."""

from __future__ import annotations

from hf_equi.registry import create_method, register_method
from hf_equi.symmetrizers import (
    Attention,
    Equitune,
    Equizero,
    Identity,
    LambdaEquitune,
    Method,
    create_loss,
)

__all__ = ["LOSSES", "TASK", "create"]

TASK = "image_classification"
LOSSES = ("max_probability", "entropy", "published_least_confident")

register_method(task=TASK, name="equitune", factory=lambda average, loss: Equitune(average))
register_method(task=TASK, name="equizero", factory=lambda average, loss: Equizero(create_loss(loss), average))
register_method(task=TASK, name="lambda", factory=lambda average, loss: LambdaEquitune(average))
register_method(task=TASK, name="attention", factory=lambda average, loss: Attention(average))
register_method(task=TASK, name="identity", factory=lambda average, loss: Identity())


def create(name: str, average: str, loss: str) -> Method:
    """The method of that name.

    Args:
        name: The name.
        average: What its level averages.
        loss: What equizero minimises.

    Raises:
        ConfigurationError: If there is none, or a setting is not one of its own.
    """
    create_loss(loss, known=LOSSES)
    method: Method = create_method(TASK, name, average=average, loss=loss)
    return method
