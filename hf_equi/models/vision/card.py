"""The parts that the cards of all image models share."""

from __future__ import annotations

from typing import Any, ClassVar

from hf_equi.canonicalization import LearnedMember
from hf_equi.canonicalization.base import is_complete
from hf_equi.groups import ContinuousGroup
from hf_equi.models.cards.kinds import CardKind
from hf_equi.models.configuration_canonicalized import CANONICAL_SETTINGS
from hf_equi.models.unread_settings import unread_settings
from hf_equi.models.vision.probing import image_shape
from hf_equi.models.vision.symmetric_processor import is_symmetric

__all__ = ["IMAGE", "ImageCard"]

IMAGE = 'Image.new("RGB", (256, 256))'
"""A stand-in for an image of the reader."""

_FROM_PICTURES = (
    "**From pictures on.** The processor resizes and crops in a way that commutes with quarter turns and mirrors, to "
    "the bit. A picture that is turned and then saved as JPEG again has different pixels."
)
_FROM_PIXELS = (
    "**From pixels on.** The model is symmetric in the pixels that it is given. The usual processors are not "
    "symmetric. They round to bytes after each of the two passes of a resize, and may crop half a pixel off the "
    "middle. So a turned picture gives slightly different pixels. `model.processor = "
    "hf_equi.symmetric_processor(model.processor)` is exact."
)
_WEIGHTS = ("lambda_units", "lambda_dropout", "lambda_features")
_CANONICAL = ("task_weight", *CANONICAL_SETTINGS)
_OF_SCORES = ("temperature", "relaxation")


class ImageCard(CardKind):
    """The parts that the cards of all image models share."""

    settings: ClassVar[tuple[str, ...]] = (
        "level",
        "padding",
        *_WEIGHTS,
        "loss",
        "selection",
        "confidence",
        "objective",
        *_CANONICAL,
    )

    stays: ClassVar[str] = "the output stays the same{about}: $M_G(gx) = M_G(x)$"
    """What the output does if an image is moved; `{about}` says how exactly."""
    loses: ClassVar[str] = (
        "**No direction is left.** This model cannot tell an image from its turned copy, such as a six from a nine."
    )
    """What such a model cannot do."""
    counted: ClassVar[str] = "distinct member of an orbit"
    """What the base reads once."""

    def config_settings(self, model: Any) -> dict[str, Any]:
        """The settings that the method and the group use."""
        method, found = model.method, super().config_settings(model)
        unread = unread_settings(method)
        unread |= {"padding"} if not model.action.resamples else set()
        unread |= set(_OF_SCORES) if isinstance(model.group, ContinuousGroup) else set()
        if isinstance(method.select, LearnedMember):
            found["canonicalizer"] = type(method.select.network).__name__
            unread |= set() if method.select.needs_training else {"prior_weight", *_OF_SCORES}
            unread -= {"canonicalizer"}
        return {name: value for name, value in found.items() if name not in unread}

    def group_tags(self, model: Any) -> list[str]:
        """A tag such as `rotations-4`."""
        group = model.group
        if isinstance(group, ContinuousGroup):
            return [type(group).__name__.lower()]
        return ["-".join(str(part) for part in (group.kind, group.n, group.axes) if part is not None)]

    def group_text(self, model: Any) -> str:
        """The motions of the image plane."""
        group = model.group
        if isinstance(group, ContinuousGroup):
            mirrors = ", and their products with a mirror at the vertical axis" if group.mirrors else ""
            return f"`{group!r}`: the rotations by all angles{mirrors}."
        return (
            f"`{group!r}`, {group.order} elements: {', '.join(group.names)}. Angles are counter-clockwise. Mirrored "
            "elements mirror left-right first."
        )

    def guarantee(self, model: Any) -> str:
        """The guarantee of the method and the group."""
        if (claim := self.method(model).claim) is not None:
            return claim
        about = "" if not model.action.resamples else ", up to what resampling an image changes"
        return f"Move an image by an element of the group, and {self.stays.format(about=about)}."

    def limits(self, model: Any) -> list[str]:
        """The limits of the method and the group."""
        found = [_FROM_PICTURES if is_symmetric(model.processor) else _FROM_PIXELS]
        if model.action.resamples:
            found.append(
                "**Resampling.** Rotations by angles other than multiples of 90° resample the image and make up its "
                "corners, so the symmetry is approximate."
            )
        if model.method.takes_best:
            found.append(
                "**A choice.** The symmetry is exact unless the best two members of an orbit have the same loss, to "
                "within rounding. Then the two sides may choose different members. The output holds the margin "
                "between the two."
            )
        if isinstance(model.method.select, LearnedMember):
            network = model.method.select.network
            found += [] if network.limit is None else [network.limit]
            if not is_complete(network.to_dict()):
                found.append(
                    "**A canonicalizer of its own.** Its weights are here, but not its code: make it and pass it, "
                    "`from_pretrained(..., canonicalizer=...)`."
                )
        return [
            *found,
            *self.method(model).limits,
            self.loses,
            "**The base is the base.** What it confuses, and whom it serves worse, is unchanged. The model costs "
            + self._cost(model),
        ]

    def imports(self, model: Any) -> str:
        """The imports of the usage example."""
        return "import torch" if model.processor is None else "from PIL import Image"

    def pixels(self, model: Any) -> str:
        """Code for random images in the shape that the base takes."""
        return f"torch.rand(1, {', '.join(map(str, image_shape(model.config.base_config)))})"

    def _cost(self, model: Any) -> str:
        """The cost of a call in words."""
        select = model.method.select
        each = "" if model.method.selects_one else f" for each {self.counted}"
        parts = [f"one forward pass of the base{each}"]
        if isinstance(select, LearnedMember):
            count = len(select.theta_in(model.group))
            passes = "one forward pass" if count == 1 else f"{count} forward passes"
            parts = [f"{passes} of the base, and {select.network.cost}"]
        if hasattr(model, "frozen_base"):
            parts.append("The frozen copy of the base reads what the base reads")
        return ". ".join(parts) + "."
