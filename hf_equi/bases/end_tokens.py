"""The tokens that end a text, in whichever way a config, a call or a tokenizer writes them."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral
from typing import Any

from hf_equi.errors import ConfigurationError

__all__ = ["end_tokens"]


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
