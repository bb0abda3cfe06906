"""Which places of prompts are padding, where no attention mask says so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from hf_equi.errors import ConfigurationError

__all__ = ["check_mask", "infer_mask", "leading_mask"]


def check_mask(mask: Any, ids: torch.Tensor, name: str = "attention_mask", *, after_cache: bool = False) -> None:
    """Refuse a mask that does not have one number a token; `None`, for no padding, passes.

    A mask of pairs of tokens, of four axes, says what the rows of the base attend to, and an orbit has several rows.

    Args:
        mask: What was given.
        ids: `(batch, tokens)`.
        name: As which argument.
        after_cache: Whether the mask may begin with cached tokens.

    Raises:
        ConfigurationError: For anything but `(batch, tokens)`.
    """
    if mask is None:
        return
    fits = isinstance(mask, torch.Tensor) and mask.dim() == 2 and mask.shape[0] == ids.shape[0]
    if fits and (mask.shape[1] == ids.shape[1] or (after_cache and mask.shape[1] > ids.shape[1])):
        return
    given = f"the shape {tuple(mask.shape)}" if isinstance(mask, torch.Tensor) else f"the type {type(mask).__name__}"
    raise ConfigurationError(
        f"{name} needs one number a token, 0 at padding: the shape (batch, tokens) of the ids, "
        f"{tuple(ids.shape)}{', behind cached tokens' * after_cache}. Received {given}. A mask of pairs of tokens "
        "cannot be read, as its rows are not those of an orbit. For packed documents pass position_ids that start "
        "again with each."
    )


def infer_mask(ids: torch.Tensor, pad_token_id: int | None, eos_token_ids: Sequence[int]) -> torch.Tensor | None:
    """The mask that `generate` infers: padding tokens are padding, unless they also end texts.

    Args:
        ids: `(batch, tokens)`.
        pad_token_id: The padding token, if any.
        eos_token_ids: The tokens that end a text.

    Returns:
        `(batch, tokens)` int64, or `None` where nothing is padding.
    """
    if pad_token_id is None or pad_token_id in eos_token_ids:
        return None
    mask = (ids != pad_token_id).long()
    return None if bool((mask == 1).all()) else mask


def leading_mask(ids: torch.Tensor, pad_token_id: int | None, ends_texts: bool) -> torch.Tensor | None:
    """The mask of leading padding alone, for prompts whose end may look like padding.

    Args:
        ids: `(batch, tokens)`.
        pad_token_id: The padding token, if any.
        ends_texts: Whether that token also begins or ends texts. Then as many of them as every row begins with are
            taken for text: the longest prompt of a batch has no padding.

    Returns:
        `(batch, tokens)` int64, or `None` where nothing is padding.
    """
    if pad_token_id is None:
        return None
    leading = (ids == pad_token_id).cumprod(-1).sum(-1, keepdim=True)  # (batch, 1)
    if ends_texts:
        leading = leading - leading.min()
    mask = (torch.arange(ids.shape[1], device=ids.device) >= leading).long()
    return None if bool((mask == 1).all()) else mask
