"""Image processors that commute with quarter turns and mirrors, so that a model is exact starting from pictures."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from typing import Any, ClassVar

import numpy as np
import torch
import transformers
from transformers.image_processing_backends import PilBackend
from transformers.image_processing_utils import BaseImageProcessor
from transformers.image_transforms import get_resize_output_image_size, get_size_with_aspect_ratio
from transformers.image_utils import ChannelDimension, SizeDict, get_image_size_for_max_height_width

from hf_equi.checks import check_choice
from hf_equi.errors import ConfigurationError, UnsupportedModelError
from hf_equi.groups import ImageGroup
from hf_equi.models.vision.resizing import FILTERS, resized

__all__ = ["SymmetricImageProcessor", "is_symmetric", "symmetric_processor"]

_STEPS = "steps_of"
"""The entry of a saved processor that names the class whose steps it takes."""


_BILINEAR, _BICUBIC = 2, 3


class _Resized(np.ndarray):
    """A picture that remembers its source: a crop between its pixels is taken from the picture before resizing."""

    source: np.ndarray
    method: int

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        """Make results of computations plain arrays."""
        return np.asarray(array)


class SymmetricImageProcessor(PilBackend):
    """A processor that resizes and crops by `resized`. A subclass takes all other steps from a family's processor.

    `symmetric_processor` makes one, and it is saved with the model. `AutoImageProcessor`, `AutoProcessor` and the
    pipelines load it from the folder of a symmetrised model. Elsewhere use `SymmetricImageProcessor.from_pretrained`.

    Example:
        >>> from transformers import ViTImageProcessorPil
        >>> processor = SymmetricImageProcessor(steps_of="ViTImageProcessorPil", size={"height": 16, "width": 16})
        >>> isinstance(processor, ViTImageProcessorPil)
        True
    """

    steps_of: ClassVar[str]
    """The transformers class whose steps a subclass takes."""
    square_pictures: bool = False
    """Whether it reads square pictures alone. Then it may pad on one side, because there is nothing to pad."""

    def __new__(cls, *args: Any, steps_of: str | None = None, **kwargs: Any) -> Any:
        """Make an instance of the subclass that takes the steps of that transformers class."""
        if cls is not SymmetricImageProcessor:
            return super().__new__(cls)
        if steps_of is None:
            raise ConfigurationError(
                "A SymmetricImageProcessor takes the steps of another processor, but this one names none: make it "
                "with hf_equi.symmetric_processor(processor)"
            )
        return super().__new__(_kind(steps_of))

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how to pickle it."""
        return _restored, (self.steps_of, self.__dict__)

    def resize(
        self, image: np.ndarray, size: SizeDict, resample: Any = None, reducing_gap: int | None = None, **kwargs: Any
    ) -> np.ndarray:
        """Resize a picture `(C, H, W)`, as `resized` does.

        Raises:
            ConfigurationError: For a filter that Pillow does not have; for a picture that is not square, if all are to
                be.
        """
        if self.square_pictures and image.shape[-2] != image.shape[-1]:
            raise ConfigurationError(
                f"This processor pads pictures on one side, but a picture of {image.shape[-1]} × {image.shape[-2]} "
                "that is turned would be padded elsewhere: pad it evenly first, hf_equi.square_picture(picture)"
            )
        method = _BILINEAR if resample is None else int(resample)
        check_choice("resample", method, sorted(FILTERS), " to Pillow")
        result = _resized(image, _target(image, size), None, method).view(_Resized)
        result.source, result.method = image, method
        return result

    def center_crop(self, image: np.ndarray, size: SizeDict, **kwargs: Any) -> np.ndarray:  # type: ignore[override]
        """Crop the middle, between pixels if the middle lies there; pad smaller pictures with zeros."""
        height, width = image.shape[-2:]
        odd = (height - size.height) % 2, (width - size.width) % 2
        if any(odd):
            room = max(height, size.height + odd[0]), max(width, size.width + odd[1])
            if room != (height, width):
                image = np.asarray(super().center_crop(image, SizeDict(height=room[0], width=room[1])))
            source, method = getattr(image, "source", image), getattr(image, "method", _BICUBIC)
            image = _resized(source, room, (min(room[0], size.height), min(room[1], size.width)), method)
        return np.asarray(super().center_crop(image, size))

    def to_dict(self) -> dict[str, Any]:
        """Leave out the class name, so that `AutoImageProcessor` asks the config beside it, which leads here.

        Beside the config of a plain base, the same file makes the plain processor.
        """
        entries: dict[str, Any] = super().to_dict()
        entries.pop("image_processor_type", None)
        return {**entries, _STEPS: self.steps_of}


