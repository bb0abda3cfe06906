"""Whether a tokenizer is the one that a token map was made with."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from hf_equi.errors import ConfigurationError

__all__ = ["check_tokenizer", "fingerprint"]


def fingerprint(tokenizer: Any) -> str:
    """A hash of the vocabulary: tokens with their ids.

    Args:
        tokenizer: A tokenizer of `transformers`.

    Returns:
        32 hexadecimal digits.
    """
    vocabulary = json.dumps(sorted(tokenizer.get_vocab().items(), key=lambda item: (item[1], item[0])))
    return hashlib.blake2b(vocabulary.encode(), digest_size=16).hexdigest()


def check_tokenizer(tokenizer: Any, expected: str | None, source: str) -> None:
    """Refuse another tokenizer than the map was made with.

    Raises:
        ConfigurationError: If the fingerprints differ.
    """
    if expected is not None and fingerprint(tokenizer) != expected:
        raise ConfigurationError(
            f"The tokenizer of {source} is not the one that the stored token permutation was made with, so it would "
            "move the wrong words. Use the tokenizer that was saved with the model, or symmetrize the base again."
        )
