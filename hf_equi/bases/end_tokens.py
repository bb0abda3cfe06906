"""The tokens that end a text, in whichever way a config, a call or a tokenizer writes them, and what may follow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = ["end_tokens", "filling_token"]


def end_tokens(value: Any) -> tuple[int, ...]:
    """Return the tokens of an `eos_token_id` or the like: none, one, several, or an array of torch or numpy.

    Example:
        >>> end_tokens(None), end_tokens(2), end_tokens([2, 50256]), end_tokens([[2], [50256]])
        ((), (2,), (2, 50256), (2, 50256))
    """
    if value is None:
        return ()
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Iterable) and not isinstance(value, str):
        return tuple(token for each in value for token in end_tokens(each))
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
