"""Which settings a method does not use, so that they are refused, and left out of cards."""

from __future__ import annotations

from collections.abc import Collection

from hf_equi.canonicalization import LearnedMember, LearnedMembers
from hf_equi.errors import ConfigurationError
from hf_equi.models.configuration_canonicalized import CANONICAL_SETTINGS
from hf_equi.symmetrizers import Method

__all__ = ["refuse_unread", "unread_settings"]


def unread_settings(method: Method) -> set[str]:
    """Return the settings of weights, of a choice and of a canonicalizer that a method does not use.

    Example:
        >>> from hf_equi.symmetrizers import LambdaEquitune
        >>> "loss" in unread_settings(LambdaEquitune()), "lambda_units" in unread_settings(LambdaEquitune())
        (True, False)
    """
    unread = set() if method.feature_weights is not None else {"lambda_units", "lambda_dropout", "lambda_features"}
    unread |= set() if method.takes_best else {"confidence", "loss", "selection"}
    learned = isinstance(method.select, LearnedMember)
    unread |= set() if learned else {"canonicalizer", "task_weight", *CANONICAL_SETTINGS}
    return unread | (set() if isinstance(method.select, LearnedMembers) else {"theta"})


def refuse_unread(given: Collection[str], method: Method, name: str) -> None:
    """Refuse settings that a method does not use.

    Args:
        given: The names of the settings.
        method: The method.
        name: Its name.

    Raises:
        ConfigurationError: For such settings; the message says to which methods they belong.
    """
    if unread := unread_settings(method) & set(given):
        raise ConfigurationError(
            f"{', '.join(sorted(unread))}: the method {name!r} does not use these settings. Settings of weights "
            "belong to 'lambda', 'attention' and 'canonical_lambda', those of a choice to 'equizero', those of a "
            "canonicalizer to 'canonical' and 'canonical_lambda', and theta to the last."
        )
