"""Which places of prompts are padding if no attention mask says so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from transformers import PreTrainedModel

from hf_equi.errors import ConfigurationError

__all__ = ["check_mask", "infer_mask", "infers_mask", "leading_mask", "padding_is_known"]

_CHECK = "warn_if_padding_and_no_attention_mask"


@contextmanager
def padding_is_known(base: torch.nn.Module) -> Iterator[None]:
    """Stop a base from looking for padding when a mask already says what is padding.

    `generate` passes no mask to models if the mask hides nothing. Some of them, such as GPT-2, then look for padding
    tokens at every step. They find those after a text that has ended, and recommend passing a mask.
    """
    models = [model for model in base.modules() if isinstance(model, PreTrainedModel) and _CHECK not in vars(model)]
    for model in models:
        vars(model)[_CHECK] = _look_for_nothing
    try:
        yield
    finally:
        for model in models:
            vars(model).pop(_CHECK, None)


def _look_for_nothing(input_ids: torch.Tensor, attention_mask: torch.Tensor | None) -> None:
    """The replacement for that check of transformers."""


def check_mask(mask: Any, ids: torch.Tensor, name: str = "attention_mask", *, after_cache: bool = False) -> None:
    """Refuse a mask that does not have one number for each token. `None`, for no padding, passes.

    A mask of token pairs, with four axes, says what the rows of the base attend to. It does not fit, because an orbit
    has several rows.

    Args:
        mask: The mask to check.
        ids: `(batch, tokens)`.
        name: The name of the argument.
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
        f"{name} needs one number for each token, 0 at padding: the shape (batch, tokens) of the ids, "
        f"{tuple(ids.shape)}{', after cached tokens' * after_cache}. Received {given}. A mask of token pairs cannot "
        "be read, because its rows are not those of an orbit. For packed documents pass position_ids that restart "
        "with each document."
    )


def infer_mask(ids: torch.Tensor, pad_token_id: int | None, eos_token_ids: Sequence[int]) -> torch.Tensor | None:
    """Return the mask that `generate` infers: padding tokens are padding, unless they also end texts.

    Args:
        ids: `(batch, tokens)`.
        pad_token_id: The padding token, if any.
        eos_token_ids: The tokens that end a text.

    Returns:
        `(batch, tokens)` int64, or `None` if nothing is padding.
    """
    if pad_token_id is None or not infers_mask(pad_token_id, eos_token_ids):
        return None
    mask = (ids != pad_token_id).long()
    return None if bool((mask == 1).all()) else mask


def infers_mask(pad_token_id: int | None, eos_token_ids: Sequence[int]) -> bool:
    """Return whether the padding token tells what is padding."""
    return pad_token_id is not None and pad_token_id not in eos_token_ids


def leading_mask(ids: torch.Tensor, pad_token_id: int | None, ends_texts: bool) -> torch.Tensor | None:
    """Return a mask of leading padding only, for prompts whose end may look like padding.

    Args:
        ids: `(batch, tokens)`.
        pad_token_id: The padding token, if any.
        ends_texts: Whether that token also begins or ends texts. Then the number of them that every row begins with
            counts as text, because the longest prompt of a batch has no padding.

    Returns:
        `(batch, tokens)` int64, or `None` if nothing is padding.
    """
    if pad_token_id is None:
        return None
    leading = (ids == pad_token_id).cumprod(-1).sum(-1, keepdim=True)  # (batch, 1)
    if ends_texts:
        leading = leading - leading.min()
    mask = (torch.arange(ids.shape[1], device=ids.device) >= leading).long()
    return None if bool((mask == 1).all()) else mask
