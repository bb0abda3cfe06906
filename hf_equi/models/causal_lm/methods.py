"""The methods for causal language models, by name."""

from __future__ import annotations

from hf_equi.checks import check_choice
from hf_equi.registration import create_method
from hf_equi.symmetrizers import EqualWeights, HistoryWeights, Method
from hf_equi.symmetrizers.combine import AVERAGES

__all__ = ["TASK", "create"]

TASK = "causal_lm"


def create(name: str, average: str) -> Method:
    """Return the method of that name.

    Raises:
        ConfigurationError: If there is no such method, or the setting is not one of its settings.
    """
    check_choice("average", average, AVERAGES)
    method: Method = create_method(TASK, name, average=average)
    method.check_parts((EqualWeights, HistoryWeights), chooses=False, what="causal language models")
    return method
