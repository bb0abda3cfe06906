"""Loading tokenizers."""

from __future__ import annotations

from typing import Any

from transformers import AutoTokenizer

from hf_equi.bases.loading import without_question
from hf_equi.bases.reading import reading

__all__ = ["read_tokenizer"]

_ADVICE = "Take the folder as it was published, or pass another tokenizer: tokenizer=..."


def read_tokenizer(name: Any, **hub: Any) -> Any:
    """Load a tokenizer, and have it read a text.

    Args:
        name: A folder or a name on the Hub.
        **hub: What `from_pretrained` takes. Code of the folder runs with `trust_remote_code=True` alone.

    Raises:
        ConfigurationError: For one that is damaged, and where there is none.
        OSError: For a name without a repository, as in transformers.
    """
    with reading(f"The tokenizer of {name}", _ADVICE):
        tokenizer = AutoTokenizer.from_pretrained(name, **without_question(hub))
        tokenizer("")  # which reads settings that loading does not
        return tokenizer
