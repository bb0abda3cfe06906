"""A cache of the Hub in which a small base lies as if it had been downloaded."""

from __future__ import annotations

from pathlib import Path

from small_models import base_model, tokenizer
from transformers import PreTrainedModel

NAME = "someone/small"
REVISION = "a" * 40


def cache_base(cache: Path, name: str = NAME, revision: str = REVISION, base: PreTrainedModel | None = None) -> Path:
    """Write a base, by default a language model with its tokenizer, and give the folder that holds it."""
    snapshot = cache / f"models--{name.replace('/', '--')}" / "snapshots" / revision
    (base_model() if base is None else base).save_pretrained(snapshot)
    if base is None:
        tokenizer().save_pretrained(snapshot)
    references = snapshot.parents[1] / "refs"
    references.mkdir(exist_ok=True)
    (references / "main").write_text(revision)
    return snapshot
