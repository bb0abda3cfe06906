"""Which places of prompts are padding, where no attention mask says so."""

from __future__ import annotations

from collections.abc import Sequence

import torch

__all__ = ["infer_mask", "leading_mask"]


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
