"""The cards of EquiForImageClassification and EquiImageModel."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import torch

from hf_equi.models.cards.measuring import Probe
from hf_equi.models.vision.card import IMAGE, ImageCard
from hf_equi.models.vision.probes import image_probe

__all__ = ["ImageClassifierCard", "ImageFeaturesCard"]


class ImageClassifierCard(ImageCard):
    """The card of an EquiForImageClassification."""

    pipeline_tag = "image-classification"
    what = "An image classifier that does not care how an image is turned or mirrored"
    use = (
        "Use it to classify images that have no right way up, such as images from above or under a microscope. Do "
        "not use it for anything that its base is not fit for."
    )

    loader: ClassVar[str] = "AutoModelForImageClassification"
    answer: ClassVar[str] = "logits.argmax(-1)"
    """The part of an output that the usage example prints."""

    def probe(self, model: Any) -> Probe:
        """Random images."""
        return image_probe(model)

    def usage(self, model: Any, place: str) -> str:
        """Code that prints the answer for an image."""
        asked = f'**model.processor(images={IMAGE}, return_tensors="pt")'
        return "\n".join(
            [
                self.imports(model),
                f"from transformers import {self.loader}",
                f"model = {self.loader}.from_pretrained({place})",
                f"print(model({self.pixels(model) if model.processor is None else asked}).{self.answer})",
            ]
        )


class ImageFeaturesCard(ImageClassifierCard):
    """The card of an EquiImageModel."""

    pipeline_tag = "image-feature-extraction"
    what = "A model that gives features of images that stay the same however an image is turned or mirrored"
    use = (
        "Use it to compare images that have no right way up, and to train on their features. Do not use it for "
        "anything that its base is not fit for."
    )
    loader = "AutoModel"
    answer = "pooler_output"

    def probe(self, model: Any) -> Probe:
        """Random images, measured by their features."""

        def run(asked: Any, images: torch.Tensor) -> torch.Tensor:
            # The base has features too, after its body; its own output is logits.
            features: torch.Tensor = model._cut.features(asked, images) if asked is model.base else asked(images)[0]
            return features.float()

        return replace(image_probe(model), run=run, said="features")
