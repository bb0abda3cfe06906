"""How a model with a tokenizer for its source and one for its target is saved and loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hf_equi.errors import ConfigurationError
from hf_equi.models.text.checkpoints import TextCheckpointMixin, check_map, check_side, load_tokenizer
from hf_equi.models.text.fingerprint import cut_fingerprint

__all__ = ["PairCheckpointMixin"]

TARGET_FOLDER = "target_tokenizer"
"""The folder of the target's tokenizer in a checkpoint; it is absent if one tokenizer serves both sides."""


class PairCheckpointMixin(TextCheckpointMixin):
    """What `EquiForSeq2SeqLM` adds to `TextCheckpointMixin`: the target's tokenizer."""

    _target_tokenizer: Any = None

    @property
    def target_tokenizer(self) -> Any:
        """The tokenizer of the target: that of the source, unless another one was given.

        Raises:
            ConfigurationError: If the checkpoint had none; if one is set that disagrees with the stored permutation.
        """
        if self._target_tokenizer is not None:
            return self._target_tokenizer
        if not _serves_both(self.config):
            raise ConfigurationError(
                "This model was saved without its target's tokenizer. Set it: model.target_tokenizer = "
                "AutoTokenizer.from_pretrained(...)"
            )
        return self.tokenizer

    @target_tokenizer.setter
    def target_tokenizer(self, tokenizer: Any) -> None:
        check_side(self.config, tokenizer, getattr(tokenizer, "name_or_path", "") or "the call", "target_")
        self._target_tokenizer = tokenizer

    @classmethod
    def _check_reader(cls, config: Any, tokenizer: Any, source: str, sealed: bool = False) -> None:
        super()._check_reader(config, tokenizer, source, sealed)
        if _serves_both(config):
            check_map(config, config.map_names[1], tokenizer, source)

    def _save_companions(self, folder: Path) -> None:
        super()._save_companions(folder)
        if self._target_tokenizer is not None and self._target_tokenizer is not self._tokenizer:
            self._target_tokenizer.save_pretrained(folder / TARGET_FOLDER)

    def _check_unchanged(self) -> None:
        super()._check_unchanged()
        if self._target_tokenizer is not None:
            check_side(self.config, self._target_tokenizer, "this model's target, changed since,", "target_")

    def _update_config(self) -> None:
        own = (
            self._tokenizer if self._target_tokenizer is None and _serves_both(self.config) else self._target_tokenizer
        )
        if own is not None and self.config.target_tokenizer_cut_fingerprint is None:  # a config of hf_equi 0.1
            self.config.target_tokenizer_cut_fingerprint = cut_fingerprint(own)
        super()._update_config()  # last, because the entries tell whether one tokenizer serves both sides

    @classmethod
    def _load_companions(cls, path: Any, config: Any, hub: dict[str, Any]) -> dict[str, Any]:
        found = super()._load_companions(path, config, hub)
        inside = "/".join(filter(None, [hub.get("subfolder"), TARGET_FOLDER]))
        target = load_tokenizer(path, {**hub, "subfolder": inside})
        if target is not None:
            check_side(config, target, f"{path}/{TARGET_FOLDER}", "target_")
        return {**found, "_target_tokenizer": target}


def _serves_both(config: Any) -> bool:
    """Return whether one tokenizer serves source and target."""
    target = (config.target_tokenizer_fingerprint, config.target_tokenizer_cut_fingerprint)
    return target[0] is None or target == (config.tokenizer_fingerprint, config.tokenizer_cut_fingerprint)
