"""The check whether a model is an image classifier."""

from __future__ import annotations

from transformers import PreTrainedModel

from hf_equi.bases.signatures import parameters
from hf_equi.errors import UnsupportedModelError

__all__ = ["check_classifier"]


def check_classifier(base: PreTrainedModel | type[PreTrainedModel]) -> None:
    """Refuse a base that does not turn images into classes.

    Raises:
        UnsupportedModelError: For such a base.
    """
    kind = base if isinstance(base, type) else type(base)
    if "pixel_values" not in parameters(kind.forward):
        raise UnsupportedModelError(
            f"{kind.__name__} takes no pixel_values, so it is not an image classifier: load one with "
            "AutoModelForImageClassification"
        )
