"""Errors that name the file that could not be read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import shorten

import torch

from hf_equi.errors import ConfigurationError, HfEquiError

__all__ = ["AGAIN", "own_code", "reading"]

AGAIN = "Use the checkpoint as it was published, or save the model again."
"""What to do about a damaged checkpoint."""

# Errors that are due to the machine, a missing package or the caller, not to the content of a file.
_OF_OTHERS = (OSError, ImportError, MemoryError, torch.OutOfMemoryError, Warning)


def own_code(place: str) -> str:
    """Return the message about a checkpoint with its own code that nobody has allowed to run."""
    return (
        f"{place} comes with its own code, which hf-equi does not run by default. Once you have read the code, allow "
        "it: --trust-remote-code for a model on the command line, or trust_remote_code=True in Python."
    )


@contextmanager
def reading(place: str, advice: str) -> Iterator[None]:
    """Say which file an error is about: libraries raise many errors for a damaged file, and do not name it.

    An `OSError` passes as it is, because those of transformers name the file. Errors that are due to the machine pass
    too.

    Args:
        place: What is read, with its path, as the beginning of a sentence.
        advice: What the reader can do, as a sentence.

    Raises:
        HfEquiError: The error that was raised inside, of its own class, with the place added if it lacks that; a
            `ConfigurationError` for an error of another library.

    Example:
        >>> with reading("The file a.json", "Write it again."):
        ...     {}["key"]
        Traceback (most recent call last):
        ...
        hf_equi.errors.ConfigurationError: The file a.json cannot be read (KeyError: 'key'). Write it again.
    """
    try:
        yield
    except HfEquiError as error:
        if place.rpartition(" ")[2] in str(error):
            raise
        raise type(error)(f"{place}: {error}") from error
    except _OF_OTHERS:
        raise
    except Exception as error:
        if "unexpected keyword argument" in str(error):  # the caller's mistake
            raise
        if "trust_remote_code" in str(error):
            raise ConfigurationError(own_code(place)) from error
        said = shorten(f"{type(error).__name__}: {error}", 240, placeholder=" ...")
        raise ConfigurationError(f"{place} cannot be read ({said}). {advice}") from error
