"""Naming the file where what reads it fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import shorten

import torch

from hf_equi.errors import ConfigurationError, HfEquiError

__all__ = ["AGAIN", "own_code", "reading"]

AGAIN = "Take the checkpoint as it was published, or save the model again."
"""What to do about a damaged checkpoint."""

# What is due to the machine, to a missing package or to the caller, and not to what a file holds.
_OF_OTHERS = (OSError, ImportError, MemoryError, torch.OutOfMemoryError, Warning)


def own_code(place: str) -> str:
    """What to say of something that brings code of its own, where nobody has said that it may run."""
    return (
        f"{place} brings code of its own, which hf-equi does not run. Once you have read it, let it run: "
        "--trust-remote-code for a model on the command line, or trust_remote_code=True in Python."
    )


@contextmanager
def reading(place: str, advice: str) -> Iterator[None]:
    """Say which file an error is about: libraries that read a damaged one raise anything, and do not name it.

    An `OSError` passes as it is, as those of transformers name the file, and what is due to the machine passes too.

    Args:
        place: What is read, with its path, as the beginning of a sentence.
        advice: What the reader can do, as a sentence.

    Raises:
        HfEquiError: What was raised within, of its own class, with the place where it lacks that; a
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
        if "unexpected keyword argument" in str(error):  # of the caller
            raise
        if "trust_remote_code" in str(error):
            raise ConfigurationError(own_code(place)) from error
        said = shorten(f"{type(error).__name__}: {error}", 240, placeholder=" ...")
        raise ConfigurationError(f"{place} cannot be read ({said}). {advice}") from error
