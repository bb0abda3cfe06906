"""The tokens that end a text, however a config, a call or a tokenizer writes them, and the tokens that may follow."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from numbers import Integral
from typing import Any

from hf_equi.errors import ConfigurationError

__all__ = ["end_tokens", "filling_token", "until_end"]


def end_tokens(value: Any, name: str = "eos_token_id") -> tuple[int, ...]:
    """Return the tokens of an `eos_token_id` or a similar setting: none, one, several, or a torch or numpy array.

    Args:
        value: The given value.
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
    """Return a token that fills a batch where a mask hides it. Any token works.

    Example:
        >>> from types import SimpleNamespace
        >>> filling_token(SimpleNamespace(pad_token_id=None, eos_token_id=2))
        2
    """
    known = (tokenizer.pad_token_id, tokenizer.eos_token_id)
    return next((int(token) for token in known if token is not None), 0)


def until_end(row: list[int], ends: Collection[int], pad: int) -> list[int]:
    """Return the written tokens of a row of a batch: up to the first token that ends a text, without padding.

    Args:
        row: The tokens after the prompt, of which the first is written.
        ends: The tokens that end a text.
        pad: The token that fills rows. It also follows texts that end without such a token.

    Example:
        >>> until_end([5, 0, 1, 1], (0,), 1), until_end([5, 6, 1, 1], (0,), 1)
        ([5, 0], [5, 6])
    """
    for place, token in enumerate(row):
        if token in ends:
            return row[: place + 1]
    while len(row) > 1 and row[-1] == pad:
        row = row[:-1]
    return row
