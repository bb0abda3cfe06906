"""The methods that a causal language model can be symmetrised with, by name."""

from __future__ import annotations

from hf_equi.checks import check_choice
from hf_equi.registry import create_method, register_method
from hf_equi.symmetrizers import Canonical, DraftedEquizero, Equitune, Identity, Method, Mixture
from hf_equi.symmetrizers.combine import AVERAGES

__all__ = ["TASK", "create"]

TASK = "causal_lm"

register_method(task=TASK, name="equitune", factory=Equitune)
register_method(task=TASK, name="equizero", factory=DraftedEquizero)
register_method(task=TASK, name="mixture", factory=lambda average: Mixture())
register_method(task=TASK, name="canonical", factory=lambda average: Canonical())
register_method(task=TASK, name="identity", factory=lambda average: Identity())


def create(name: str, average: str) -> Method:
    """The method of that name.

    Raises:
        ConfigurationError: If there is none, or the setting is not one of its own.
    """
    check_choice("average", average, AVERAGES)
    method: Method = create_method(TASK, name, average=average)
    return method
