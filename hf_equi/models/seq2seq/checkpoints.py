"""Saving and loading a model with a tokenizer for its source and one for its target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hf_equi.errors import ConfigurationError
from hf_equi.models.text.checkpoints import TextCheckpointMixin, check_map, load_tokenizer
from hf_equi.models.text.fingerprint import check_tokenizer

__all__ = ["PairCheckpointMixin"]

TARGET_FOLDER = "target_tokenizer"
"""Where the target's tokenizer lies in a checkpoint; it is left out where one tokenizer serves both sides."""


class PairCheckpointMixin(TextCheckpointMixin):
    """What `EquiForSeq2SeqLM` adds to `TextCheckpointMixin`: the target's tokenizer."""

    _target_tokenizer: Any = None

    @property
    def target_tokenizer(self) -> Any:
        """The tokenizer of what the model writes: that of what it reads, unless another was given.

        Raises:
            ConfigurationError: If the checkpoint had none; on setting one that disagrees with the stored permutation.
        """
        if self._target_tokenizer is not None:
            return self._target_tokenizer
        if self.config.target_tokenizer_fingerprint not in (None, self.config.tokenizer_fingerprint):
            raise ConfigurationError(
                "This model was saved without its target's tokenizer. Set it: model.target_tokenizer = "
                "AutoTokenizer.from_pretrained(...)"
            )
        return self.tokenizer

    @target_tokenizer.setter
    def target_tokenizer(self, tokenizer: Any) -> None:
        name = getattr(tokenizer, "name_or_path", "") or "the call"
        check_tokenizer(tokenizer, self.config.target_tokenizer_fingerprint, name)
        self._target_tokenizer = tokenizer

    def _save_companions(self, folder: Path) -> None:
        super()._save_companions(folder)
        if self._target_tokenizer is not None and self._target_tokenizer is not self._tokenizer:
            self._target_tokenizer.save_pretrained(folder / TARGET_FOLDER)

    def _check_unchanged(self) -> None:
        super()._check_unchanged()
        if self._target_tokenizer is not None:
            expected = self.config.target_tokenizer_fingerprint
            check_tokenizer(self._target_tokenizer, expected, "this model's target, changed since,")

    @classmethod
    def _load_companions(cls, path: Any, config: Any, hub: dict[str, Any]) -> dict[str, Any]:
        found = super()._load_companions(path, config, hub)
        inside = "/".join(filter(None, [hub.get("subfolder"), TARGET_FOLDER]))
        target = load_tokenizer(path, {**hub, "subfolder": inside})
        if target is not None:
            check_tokenizer(target, config.target_tokenizer_fingerprint, f"{path}/{TARGET_FOLDER}")
        one_for_both = config.target_tokenizer_fingerprint in (None, config.tokenizer_fingerprint)
        writer = found["_tokenizer"] if target is None and one_for_both else target
        if writer is not None:
            check_map(config, config.map_names[1], writer, str(path))
        return {**found, "_target_tokenizer": target}
