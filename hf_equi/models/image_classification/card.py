"""The card of EquiForImageClassification."""

from __future__ import annotations

from typing import Any

from hf_equi.models.cards.measuring import Probe
from hf_equi.models.vision.card import IMAGE, ImageCard
from hf_equi.models.vision.probes import image_probe

__all__ = ["ImageClassifierCard"]


class ImageClassifierCard(ImageCard):
    """The card of an EquiForImageClassification."""

    pipeline_tag = "image-classification"
    what = "An image classifier that does not care how an image is turned or mirrored"
    use = (
        "Classifying images that have no right way up, as those from above or under a microscope. Not for anything "
        "that its base is not fit for."
    )

    def probe(self, model: Any) -> Probe:
        """Random images."""
        return image_probe(model)

    def usage(self, model: Any, place: str) -> str:
        """The class of an image."""
        asked = f'**model.processor(images={IMAGE}, return_tensors="pt")'
        return "\n".join(
            [
                self.imports(model),
                "from transformers import AutoModelForImageClassification",
                f"model = AutoModelForImageClassification.from_pretrained({place})",
                f"print(model({self.pixels(model) if model.processor is None else asked}).logits.argmax(-1))",
            ]
        )
