"""Saving and loading a wrapped model of text: with its tokenizer, which the stored permutation belongs to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedModel

from hf_equi.errors import ConfigurationError
from hf_equi.models.checkpoints import CheckpointMixin
from hf_equi.models.fingerprint import check_tokenizer

__all__ = ["TextCheckpointMixin", "embedding_rows", "load_tokenizer"]


def embedding_rows(model: PreTrainedModel) -> int:
    """Tokens that a model's embedding has rows for."""
    weight: Any = model.get_input_embeddings().weight
    return int(weight.shape[0])


class TextCheckpointMixin(CheckpointMixin):
    """What wrapped models of text add to `PreTrainedModel` for their tokenizer and their base."""

    _tokenizer: Any = None

    @property
    def tokenizer(self) -> Any:
        """The tokenizer that the token permutation belongs to.

        Raises:
            ConfigurationError: If the checkpoint had none; on setting one that disagrees with the stored permutation.
        """
        if self._tokenizer is None:
            raise ConfigurationError(
                "This model was saved without its tokenizer. Set it: lm.tokenizer = AutoTokenizer.from_pretrained(...)"
            )
        return self._tokenizer

    @tokenizer.setter
    def tokenizer(self, tokenizer: Any) -> None:
        check_tokenizer(
            tokenizer, self.config.tokenizer_fingerprint, getattr(tokenizer, "name_or_path", "") or "the call"
        )
        self._tokenizer = tokenizer

    def _save_companions(self, folder: Path) -> None:
        """Save what turns texts into the tokens that the group moves."""
        if self._tokenizer is not None:
            self._tokenizer.save_pretrained(folder)

    def _check_unchanged(self) -> None:
        """Refuse to write a checkpoint that could not be loaded again."""
        rows = embedding_rows(self.base)
        if rows != self.config.vocab_size:
            raise ConfigurationError(
                f"The base's embedding was resized to {rows} rows, the token permutation was made for "
                f"{self.config.vocab_size}. Wrap the base again: symmetrize(lm.unwrap(), group, tokenizer=tokenizer)."
            )
        if self._tokenizer is not None:
            check_tokenizer(self._tokenizer, self.config.tokenizer_fingerprint, "this model, changed since,")

    @classmethod
    def _load_companions(cls, path: Any, config: Any, hub: dict[str, Any]) -> dict[str, Any]:
        """The tokenizers of a checkpoint, checked, by the attributes that hold them."""
        tokenizer = load_tokenizer(path, hub)
        if tokenizer is not None:
            check_tokenizer(tokenizer, config.tokenizer_fingerprint, str(path))
        return {"_tokenizer": tokenizer}


def load_tokenizer(path: Any, hub: dict[str, Any]) -> Any:
    """The tokenizer beside a checkpoint, or `None`."""
    try:
        return AutoTokenizer.from_pretrained(path, **hub)
    except (OSError, ValueError, KeyError):
        return None
