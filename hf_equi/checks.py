"""Checks of single settings, and parts of messages. They name what was received and what is allowed, in one form."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from numbers import Integral, Real

from hf_equi.errors import ConfigurationError, HfEquiError

__all__ = [
    "check_between",
    "check_choice",
    "check_count",
    "check_seed",
    "check_share",
    "check_token_ids",
    "check_weight",
    "did_you_mean",
    "nearest",
    "to_install",
]


def check_between(name: str, value: object, most: float = math.inf, *, closed: bool = False) -> None:
    """Refuse a setting that is not a number above 0 and below another.

    Args:
        name: The setting.
        value: What was given.
        most: The other number.
        closed: Whether that other number is allowed too.

    Raises:
        ConfigurationError: For anything else.
    """
    fits = not isinstance(value, bool) and isinstance(value, Real) and 0 < _as_float(value) <= most
    if not fits or (value == most and not closed):
        upper = "" if most == math.inf else f" and at most {most}" if closed else f" and below {most}"
        raise ConfigurationError(f"{name}={value!r} is out of range: use a number above 0{upper}")


def check_choice(
    name: str,
    value: object,
    known: Collection[object],
    where: str = "",
    *,
    error: type[HfEquiError] = ConfigurationError,
) -> None:
    """Refuse a setting that is not one of those known.

    Args:
        name: The setting.
        value: What was given; it need not be hashable.
        known: What may be given.
        where: Where the setting belongs, for the message, as in " to the task 'clip'".
        error: The exception to raise.

    Raises:
        HfEquiError: For anything else; a `ConfigurationError` unless `error` says otherwise.
    """
    if not _is_among(value, known):
        advice = did_you_mean(value, known, f"use one of {', '.join(map(repr, known))}.")
        raise error(f"{name}={value!r} is not known{where}: {advice}")


def check_count(
    name: str,
    value: object,
    what: str,
    otherwise: str = "",
    *,
    least: int = 1,
    error: type[HfEquiError] = ConfigurationError,
) -> None:
    """Refuse a setting that is not a count.

    Args:
        name: The setting.
        value: What was given.
        what: What is counted, for the message, as in "number of texts".
        otherwise: What else is allowed, for the message.
        least: The smallest number allowed.
        error: The exception to raise.

    Raises:
        HfEquiError: For anything but an int of that size or more; a `ConfigurationError` unless `error` says
            otherwise.
    """
    if not _is_whole(value, least):
        raise error(f"{name}={value!r} is not a {what}: use an int, {least} or more{otherwise}")


def check_share(name: str, value: object) -> None:
    """Refuse a setting that is not a share.

    Args:
        name: The setting.
        value: What was given.

    Raises:
        ConfigurationError: For anything but a number from 0 to 1.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ConfigurationError(f"{name}={value!r} is not a share: use a number from 0 to 1")


def check_weight(name: str, value: object) -> None:
    """Refuse a setting that is not the weight of a term in a sum.

    Args:
        name: The setting.
        value: What was given.

    Raises:
        ConfigurationError: For anything but a finite number from 0 on.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ConfigurationError(f"{name}={value!r} is not a weight: use a number, 0 or more")


def check_seed(seed: object) -> None:
    """Refuse a seed that no noise can be made from; `None`, for noise without a seed, passes.

    Args:
        seed: What was given.

    Raises:
        ConfigurationError: For anything but a whole number from 0 to 2**63 - 1.
    """
    number = int(seed) if isinstance(seed, Integral) and not isinstance(seed, bool) else seed  # numpy's integers too
    if seed is not None and not _is_whole(number, 0, 2**63 - 1):
        raise ConfigurationError(f"seed={seed!r} is not a seed: use a whole number from 0 to 2**63 - 1")


def check_token_ids(name: str, value: object) -> None:
    """Refuse an entry of a generation config that does not name tokens; `None`, for no tokens, passes.

    Args:
        name: The entry.
        value: What was given.

    Raises:
        ConfigurationError: For anything but a 64-bit whole number or a list of them.
    """
    ids = [] if value is None else value if isinstance(value, list) else [value]
    if not all(_is_whole(one, -(2**63), 2**63 - 1) for one in ids):
        raise ConfigurationError(f"{name}={value!r} does not name tokens: use an int, a list of them, or None")


def _is_whole(value: object, least: int, most: float = float("inf")) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_among(value: object, known: Collection[object]) -> bool:
    try:
        return value in list(known)  # a list, because the value need not be hashable
    except ValueError:  # arrays compare entry by entry
        return False


def _as_float(value: Real) -> float:
    try:
        return float(value)
    except OverflowError:  # the int is too large
        return math.inf if value > 0 else -math.inf  # type: ignore[operator]  # numbers.Real has no types


def nearest(value: object, known: Iterable[object]) -> str:
    """Return the known name that looks most like a misspelt one, in any case; an empty text if none does.

    Example:
        >>> nearest("whte", ["Black", "White"]), nearest("magic", ["Black", "White"])
        ('White', '')
    """
    names = {name.casefold(): name for name in known if isinstance(name, str)}
    near = get_close_matches(value.casefold(), names, 1) if isinstance(value, str) else []
    return names[near[0]] if near else ""


def did_you_mean(value: object, known: Iterable[object], advice: str) -> str:
    """Return what a message advises after the colon, with the known name that looks most like a misspelt one first.

    Args:
        value: What was given.
        known: What may be given.
        advice: The advice, which is all if no name is like it.

    Example:
        >>> did_you_mean("equitunee", ["equitune", "mixture"], "name a method.")
        "did you mean 'equitune'? Name a method."
    """
    near = nearest(value, known)
    return f"did you mean {near!r}? {advice[:1].upper()}{advice[1:]}" if near else advice


def to_install(package: str, extra: str) -> str:
    """Return how to install an optional package, whether or not the reader has a clone of this library.

    Args:
        package: Its name on the package index.
        extra: The extra of `hf_equi` that it belongs to.

    Example:
        >>> to_install("gradio", "demo")
        "pip install gradio (in a clone of hf_equi: pip install -e '.[demo]')"
    """
    return f"pip install {package} (in a clone of hf_equi: pip install -e '.[{extra}]')"
