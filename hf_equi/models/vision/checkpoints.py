"""How a wrapped model of images is saved and loaded: with its processor, if it has one."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, ClassVar

from hf_equi.bases.compat import find_file
from hf_equi.bases.loading import without_question
from hf_equi.errors import ConfigurationError, HfEquiWarning
from hf_equi.models.hub.checkpoints import CheckpointMixin
from hf_equi.models.vision.symmetric_processor import SymmetricImageProcessor

__all__ = ["VisionCheckpointMixin", "load_processor"]

_FILES = ("preprocessor_config.json", "processor_config.json")


class VisionCheckpointMixin(CheckpointMixin):
    """What wrapped models of images add to `PreTrainedModel` for their processor and their base."""

    processor_class: ClassVar[Any]
    """The Auto class that loads what prepares images."""
    image_processor_class: ClassVar[Any] = SymmetricImageProcessor
    """What `AutoImageProcessor` makes of a processor beside a config that does not name the processor's class."""
    base: Any
    processor: Any = None
    """What turns images (and texts) into tensors; `None` if the base came without it."""

    def _save_companions(self, folder: Path) -> None:
        """Save what turns images into tensors."""
        if self.processor is not None:
            self.processor.save_pretrained(folder)

    def _check_unchanged(self) -> None:
        """Refuse to write a checkpoint whose config was edited into that of another model."""
        model, parts = self, self.config.create_method().parts
        if any(part.has_network != hasattr(model, part.network_name) for part in parts):
            raise ConfigurationError(
                f"config.method={self.config.method!r} was set after the model was made, so its weights belong to "
                "another method. Make a new model: symmetrize(model.unwrap(), group, method)."
            )
        if model.group != self.config.read_group():  # type: ignore[attr-defined]
            raise ConfigurationError(
                "config.group was set after the model was made, but the model still uses the group it was made with. "
                "Make a new model: symmetrize(model.unwrap(), group, method)."
            )

    def fill_missing(self, missing: set[str]) -> None:
        """Copy the base into the frozen copy, if the checkpoint has none.

        Raises:
            ConfigurationError: If the checkpoint has only a part of one.
        """
        absent = {name for name in missing if name.startswith("frozen_base.")}
        if not absent:
            return
        frozen: Any = self.frozen_base  # type: ignore[attr-defined]
        if len(absent) < len(frozen.state_dict()):
            raise ConfigurationError(
                f"The checkpoint has only a part of the frozen copy of its base and lacks {min(absent)!r}: it is "
                "damaged"
            )
        frozen.load_state_dict(self.base.state_dict())
        missing -= absent

    @classmethod
    def _load_companions(cls, path: Any, config: Any, hub: dict[str, Any]) -> dict[str, Any]:
        return {"processor": load_processor(cls.processor_class, path, hub)}


def load_processor(auto_class: Any, path: Any, hub: dict[str, Any]) -> Any:
    """Load the processor beside a checkpoint; `None` if there is none, with a warning if it cannot be read."""
    known = {name: hub[name] for name in hub if name != "trust_remote_code"}
    try:
        found = [name for name in _FILES if find_file(path, name, unreachable=True, **known) is not None]
    except OSError:  # no such repository; loading the weights reports it
        return None
    if not found:
        return None
    try:
        return auto_class.from_pretrained(path, **without_question(hub))
    except Exception as error:  # any kind: libraries raise anything for a damaged file
        warnings.warn(
            f"The processor of {path} ({', '.join(found)}) cannot be loaded, so the model has none: {error}. Set it: "
            "model.processor = ...",
            HfEquiWarning,
            stacklevel=2,
        )
        return None
