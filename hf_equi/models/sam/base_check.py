"""The check whether a model segments images by prompts."""

from __future__ import annotations

from transformers import PreTrainedModel

from hf_equi.bases.signatures import parameters
from hf_equi.errors import UnsupportedModelError

__all__ = ["check_sam", "is_video_model"]

_NEEDED = ("pixel_values", "input_points", "input_boxes", "input_masks", "image_embeddings", "multimask_output")


def is_video_model(kind: type[PreTrainedModel]) -> bool:
    """Return whether a model follows objects through a video."""
    return "inference_session" in parameters(kind.forward)


def check_sam(base: PreTrainedModel | type[PreTrainedModel]) -> None:
    """Refuse a base that does not segment images by prompts.

    Raises:
        UnsupportedModelError: For such a base.
    """
    kind = base if isinstance(base, type) else type(base)
    if is_video_model(kind):
        raise UnsupportedModelError(
            f"{kind.__name__} follows objects through videos, and what it remembers of frames does not move: load the "
            "model for images of the same checkpoint, with AutoModelForMaskGeneration"
        )
    taken = parameters(kind.forward)
    if missing := [name for name in _NEEDED if name not in taken]:
        raise UnsupportedModelError(
            f"{kind.__name__} takes no {', '.join(missing)}, so it does not segment by prompts as SAM does: load one "
            "with AutoModelForMaskGeneration"
        )
