"""Checks of arguments that need no model. Options and commands make them before torch and transformers load."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from hf_equi.errors import ConfigurationError

__all__ = ["check_folder", "check_texts", "expanded", "filled", "in_words"]

_RANGES = {
    r"Input should be greater than or equal to (\S+)": r"use \1 or more.",
    r"Input should be less than or equal to (\S+)": r"use \1 or less.",
    r"\S+ is not in the range (\S+)<=x<=(\S+?)\.?$": r"use a number from \1 to \2.",
    r"\S+ is not in the range x>=(\S+?)\.?$": r"use \1 or more.",
    r"(Input should be a valid integer|'[^']*' is not a valid integer).*": "use a whole number.",
    r"(Input should be a valid number|'[^']*' is not a valid float).*": "use a number.",
}
"""What releases of typer say of a number that does not fit, and what to do about it."""


def expanded(path: str | Path) -> Path:
    """Return a path with its leading `~`, which a shell leaves in `--out=~/audit`, replaced by the home folder.

    Raises:
        ConfigurationError: If the home folder is not known.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ConfigurationError(
            f"The home folder of {str(path)!r} is not known: write the path out, or ./{path} if ~ is in its name."
        ) from error


def check_texts(option: str, texts: Iterable[str]) -> None:
    """Refuse arguments that are not text: bytes in an encoding other than UTF-8.

    Args:
        option: The option that holds the texts.
        texts: The texts.

    Raises:
        ConfigurationError: For such bytes.
    """
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ConfigurationError(
                f"{option} {text!r} is not UTF-8 text: there is an invalid byte after {text[: error.start]!r}. Write "
                "it in UTF-8."
            ) from error


def filled(option: str, example: str) -> Callable[[list[str] | None], list[str] | None]:
    """Return the callback of an option with texts, which refuses one that is empty or not UTF-8.

    Args:
        option: The option.
        example: A text that could be given.
    """

    def check(texts: list[str] | None) -> list[str] | None:
        check_texts(option, texts or [])
        if not all(text.strip() for text in texts or []):
            raise ConfigurationError(f'A {option} is empty: write some text, such as "{example}".')
        return texts

    return check


def check_folder(path: Path | None) -> None:
    """Refuse a folder of images that does not exist."""
    if path is not None and not expanded(path).is_dir():
        raise ConfigurationError(f"The image folder {str(path)!r} does not exist: check its name.")


def in_words(problem: str) -> str:
    """Return a message of typer in plain words."""
    for pattern, advice in _RANGES.items():
        problem = re.sub(pattern, advice, problem)
    return problem
