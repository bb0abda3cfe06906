"""The exceptions of `hf_equi`. Each is a `ValueError`, so a caller can catch them without an import from here.

A message names what was required, what was received, and what to do.
"""

import warnings
from collections.abc import Iterable

from hf_equi.display import shown

__all__ = [
    "ActionError",
    "ConfigurationError",
    "EquivarianceError",
    "GroupError",
    "GroupWarning",
    "HfEquiError",
    "HfEquiWarning",
    "PublishingError",
    "UnsupportedModelError",
    "UntrainedWarning",
    "warn",
]


class _Shown:
    """A message that may quote what others wrote. Wherever it is printed, nothing in it acts on a terminal."""

    def __str__(self) -> str:
        return shown(super().__str__(), "\n")


class HfEquiError(_Shown, ValueError):
    """Base of all exceptions that `hf_equi` raises on purpose."""


class GroupError(HfEquiError):
    """A set of elements or of words that is not a group, or names elements that a group does not have."""


class ActionError(HfEquiError):
    """A group that cannot act on this data: unknown words, colliding tokens, unsuitable shapes."""


class ConfigurationError(HfEquiError):
    """A setting, a stored config or a tokenizer that does not fit the rest."""


class EquivarianceError(HfEquiError):
    """A model that was required to be equivariant and is not."""


class PublishingError(HfEquiError):
    """An upload to the Hub that did not go through."""


class UnsupportedModelError(HfEquiError):
    """A model family or cache that cannot be wrapped, or a model too large for the memory."""


class HfEquiWarning(_Shown, UserWarning):
    """Something that the user should know but that stops nothing: a part left out, or a release not tested."""


class GroupWarning(HfEquiWarning):
    """Words of a group that stay although a user would expect them to move.

    Args:
        message: The message, which names some of them.
        words: All of them.
    """

    def __init__(self, message: str, words: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.words = tuple(words)


class UntrainedWarning(HfEquiWarning):
    """Weights that a checkpoint lacks and that therefore start at random."""


_FRAMES = ("hf_equi", "torch", "transformers")


def warn(message: str | HfEquiWarning, category: type[HfEquiWarning] | None = None) -> None:
    """Attribute a warning to the caller of this library: Python shows a text once for each line that warns.

    Args:
        message: The warning, or its text.
        category: The class of a text.
    """
    import inspect  # noqa: PLC0415  slow, and needed here alone

    level, frame = 1, inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _FRAMES:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
