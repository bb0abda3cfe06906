"""The cut after the last layer, for families whose layers are unknown."""

from __future__ import annotations

from typing import Any

import torch
from transformers import PreTrainedModel

from hf_equi.models.vision.cuts import Cut, taken_by

__all__ = ["LogitsCut"]


class LogitsCut(Cut):
    """Uses the logits of any image classifier as its features.

    Example:
        >>> LogitsCut().has_maps
        False
    """

    def features(self, base: PreTrainedModel, pixel_values: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        """Return the logits, `(R, classes)`."""
        known = taken_by(type(base).forward, {**kwargs, "return_dict": True})
        out: Any = base(pixel_values=pixel_values, **known)
        logits: torch.Tensor = out[0] if isinstance(out, tuple) else dict(out)["logits"]
        return logits

    def head(self, base: PreTrainedModel, features: torch.Tensor) -> torch.Tensor:
        """The features themselves."""
        return features
