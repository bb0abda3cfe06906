"""The methods for causal language models, by name."""

from __future__ import annotations

from hf_equi.actions.reporting import COMPOSE, MULTI_TOKEN, WORDS
from hf_equi.checks import check_choice
from hf_equi.errors import ConfigurationError
from hf_equi.generation.search_checks import ACTIONS
from hf_equi.generation.units.laws import LookAhead
from hf_equi.registration import create_method, method_names
from hf_equi.symmetrizers import EqualWeights, HistoryWeights, Method
from hf_equi.symmetrizers.combine import AVERAGES
from hf_equi.symmetrizers.select import IdentityMember

__all__ = ["LOOK_AHEAD", "TASK", "UNLOOKED_SHARE", "check_action", "check_multi_token", "combines", "create", "remedy"]

TASK = "causal_lm"

LOOK_AHEAD = LookAhead.threshold
"""The probability of the first tokens of a word from which on its next ones are scored."""
UNLOOKED_SHARE = LookAhead.share
"""The share that stands for the tokens of a word that are not scored."""


def create(name: str, average: str) -> Method:
    """Return the method of that name.

    Raises:
        ConfigurationError: If there is no such method, or the setting is not one of its settings.
    """
    check_choice("average", average, AVERAGES)
    method: Method = create_method(TASK, name, average=average)
    method.check_parts((EqualWeights, HistoryWeights), chooses=False, what="causal language models")
    return method


def check_multi_token(
    method: Method,
    multi_token: str = "auto",
    look_ahead: float = LOOK_AHEAD,
    unlooked_share: float = UNLOOKED_SHARE,
) -> None:
    """Refuse settings of words of several tokens that are out of range or would have no effect.

    Raises:
        ConfigurationError: For an unknown `multi_token`; for `"compose"` with a method that does not combine the
            scores of all members; for the other settings without `"compose"`.
    """
    check_choice("multi_token", multi_token, MULTI_TOKEN)
    if multi_token == "compose" and not combines(method):
        raise ConfigurationError(
            f'multi_token="compose" moves words in the scores of all members, but method={method.name!r} does not '
            f"combine those. {remedy(method) or 'Leave it out'}, or use method='equitune'."
        )
    LookAhead(look_ahead, unlooked_share).check(multi_token)


def remedy(method: Method) -> str | None:
    """Return how words of several tokens move with a method, as the beginning of a sentence; `None` if none does."""
    if combines(method):
        return COMPOSE
    return None if isinstance(method.select, IdentityMember) else WORDS


def combines(method: Method) -> bool:
    """Whether a method combines the scores of all members, so that words of several tokens can move as units."""
    return not (method.selects_one or method.searches)


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
