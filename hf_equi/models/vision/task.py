"""What image tasks have in common: symmetries of the plane act on the images, and a processor prepares them."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from hf_equi.canonicalization import LearnedMember
from hf_equi.canonicalization.fitting import check_settings, fitted
from hf_equi.errors import ConfigurationError
from hf_equi.groups import ContinuousGroup
from hf_equi.models.configuration_canonicalized import CANONICAL_SETTINGS
from hf_equi.models.processors import load_processor
from hf_equi.models.task import Request, Task
from hf_equi.models.unread_settings import refuse_unread
from hf_equi.models.vision.image_actions import IMAGE_GROUPS, image_action
from hf_equi.models.vision.probing import image_shape
from hf_equi.symmetrizers import Method

__all__ = ["PIXEL_SETTINGS", "SETTINGS", "VisionTask"]

PIXEL_SETTINGS = (
    "level",
    "padding",
    "orbit_chunk_size",
    "lambda_units",
    "lambda_dropout",
    "task_weight",
    *CANONICAL_SETTINGS,
)
"""The config entries that all image tasks have."""
SETTINGS = (*PIXEL_SETTINGS, "lambda_features", "objective")
"""Those of tasks whose bases are cut before their head."""


class VisionTask(Task):
    """A kind of model of images that `symmetrize` wraps."""

    group_class: ClassVar[Any] = IMAGE_GROUPS
    group_example = "hf_equi.ImageGroup.rotations(4) or ImageGroup.dihedral(4)"
    companions: ClassVar[tuple[str, ...]] = ("processor", "canonicalizer")

    def prepare(self, name: str | None, given: dict[str, Any], hub: dict[str, Any]) -> Any:
        """Return the processor: the given one, or the one beside the weights, or `None`.

        Raises:
            ConfigurationError: If the given one is not a processor.
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
        """Refuse, before weights are loaded, a request that could not run.

        Raises:
            ActionError: If the group does not act on the images, as far as the base's config gives their size; if a
                group resamples but kornia is missing.
            ConfigurationError: For settings that the method does not read; for a canonicalizer that does not fit.
        """
        given, group = set(request.settings), request.group
        refuse_unread(given, method, request.method)
        action: Any = image_action(group, request.settings.get("padding", "reflect"))
        continuous = isinstance(group, ContinuousGroup)
        empty = torch.empty(image_shape(request.base_config), device="cpu" if continuous else "meta")
        action.apply(group.identity, empty)  # checks the shape
        if continuous or not group.exact:
            action.apply(group.exp(torch.ones(1)) if continuous else 1, torch.zeros(1, 8, 8))  # that resampling works
        found = None
        if "canonicalizer" in given:
            found = fitted(request.settings["canonicalizer"], action, image_shape(request.base_config))
            found.check_base(self.model_class, request.base_config)
        if isinstance(method.select, LearnedMember):
            check_settings(found, request.settings)
