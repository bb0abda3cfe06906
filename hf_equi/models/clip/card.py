"""The cards of EquiCLIPModel and EquiSiglipModel."""

from __future__ import annotations

from typing import Any

from hf_equi.models.cards.measuring import Probe
from hf_equi.models.cards.random_inputs import random_ids
from hf_equi.models.vision.card import IMAGE, ImageCard
from hf_equi.models.vision.probes import image_probe

__all__ = ["CLIPCard", "SiglipCard"]


class CLIPCard(ImageCard):
    """The card of an EquiCLIPModel."""

    text_padding = "True"
    """The padding argument of the processor, as code."""
    pipeline_tag = "zero-shot-image-classification"
    what = "A model that compares images with texts and does not care how an image is turned or mirrored"
    use = (
        "Use it to find the text that fits an image, or the image that fits a text, where images have no right way "
        "up. Do not use it to tell people apart, or for anything that its base is not fit for."
    )

    def probe(self, model: Any) -> Probe:
        """Random images and texts."""
        texts = model.config.base_config.text_config
        return image_probe(model, random_ids(3, 8, texts.vocab_size))

    def usage(self, model: Any, place: str) -> str:
        """Code that prints the text that fits an image."""
        texts = 'text=["a photo of a cat", "a photo of a dog"]'
        asked = f'**model.processor({texts}, images={IMAGE}, padding={self.text_padding}, return_tensors="pt")'
        if model.processor is None:
            asked = f"input_ids=torch.tensor([[1, 2, 3], [1, 4, 3]]), pixel_values={self.pixels(model)}"
        return "\n".join(
            [
                self.imports(model),
                "from transformers import AutoModelForZeroShotImageClassification",
                f"model = AutoModelForZeroShotImageClassification.from_pretrained({place})",
                f"print(model({asked}).logits_per_image.argmax(-1))",
            ]
        )


class SiglipCard(CLIPCard):
    """The card of an EquiSiglipModel, whose base learnt from texts of one length."""

    text_padding = '"max_length"'
