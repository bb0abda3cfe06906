"""The card of EquiSamModel."""

from __future__ import annotations

from typing import Any

import torch

from hf_equi.models.cards.measuring import Probe
from hf_equi.models.cards.random_inputs import seeded
from hf_equi.models.vision.card import IMAGE, ImageCard
from hf_equi.models.vision.probing import image_shape

__all__ = ["SamCard"]

_PROMPTS = (
    "**Prompts.** Coordinates count pixels of the processed image, whose middles the base reads. Turn them about the "
    "middle of the image: a left-right mirror takes x to S − 1 − x, for S pixels."
)
_PADDING = (
    "**Padding.** A processor that pads pictures right and below pads a turned picture elsewhere. Such pictures are "
    "refused. Make them square first, `hf_equi.square_picture(picture)`."
)


class SamCard(ImageCard):
    """The card of an EquiSamModel."""

    pipeline_tag = "mask-generation"
    what = "A model that segments what prompts point at, and whose masks turn with the image"
    use = (
        "Use it to segment images that have no right way up, such as images from above or under a microscope. Do not "
        "use it for anything that its base is not fit for."
    )

    def probe(self, model: Any) -> Probe:
        """A random image, and a point in its middle, which no element moves."""
        weight = next(weight for weight in model.base.parameters() if weight.is_floating_point())
        shape = image_shape(model.config.base_config)
        pixels = torch.randn(1, *shape, generator=seeded()).to(weight.device, weight.dtype)
        point = torch.full((1, 1, 1, 2), (shape[-1] - 1) / 2, device=weight.device)

        def run(asked: Any, images: torch.Tensor) -> torch.Tensor:
            masks: torch.Tensor = asked(pixel_values=images, input_points=point.expand(len(images), -1, -1, -1))[
                "pred_masks"
            ]
            return masks.flatten(1, 2).float()

        size = "×".join(map(str, shape[1:]))
        described = f"an image of {size} random pixels and a point in its middle"
        exact = not model.action.resamples
        return Probe(pixels, model.action, model.action, run, described, "logits of masks", exact=exact)

    def guarantee(self, model: Any) -> str:
        """Masks move."""
        about = "" if not model.action.resamples else ", up to what resampling an image changes"
        return (
            f"Move an image and its prompts by an element of the group, and the masks move in the same way{about}, "
            "while the predicted overlaps stay: $M_G(gx, gp) = g M_G(x, p)$."
        )

    def limits(self, model: Any) -> list[str]:
        """The limits of the method, the group and the prompts."""
        without = "**No direction is left.**"
        found = [text for text in super().limits(model) if not text.startswith(without)]
        return [found[0], _PROMPTS, _PADDING, *found[1:]]

    def usage(self, model: Any, place: str) -> str:
        """Code that segments what a point lies on."""
        imports = "import torch" if model.processor is None else "from PIL import Image"
        asked = f'**model.processor({IMAGE}, input_points=[[[100, 80]]], return_tensors="pt")'
        if model.processor is None:
            asked = f"{self.pixels(model)}, input_points=torch.tensor([[[[10.0, 8.0]]]])"
        return "\n".join(
            [
                imports,
                "from transformers import AutoModelForMaskGeneration",
                f"model = AutoModelForMaskGeneration.from_pretrained({place})",
                f"out = model({asked})",
                "print(out.pred_masks.shape, out.iou_scores)",
            ]
        )
