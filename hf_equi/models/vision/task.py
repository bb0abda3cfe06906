"""What the tasks of images have in common: the plane's symmetries act on them, and a processor prepares them."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from hf_equi.actions import PixelAction
from hf_equi.errors import ConfigurationError
from hf_equi.groups import FiniteGroup, ImageGroup
from hf_equi.models.task import Request, Task
from hf_equi.models.vision.checkpoints import load_processor
from hf_equi.models.vision.probing import image_shape
from hf_equi.symmetrizers import Method

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
    companions: ClassVar[tuple[str, ...]] = ("processor",)

    def prepare(self, name: str | None, given: dict[str, Any], hub: dict[str, Any]) -> Any:
        """The processor: the one given, or the one beside the weights, or none.

        Raises:
            ConfigurationError: For one that is none.
        """
        processor = given.get("processor")
        if processor is not None and not (callable(processor) and hasattr(processor, "save_pretrained")):
            raise ConfigurationError(
                f"processor={processor!r} is not a processor of transformers: pass "
                f"{self.model_class.processor_class.__name__}.from_pretrained(...)"
            )
        if processor is not None or name is None:
            return processor
        return load_processor(self.model_class.processor_class, name, hub)

    def check_request(self, request: Request, method: Method) -> None:
        """Refuse, before weights are loaded, what could not run.

        Raises:
            ActionError: For images that the group does not act on, as far as the base's config tells their size; for
                a group that resamples where kornia is missing.
            ConfigurationError: For settings that the method does not read.
        """
        given, group = set(request.settings), request.group
        unread = set() if method.feature_weights is not None else given & _OF_WEIGHTS
        unread |= set() if method.takes_best else given & _OF_CHOICE
        if unread:
            raise ConfigurationError(
                f"{', '.join(sorted(unread))}: the method {request.method!r} has no use for them. Settings of weights "
                "go with 'lambda' and 'attention', those of a choice with 'equizero'."
            )
        action = PixelAction(group)
        action.apply(0, torch.empty(image_shape(request.base_config), device="meta"))  # checks the shape
        if not group.exact:
            action.apply(1, torch.zeros(1, 8, 8))  # checks that there is something to resample with


_OF_WEIGHTS = {"lambda_units", "lambda_dropout", "lambda_features"}
_OF_CHOICE = {"loss", "selection"}
