"""Loading tokenizers."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer
from transformers.tokenization_utils_base import (
    ADDED_TOKENS_FILE,
    FULL_TOKENIZER_FILE,
    SPECIAL_TOKENS_MAP_FILE,
    TOKENIZER_CONFIG_FILE,
)

from hf_equi.bases.loading import without_question
from hf_equi.bases.reading import reading

__all__ = ["read_tokenizer"]

_ADVICE = "Use the folder as it was published, or pass another tokenizer: tokenizer=..."
_ADDED = "added_tokens_decoder"
_HEADS = (1 << 16, 1 << 22)
"""How many characters of a tokenizer file are searched for its added tokens, which come before its vocabulary."""


def read_tokenizer(name: Any, **hub: Any) -> Any:
    """Load a tokenizer, and check that it can read a text.

    Args:
        name: A folder or a name on the Hub.
        **hub: Arguments of `from_pretrained`. Code of the folder runs only with `trust_remote_code=True`.

    Raises:
        ConfigurationError: If the tokenizer is damaged or missing.
        OSError: If no repository has that name, as in transformers.
    """
    with reading(f"The tokenizer of {name}", _ADVICE):
        given = without_question(hub)
        tokenizer = _load_quickly(name, given)
        if tokenizer is None:
            tokenizer = AutoTokenizer.from_pretrained(name, **given)
        tokenizer("")  # reads settings that loading does not
        return tokenizer


def _load_quickly(name: Any, given: dict[str, Any]) -> Any:
    """Load the tokenizer of a folder without reading its vocabulary twice; return `None` where that does not work.

    If transformers is not given the added tokens, it reads the whole file in Python for them, and then again for the
    tokenizer. That is a fifth of the time of loading a small model.
    """
    folder = Path(name, given.get("subfolder") or "")
    if _ADDED in given or not folder.is_dir():
        return None
    try:
        added = _read_added(folder)
        return None if added is None else AutoTokenizer.from_pretrained(name, **given, **{_ADDED: added})
    except Exception:  # the caller loads again without it, and reports what is wrong
        return None


def _read_added(folder: Path) -> dict[int, dict[str, Any]] | None:
    """Return the added tokens of a tokenizer file by their ids; `None` if other files have a say in them."""
    if any((folder / file).exists() for file in (ADDED_TOKENS_FILE, SPECIAL_TOKENS_MAP_FILE)):
        return None
    config = folder / TOKENIZER_CONFIG_FILE
    if config.exists():
        stored = json.loads(config.read_text(encoding="utf-8"))
        if _ADDED in stored or "fast_tokenizer_files" in stored:
            return None
    for size in _HEADS:
        with (folder / FULL_TOKENIZER_FILE).open(encoding="utf-8") as file, suppress(ValueError):
            return {token.pop("id"): token for token in _read_entry(file.read(size), "added_tokens")}
    return None


def _read_entry(text: str, name: str) -> Any:
    """Return an entry of a JSON object from the beginning of its text.

    Raises:
        ValueError: If it is not there, or the text is not JSON up to there.

    Example:
        >>> _read_entry('{"version": "1.0", "added_tokens": [], "model": {', "added_tokens")
        []
    """
    decoder, place, before = json.JSONDecoder(), 0, "{"
    while True:
        key, place = decoder.raw_decode(text, _skip(text, place, before))
        value, place = decoder.raw_decode(text, _skip(text, place, ":"))
        if key == name:
            return value
        before = ","


def _skip(text: str, place: int, mark: str) -> int:
    """Return the place behind a mark and the white space around it."""
    found = re.compile(rf"\s*{re.escape(mark)}\s*").match(text, place)
    if found is None:
        raise ValueError(f"no {mark} at character {place}")
    return found.end()
