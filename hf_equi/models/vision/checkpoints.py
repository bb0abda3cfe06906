"""How a wrapped model of images is saved and loaded: with its processor, if it has one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from hf_equi.errors import ConfigurationError
from hf_equi.models.hub.checkpoints import CheckpointMixin
from hf_equi.models.processors import load_processor
from hf_equi.models.vision.symmetric_processor import SymmetricImageProcessor

__all__ = ["VisionCheckpointMixin"]


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
