"""The methods that a sequence-to-sequence model can be symmetrised with, by name."""

from __future__ import annotations

from hf_equi.checks import check_choice
from hf_equi.registry import create_method, register_method
from hf_equi.symmetrizers import Canonical, Equitune, Equizero, Identity, LambdaEquitune, Method, create_loss
from hf_equi.symmetrizers.combine import AVERAGES

__all__ = ["TASK", "create"]

TASK = "seq2seq"
# Losses of images are left out: one reads logits, and what is folded here is log-probabilities.
_LOSSES = ("max_probability", "entropy", "published_max_probability", "published_entropy")

register_method(task=TASK, name="equitune", factory=lambda average, loss: Equitune(average))
register_method(task=TASK, name="equizero", factory=lambda average, loss: Equizero(create_loss(loss)))
register_method(task=TASK, name="lambda", factory=lambda average, loss: LambdaEquitune(average))
register_method(task=TASK, name="canonical", factory=lambda average, loss: Canonical())
register_method(task=TASK, name="identity", factory=lambda average, loss: Identity())


def create(name: str, average: str, loss: str) -> Method:
    """The method of that name.

    Raises:
        ConfigurationError: If there is none, or a setting is not one of its own.
    """
    check_choice("average", average, AVERAGES)
    create_loss(loss, known=_LOSSES)
    method: Method = create_method(TASK, name, average=average, loss=loss)
    return method
