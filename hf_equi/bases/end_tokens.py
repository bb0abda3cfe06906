"""The tokens that end a text, in whichever way a config, a call or a tokenizer writes them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

__all__ = ["end_tokens"]


def end_tokens(value: int | Sequence[int] | torch.Tensor | None) -> tuple[int, ...]:
    """Return the tokens of an `eos_token_id`: none, one, several, or a tensor of them.

    Example:
        >>> end_tokens(None), end_tokens(2), end_tokens([2, 50256])
        ((), (2,), (2, 50256))
    """
    if value is None:
        return ()
    if isinstance(value, torch.Tensor):
        return tuple(value.flatten().tolist())
    return (value,) if isinstance(value, int) else tuple(value)
