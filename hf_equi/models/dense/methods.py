"""The methods for models with an output for each pixel, by name."""

from __future__ import annotations

from typing import Any

from hf_equi.errors import ConfigurationError
from hf_equi.registration import create_method
from hf_equi.symmetrizers import EqualWeights, Equizero, FeatureWeights, Method, create_loss

__all__ = ["TASK", "create", "equizero"]

TASK = "dense"


def equizero(average: str, loss: str | None) -> Equizero:
    """Return equizero with a loss of that name.

    Raises:
        ConfigurationError: Without a loss.
    """
    if loss is None:
        raise ConfigurationError(
            f"method={Equizero.name!r} takes the member of which the base is surest, but a depth has no probability, "
            'so no member is the surest: use "equitune", "lambda" or "canonical"'
        )
    return Equizero(create_loss(loss), average)


def create(name: str, average: str, loss: str | None, **canonical: Any) -> Method:
    """Return the method of that name.

    Args:
        name: The name.
        average: `"logits"` for the mean of the values themselves, or `"probabilities"`, as in `Equitune`.
        loss: What equizero minimises; `None` for outputs without probabilities.
        **canonical: The settings of methods with a canonicalizer, as in `EquiPixelConfig.canonical_settings`.

    Raises:
        ConfigurationError: If there is no such method, or it does not work for these outputs.
    """
    method: Method = create_method(TASK, name, average=average, loss=loss, **canonical)
    method.check_parts((EqualWeights, FeatureWeights), chooses=True, what="models of images")
    return method
