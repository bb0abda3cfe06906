"""What shows quickly that a tokenizer has not changed, so that its vocabulary is read and hashed only when needed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tokenizers
from transformers import __version__ as _transformers
from transformers.tokenization_utils_base import (
    ADDED_TOKENS_FILE,
    FULL_TOKENIZER_FILE,
    SPECIAL_TOKENS_MAP_FILE,
    TOKENIZER_CONFIG_FILE,
)

from hf_equi.models.text.fingerprint import SAMPLE, cut_texts, fingerprints

__all__ = ["CHANGED", "Fingerprints", "Later", "glance", "seal"]

CHANGED = "unknown: the tokenizer was changed before it was hashed"
"""The fingerprint of a tokenizer that changed in place, so that no tokenizer has it."""
RELEASES = (_transformers, tokenizers.__version__)
"""The releases of the packages that read the files of a tokenizer."""
_OWN_CODE = "transformers."
_FILES = (ADDED_TOKENS_FILE, FULL_TOKENIZER_FILE, SPECIAL_TOKENS_MAP_FILE, TOKENIZER_CONFIG_FILE)
_SETTINGS = (
    *("byte_fallback", "continuing_subword_prefix", "dropout", "end_of_word_suffix", "fuse_unk", "ignore_merges"),
    *("max_input_chars_per_word", "unk_token"),
)
"""The settings of the models of tokenizers."""


def glance(tokenizer: Any) -> str | None:
    """Return a hash of what can be read of a tokenizer in a moment: everything but its vocabulary and merges.

    Args:
        tokenizer: A tokenizer of `transformers`.

    Returns:
        32 hexadecimal digits; `None` for a tokenizer that is not of the package `tokenizers`, or has parts in Python.
    """
    inner = getattr(tokenizer, "backend_tokenizer", None)
    if not isinstance(inner, tokenizers.Tokenizer):
        return None
    try:
        parts = [bytes(part.__getstate__()).decode() for part in (inner.normalizer, inner.pre_tokenizer) if part]
    except Exception:  # tokenizers raises bare exceptions for parts in Python
        return None
    model = inner.model
    seen = [
        [type(tokenizer).__qualname__, type(model).__qualname__, len(tokenizer), tokenizer.split_special_tokens],
        [bool(inner.normalizer), bool(inner.pre_tokenizer), parts],
        {name: str(getattr(model, name)) for name in _SETTINGS if hasattr(model, name)},
        sorted((place, repr(token)) for place, token in inner.get_added_tokens_decoder().items()),
        cut_texts(tokenizer, list(SAMPLE)),
    ]
    return hashlib.blake2b(json.dumps(seen).encode(), digest_size=16).hexdigest()


def seal(tokenizer: Any, folder: Path, known: Sequence[str | None]) -> str | None:
    """Return a hash of a tokenizer, of the files that it is saved in or was loaded from, and of its fingerprints.

    The hash is stored when a tokenizer with these fingerprints is saved. If a load finds the same hash, the tokenizer
    that it has read has these fingerprints too: the same releases read the same files, and found the same settings.

    Args:
        tokenizer: The tokenizer.
        folder: The folder with its files.
        known: Its fingerprints, of the vocabulary and of the cuts.

    Returns:
        32 hexadecimal digits; `None` for a tokenizer of which `glance` cannot tell, one whose class is not of
        transformers, and one without a file of its own.
    """
    seen = glance(tokenizer)
    if seen is None or not type(tokenizer).__module__.startswith(_OWN_CODE):
        return None
    if not (folder / FULL_TOKENIZER_FILE).is_file():
        return None
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps([seen, *RELEASES, *known]).encode())
    for name in sorted({*_FILES, *type(tokenizer).vocab_files_names.values()}):
        file = folder / name
        found = hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None
        digest.update(f" {name} {found}".encode())
    return digest.hexdigest()


class Fingerprints:
    """The fingerprints of a tokenizer, computed when one of them is first asked for.

    Args:
        tokenizer: The tokenizer.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._before = glance(tokenizer)
        self._found = fingerprints(tokenizer) if self._before is None else None
        # It shares vocabulary and merges with the tokenizer, and keeps them if the tokenizer gets others.
        self._model = tokenizer.backend_tokenizer.model if self._found is None else None

    def both(self) -> tuple[str, str]:
        """Return the fingerprints, of the vocabulary and of the cuts; `CHANGED` for a tokenizer that has changed."""
        found = self._found
        if found is None:
            found = self._found = fingerprints(self._tokenizer) if self._is_same() else (CHANGED, CHANGED)
            self._model = None
        return found

    def _is_same(self) -> bool:
        """Whether the tokenizer is as it was, with its vocabulary and its merges."""
        if glance(self._tokenizer) != self._before:
            return False
        before: Any = self._model
        return bool(before.__getstate__() == self._tokenizer.backend_tokenizer.model.__getstate__())

    def entries(self) -> tuple[Later, Later]:
        """Return both as entries of a config."""
        return Later(lambda: self.both()[0]), Later(lambda: self.both()[1])


class Later:
    """An entry of a config that is computed when it is first read. A copy of it, and what is stored, is its value.

    Args:
        compute: Computes it.
    """

    def __init__(self, compute: Callable[[], str]) -> None:
        self.value = compute

    def __eq__(self, other: object) -> bool:
        return self.value() == (other.value() if isinstance(other, Later) else other)

    __hash__ = None  # type: ignore[assignment]

    def __deepcopy__(self, memo: dict[int, Any]) -> str:
        return self.value()

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (self.value(),)