def symmetric_processor(processor: Any, group: ImageGroup | None = None, *, square: bool = False) -> Any:
    r"""Make an image processor commute with quarter turns and mirrors, to the bit.

    $$ P(gx) = g P(x) $$

    The usual processors round to bytes after each of the two passes of a resize. If the middle lies between pixels,
    they crop half a pixel away from it. So a photo that was turned before they see it gives other pixels, and a
    symmetrised model gives other logits: for a MobileNetV2 by 0.08 to 0.15, and by 0.6 to 1.4 if the crop lies between
    pixels. This processor has the same settings and steps, but resizes and crops exactly
    (`hf_equi.models.vision.resizing`). Give it to the model, which saves it:

        model.processor = symmetric_processor(model.processor)

    Args:
        processor: An image processor, or a processor that holds one together with a tokenizer, such as that of a CLIP
            model.
        group: The group that it must commute with; by default quarter turns and mirrors, which need square pictures.
            If the group has only flips, `size` may have different height and width.
        square: Whether all pictures are square, which `square_picture` makes them. Then a processor may pad on one
            side, as that of SAM does, and refuses other pictures.

    Returns:
        A new processor with the same settings and the Pillow version of the steps (an image processor of torchvision
            gives its Pillow counterpart).

    Raises:
        ConfigurationError: For settings that break the symmetry, such as pictures that are padded on one side.
        UnsupportedModelError: For a processor without steps in Pillow.

    Cost: a photo of 375 × 500 takes 1 to 4 ms more than with Pillow. Guarantee: exact, to the bit, for quarter turns
    and mirrors of the pixels of a picture. A picture that is turned and saved as a JPEG again has other pixels.

    Example:
        >>> import numpy as np
        >>> from transformers import ViTImageProcessorPil
        >>> processor = symmetric_processor(ViTImageProcessorPil(size={"height": 16, "width": 16}))
        >>> photo = np.random.default_rng(0).integers(0, 256, (37, 37, 3), dtype=np.uint8)
        >>> upright, turned = processor([photo, np.rot90(photo)], return_tensors="pt").pixel_values
        >>> torch.equal(upright.rot90(1, (1, 2)), turned)
        True
    """
    if isinstance(inner := getattr(processor, "image_processor", None), BaseImageProcessor):
        whole = copy.copy(processor)
        whole.image_processor = symmetric_processor(inner, group, square=square)
        return whole
    if isinstance(processor, SymmetricImageProcessor):
        return processor
    entries = processor.to_dict() if isinstance(processor, BaseImageProcessor) else {}
    made = SymmetricImageProcessor(
        steps_of=_steps_in_pillow(processor), **entries, **({"square_pictures": True} if square else {})
    )
    _check(made, group)
    return made


def is_symmetric(processor: Any) -> bool:
    """Return whether a processor, or the image processor in it, was made by `symmetric_processor`.

    Example:
        >>> is_symmetric(None)
        False
    """
    return isinstance(getattr(processor, "image_processor", processor), SymmetricImageProcessor)


def _steps_in_pillow(processor: Any) -> str:
    """Return the name of the transformers class that does a processor's steps in Pillow."""
    name = type(processor).__name__
    for known in (name, f"{name.removesuffix('Fast')}Pil"):
        kind = getattr(transformers, known, None)
        if isinstance(kind, type) and issubclass(kind, PilBackend):
            return known
    raise UnsupportedModelError(
        f"{name} is not a transformers image processor with steps in Pillow, so it is unknown how it resizes and "
        "crops: pass one that AutoImageProcessor loads with backend='pil'"
    )


