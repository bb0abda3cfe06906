"""The methods for sequence-to-sequence models, by name."""

from __future__ import annotations

from hf_equi.checks import check_choice
from hf_equi.registration import create_method
from hf_equi.symmetrizers import EqualWeights, Equizero, FeatureWeights, Method, create_loss
from hf_equi.symmetrizers.combine import AVERAGES

__all__ = ["TASK", "create", "equizero"]

TASK = "seq2seq"
# Losses of images are left out, because one of them reads logits, and here log-probabilities are combined.
_LOSSES = ("max_probability", "entropy", "published_max_probability", "published_entropy")


def equizero(loss: str) -> Equizero:
    """Return equizero with a loss of that name; it passes on the gradient of the mean of log-probabilities."""
    return Equizero(create_loss(loss))


def create(name: str, average: str, loss: str) -> Method:
    """Return the method of that name.

    Raises:
        ConfigurationError: If there is no such method, or the setting is not one of its settings.
    """
    check_choice("average", average, AVERAGES)
    create_loss(loss, known=_LOSSES)
    method: Method = create_method(TASK, name, average=average, loss=loss)
    method.check_parts((EqualWeights, FeatureWeights), chooses=True, what="sequence-to-sequence models")
    return method
