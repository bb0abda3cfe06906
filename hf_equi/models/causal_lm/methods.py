"""The methods for causal language models, by name."""

from __future__ import annotations

from hf_equi.checks import check_choice
from hf_equi.errors import ConfigurationError
from hf_equi.generation.search_checks import ACTIONS
from hf_equi.registration import create_method, method_names
from hf_equi.symmetrizers import EqualWeights, HistoryWeights, Method
from hf_equi.symmetrizers.combine import AVERAGES

__all__ = ["TASK", "check_action", "create"]

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


def check_action(name: str, action: str) -> None:
    """Refuse an action of the group that a method does not have.

    Args:
        name: The method.
        action: What the group acts on, `"tokens"` or `"words"`.

    Raises:
        ConfigurationError: For another action, or `"words"` with a method that pulls scores back, or moves nothing.
    """
    check_choice("action", action, ACTIONS)
    if action == "words" and not create(name, AVERAGES[0]).maps_texts_back:
        others = [repr(other) for other in method_names(TASK) if create(other, AVERAGES[0]).maps_texts_back]
        raise ConfigurationError(
            f"action='words' needs a method that maps whole texts back, and {name!r} does not: use "
            f"method={', '.join(others[:-1])} or {others[-1]}, or action='tokens'"
        )