@cache
def _kind(steps_of: str) -> type[SymmetricImageProcessor]:
    """Combine the family's own steps with our resize and crop."""
    family = getattr(transformers, steps_of, None)
    if not isinstance(family, type) or not issubclass(family, PilBackend):
        raise ConfigurationError(
            f"{_STEPS}={steps_of!r} is not an image processor of the installed transformers: make the processor again "
            "with hf_equi.symmetric_processor(processor)"
        )
    namespace = {"steps_of": steps_of, "__module__": __name__}
    return type(f"Symmetric{steps_of}", (family, SymmetricImageProcessor), namespace)


def _restored(steps_of: str, state: dict[str, Any]) -> Any:
    """Restore a pickled processor: its class is made at run time, so no module contains it."""
    processor = object.__new__(_kind(steps_of))
    processor.__dict__.update(state)
    return processor


def _target(image: np.ndarray, size: SizeDict) -> tuple[int, int]:
    """Return the rows and columns of a resized picture, as the transformers backends compute them."""
    height, width = image.shape[-2:]
    if size.shortest_edge and size.longest_edge:
        return get_size_with_aspect_ratio((height, width), size.shortest_edge, size.longest_edge)
    if size.shortest_edge:
        found: tuple[int, int] = get_resize_output_image_size(
            image, size=size.shortest_edge, default_to_square=False, input_data_format=ChannelDimension.FIRST
        )
        return found
    if size.max_height and size.max_width:
        return get_image_size_for_max_height_width((height, width), size.max_height, size.max_width)
    if size.height and size.width:
        return size.height, size.width
    raise ConfigurationError(
        f"size={dict(size)} does not say how to resize: give height and width, max_height and max_width, or "
        "shortest_edge"
    )


def _resized(image: np.ndarray, size: tuple[int, int], crop: tuple[int, int] | None, method: int) -> np.ndarray:
    image = np.ascontiguousarray(image if image.dtype == np.uint8 else image.astype(np.float64))
    return np.asarray(resized(torch.from_numpy(image), size, crop, method))


def _check(processor: SymmetricImageProcessor, group: ImageGroup | None) -> None:
    """Refuse a processor that does not commute, because of a step other than the resize and the crop.

    Raises:
        ConfigurationError: For such a processor.
    """
    moves: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "mirrored left-right": lambda x: x[..., ::-1],
        "mirrored top-bottom": lambda x: x[..., ::-1, :],
    }
    if group is None or group.needs_square:
        moves["turned by 90°"] = lambda x: np.rot90(x, axes=(-2, -1))
    noise = np.random.default_rng(0)
    for shape in ((3, 61, 61),) if processor.square_pictures else ((3, 61, 61), (3, 48, 37)):
        picture = noise.integers(0, 256, shape, dtype=np.uint8)
        upright = _pixels(processor, picture)
        for name, move in moves.items():
            if not np.array_equal(_pixels(processor, move(picture)), move(upright)):
                raise ConfigurationError(
                    f"With these settings, the steps of {processor.steps_of} give other pixels for a picture that is "
                    f"{name}: use a square size= and crop_size=, and no padding on one side; or read square pictures "
                    "alone, square=True"
                )


def _pixels(processor: SymmetricImageProcessor, picture: np.ndarray) -> np.ndarray:
    try:
        made = processor(picture, input_data_format=ChannelDimension.FIRST, do_convert_rgb=False)
    except TypeError as error:  # from a family that reads more than a picture, such as boxes of people
        raise UnsupportedModelError(
            f"{processor.steps_of} does not read a picture alone ({error}), so it cannot be made symmetric: with it, "
            "a model is exact from pixels on"
        ) from error
    return np.asarray(made["pixel_values"][0])
