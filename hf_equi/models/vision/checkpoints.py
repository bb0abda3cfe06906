"""Saving and loading a wrapped model of images: with its processor, where there is one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from hf_equi.models.checkpoints import CheckpointMixin

__all__ = ["VisionCheckpointMixin", "load_processor"]


class VisionCheckpointMixin(CheckpointMixin):
    """What wrapped models of images add to `PreTrainedModel` for their processor and their base."""

    processor_class: ClassVar[Any]
    """The Auto class that loads what prepares images."""
    processor: Any = None
    """What turns images (and texts) into tensors, or `None` for a base that came without."""

    def _save_companions(self, folder: Path) -> None:
        """Save what turns images into tensors."""
        if self.processor is not None:
            self.processor.save_pretrained(folder)

    @classmethod
    def _load_companions(cls, path: Any, config: Any, hub: dict[str, Any]) -> dict[str, Any]:
        return {"processor": load_processor(cls.processor_class, path, hub)}


def load_processor(auto_class: Any, path: Any, hub: dict[str, Any]) -> Any:
    """The processor beside a checkpoint, or `None`."""
    try:
        return auto_class.from_pretrained(path, **hub)
    except (OSError, ValueError, KeyError, ImportError):
        return None
