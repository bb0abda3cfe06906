"""The methods for causal language models, by name."""

from __future__ import annotations

from hf_equi.actions.reporting import COMPOSE, MULTI_TOKEN, WORDS
from hf_equi.checks import check_choice
from hf_equi.errors import ConfigurationError
from hf_equi.registration import create_method
from hf_equi.symmetrizers import EqualWeights, HistoryWeights, Method
from hf_equi.symmetrizers.combine import AVERAGES
from hf_equi.symmetrizers.select import IdentityMember

__all__ = ["TASK", "check_multi_token", "create", "remedy"]

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


def check_multi_token(method: Method, multi_token: str) -> None:
    """Refuse words of several tokens in the scores of a method that does not combine those of all members.

    Raises:
        ConfigurationError: For `"compose"` with such a method, or an unknown value.
    """
    check_choice("multi_token", multi_token, MULTI_TOKEN)
    if multi_token == "compose" and not _combines(method):
        raise ConfigurationError(
            f'multi_token="compose" moves words in the scores of all members, but method={method.name!r} does not '
            f"combine those. {remedy(method)}, or use method='equitune'."
        )


def remedy(method: Method) -> str:
    """Return the way to move words of several tokens with a method, as the beginning of a sentence."""
    if _combines(method):
        return COMPOSE
    return "Leave it out" if isinstance(method.select, IdentityMember) else WORDS


def _combines(method: Method) -> bool:
    return not (method.selects_one or method.searches)
