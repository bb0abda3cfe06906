"""The tokens that end a text, in whichever way a config, a call or a tokenizer writes them, and what may follow."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral
from typing import Any

from hf_equi.errors import ConfigurationError

__all__ = ["end_tokens", "filling_token"]


def end_tokens(value: Any, name: str = "eos_token_id") -> tuple[int, ...]:
    """Return the tokens of an `eos_token_id` or the like: none, one, several, or an array of torch or numpy.

    Args:
        value: What was given.
        name: The setting, for the message.

    Raises:
        ConfigurationError: For anything but whole numbers.

    Example:
        >>> end_tokens(None), end_tokens(2), end_tokens([2, 50256]), end_tokens([[2], [50256]])
        ((), (2,), (2, 50256), (2, 50256))
    """
    if value is None:
        return ()
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Iterable) and not isinstance(value, str):
        return tuple(token for each in value for token in end_tokens(each, name))
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ConfigurationError(
            f"{name}={value!r} is not a token: use its number, such as tokenizer.convert_tokens_to_ids('</s>')"
        )
    return (int(value),)


def filling_token(tokenizer: Any) -> int:
    """Return a token to fill a batch with where a mask hides it, so that any token will do.

    Example:
        >>> from types import SimpleNamespace
        >>> filling_token(SimpleNamespace(pad_token_id=None, eos_token_id=2))
        2
    """
    known = (tokenizer.pad_token_id, tokenizer.eos_token_id)
    return next((int(token) for token in known if token is not None), 0)
