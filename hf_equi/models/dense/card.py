"""The cards of EquiForDensePrediction, one for each kind of output."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from hf_equi.models.cards.measuring import Probe
from hf_equi.models.cards.random_inputs import seeded
from hf_equi.models.vision.card import IMAGE, ImageCard
from hf_equi.models.vision.probing import image_shape

__all__ = ["CARDS", "DenseCard", "DepthCard", "KeyPointCard", "SegmentationCard"]

_IMAGES = 2


class DenseCard(ImageCard):
    """The part that the cards of all kinds of output share."""

    settings: ClassVar[tuple[str, ...]] = ("predicts", *ImageCard.settings, "flip_pairs")
    stays: ClassVar[str] = "the output moves with it{about}: $M_G(gx) = g M_G(x)$, pixel by pixel"
    loses: ClassVar[str] = (
        "**Up and down are alike.** This model cannot use which way up an image is, such as that the sky is above."
    )
    counted: ClassVar[str] = "element of the group"
    answer: ClassVar[str]
    """The part of an output that the usage example prints."""
    said: ClassVar[str]
    """The measured outputs in words."""

    def probe(self, model: Any) -> Probe:
        """Random images."""
        weight = next(weight for weight in model.base.parameters() if weight.is_floating_point())
        shape = image_shape(model.config.base_config)
        pixels = torch.randn(_IMAGES, *shape, generator=seeded()).to(weight.device, weight.dtype)
        kind = model.config.kind

        def run(asked: Any, images: torch.Tensor) -> torch.Tensor:
            return self.measured(kind.maps(asked(pixel_values=images)).float())

        size = "×".join(map(str, shape[1:]))
        described = f"{_IMAGES} images of {size} random pixels"
        exact = not model.action.resamples
        return Probe(pixels, model.action, model.output_action, run, described, self.said, exact=exact)

    def measured(self, maps: torch.Tensor) -> torch.Tensor:
        """Return what is compared of output maps, `(B, C, h, w)`."""
        return maps

    def usage(self, model: Any, place: str) -> str:
        """Code that prints the answer for an image."""
        loader = model.auto_class_of(model.config).__name__
        asked = f'**model.processor(images={IMAGE}, return_tensors="pt")'
        return "\n".join(
            [
                self.imports(model),
                f"from transformers import {loader}",
                f"model = {loader}.from_pretrained({place})",
                f"print(model({self.pixels(model) if model.processor is None else asked}).{self.answer})",
            ]
        )


class SegmentationCard(DenseCard):
    """The card of a model that segments images."""

    pipeline_tag = "image-segmentation"
    what = "A segmentation model whose classes turn with the picture"
    use = (
        "Use it to segment images that have no right way up, such as images from above or under a microscope. Do not "
        "use it for anything that its base is not fit for."
    )
    answer = "logits.argmax(1)"
    said = "log-probabilities"

    def measured(self, maps: torch.Tensor) -> torch.Tensor:
        """Return log-probabilities; the logits themselves of a single class."""
        return maps.log_softmax(1) if maps.shape[1] > 1 else maps


class DepthCard(DenseCard):
    """The card of a model that estimates depth."""

    pipeline_tag = "depth-estimation"
    what = "A depth estimator whose depths turn with the picture"
    use = (
        "Use it for images from a camera that may be turned. Do not use it for anything that its base is not fit for."
    )
    answer = "predicted_depth"
    said = "depths"


class KeyPointCard(DenseCard):
    """The card of a model that finds key points."""

    pipeline_tag = "keypoint-detection"
    what = "A key point detector whose points turn with the picture"
    use = (
        "Use it to find key points in images that may be turned or mirrored. Do not use it for anything that its base "
        "is not fit for."
    )
    answer = "heatmaps.flatten(2).argmax(2)"
    said = "heat maps"


CARDS: dict[str, DenseCard] = {
    "segmentation": SegmentationCard(),
    "depth": DepthCard(),
    "key_points": KeyPointCard(),
}
"""The cards by what models predict."""
