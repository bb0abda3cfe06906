"""What the tasks of images have in common: the plane's symmetries act on them, and a processor prepares them."""

from __future__ import annotations

from typing import Any, ClassVar

from hf_equi.groups import FiniteGroup, ImageGroup
from hf_equi.models.task import Task
from hf_equi.models.vision.checkpoints import load_processor

__all__ = ["SETTINGS", "VisionTask"]

SETTINGS = (
    "level",
    "padding",
    "orbit_chunk_size",
    "lambda_units",
    "lambda_dropout",
    "lambda_features",
    "objective",
)
"""The entries of a config that all tasks of images have."""


class VisionTask(Task):
    """A kind of model of images that `symmetrize` wraps."""

    group_class: ClassVar[type[FiniteGroup]] = ImageGroup
    group_example = "hf_equi.ImageGroup.rotations(4) or ImageGroup.dihedral(4)"
    processor_class: ClassVar[Any]
    """The Auto class that loads what prepares images."""

    def prepare(self, name: str | None, given: dict[str, Any], hub: dict[str, Any]) -> Any:
        """The processor: the one given, or the one beside the weights, or none."""
        if "processor" in given or name is None:
            return given.get("processor")
        return load_processor(self.processor_class, name, hub)
