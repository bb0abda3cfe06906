r"""How models that compare images with texts turn features into logits.

$$ \ell(x, t) = s \Big\langle \frac{f(x)}{\lVert f(x) \rVert}, \frac{h(t)}{\lVert h(t) \rVert} \Big\rangle + b $$

with $s = e^{\text{logit scale}}$ (CLIP, Chinese-CLIP, SigLIP) or $s = 1 / \text{temperature}$ (ALIGN), and a bias $b$
only for SigLIP.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from hf_equi.bases.offloading import tensor_of
from hf_equi.errors import ConfigurationError

__all__ = ["similarity"]


def similarity(base: Any, image_features: Tensor, text_features: Tensor) -> Tensor:
    """Return how well images and texts agree: scaled cosines, the base's `logits_per_image`.

    Args:
        base: A model that compares images with texts.
        image_features: `(..., D)`.
        text_features: `(T, D)`.

    Returns:
        Logits, `(..., T)`.

    Raises:
        ConfigurationError: If features have different sizes, or the model's scale is not known.
    """
    sizes = image_features.shape[-1], text_features.shape[-1]
    if sizes[0] != sizes[1]:
        raise ConfigurationError(
            f"Features of images and of texts must have the same size; received {sizes[0]} numbers for an image "
            f"and {sizes[1]} for a text. Take both from this {type(base).__name__}: get_orbit_features and "
            "get_text_features."
        )
    images = image_features / image_features.norm(dim=-1, keepdim=True)
    texts = text_features / text_features.norm(dim=-1, keepdim=True)
    return _scaled(base, images @ texts.to(images.device, images.dtype).mT)


def _scaled(base: Any, cosines: Tensor) -> Tensor:
    """Return logits of cosines."""
    if hasattr(base, "temperature"):
        temperature: Tensor = tensor_of(base, "temperature").to(cosines.device)
        return cosines / temperature
    if not hasattr(base, "logit_scale"):
        raise ConfigurationError(
            f"A {type(base).__name__} has neither a logit_scale nor a temperature, so it is not known how it turns "
            "cosines into logits: use a model of CLIP, Chinese-CLIP, SigLIP or ALIGN"
        )
    scale: Tensor = tensor_of(base, "logit_scale").exp().to(cosines.device)
    scaled = cosines * scale
    if hasattr(base, "logit_bias"):
        bias: Tensor = tensor_of(base, "logit_bias").to(cosines.device)
        return scaled + bias
    return scaled
