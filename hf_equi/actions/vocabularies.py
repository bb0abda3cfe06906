"""The vocabulary of a tokenizer, without reading all of it where that can be avoided."""

from __future__ import annotations

from typing import Any

__all__ = ["highest_token"]

_LOOKS = 512
"""How many places of a vocabulary are looked at for gaps."""


def highest_token(tokenizer: Any, rows: int | None = None) -> int:
    """Return the highest id of a tokenizer's tokens.

    Ids usually run from 0 without gaps. Then the number of tokens tells the highest id. Where a look at some ids finds
    a gap, or an id behind the last one, the whole vocabulary is read.

    Args:
        tokenizer: A tokenizer of `transformers`.
        rows: The number of rows of the embedding, if known. Ids from there on are looked at too.

    Example:
        >>> from tokenizers import Tokenizer, models
        >>> from transformers import PreTrainedTokenizerFast
        >>> inner = Tokenizer(models.WordLevel({"a": 0, "b": 7}, unk_token="a"))
        >>> highest_token(PreTrainedTokenizerFast(tokenizer_object=inner))
        7
    """
    inner: Any = getattr(tokenizer, "backend_tokenizer", None)  # tokenizers in Python have none
    count = len(tokenizer)
    if not hasattr(inner, "id_to_token") or not count:
        return _read_highest(tokenizer)
    within = {*range(0, count, max(1, count // _LOOKS)), *range(max(0, count - _LOOKS), count)}
    behind = {*range(count, count + _LOOKS), *(token for token in inner.get_added_tokens_decoder() if token >= count)}
    if rows is not None and rows > count:
        behind.update(range(rows, rows + _LOOKS))
    whole = all(inner.id_to_token(token) is not None for token in within)
    if whole and all(inner.id_to_token(token) is None for token in behind):
        return count - 1
    return _read_highest(tokenizer)


def _read_highest(tokenizer: Any) -> int:
    highest: int = max(tokenizer.get_vocab().values())
    return highest
