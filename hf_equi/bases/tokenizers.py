"""Loading tokenizers."""

from __future__ import annotations

from typing import Any

from transformers import AutoTokenizer

from hf_equi.bases.loading import without_question
from hf_equi.bases.reading import reading

__all__ = ["read_tokenizer"]

_ADVICE = "Use the folder as it was published, or pass another tokenizer: tokenizer=..."


def read_tokenizer(name: Any, **hub: Any) -> Any:
    """Load a tokenizer, and check that it can read a text.

    Args:
        name: A folder or a name on the Hub.
        **hub: Arguments of `from_pretrained`. Code of the folder runs only with `trust_remote_code=True`.

    Raises:
        ConfigurationError: If the tokenizer is damaged or missing.
        OSError: If there is no repository of that name, as in transformers.
    """
    with reading(f"The tokenizer of {name}", _ADVICE):
        tokenizer = AutoTokenizer.from_pretrained(name, **without_question(hub))
        tokenizer("")  # reads settings that loading does not
        return tokenizer
