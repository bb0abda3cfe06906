from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from small_processors import clip_processor, image_processor, reading_clip
from transformers import (
    AutoImageProcessor,
    AutoModelForImageClassification,
    AutoProcessor,
    VitPoseImageProcessorPil,
    pipeline,
)
from wrapped_vision import TURNS, wrap, wrap_clip

from hf_equi import ImageGroup, symmetric_processor
from hf_equi.errors import ConfigurationError, UnsupportedModelError
from hf_equi.models.vision.symmetric_processor import SymmetricImageProcessor

SQUARE = {"height": 32, "width": 32}
FAMILIES = {
    "ViTImageProcessorPil": {"size": SQUARE},
    "CLIPImageProcessorPil": {"size": {"shortest_edge": 32}, "crop_size": SQUARE},
    "ConvNextImageProcessorPil": {"size": {"shortest_edge": 32}, "crop_pct": 0.95},
    "MobileNetV2ImageProcessorPil": {"size": {"shortest_edge": 37}, "crop_size": SQUARE},
    "MobileViTImageProcessorPil": {"size": {"shortest_edge": 29}, "crop_size": SQUARE},
    "EfficientNetImageProcessorPil": {"size": SQUARE, "resample": 0},
    "LevitImageProcessorPil": {"size": {"shortest_edge": 32}, "crop_size": SQUARE},
    "SegformerImageProcessorPil": {"size": SQUARE},
}
"""Processors by their classes in transformers: those that crop do so between pixels, or from less than they crop."""


def photo(height: int = 61, width: int = 61) -> Image.Image:
    """Smooth, with no symmetry, and with a detail that a resize blurs."""
    values = np.random.default_rng(0).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    large = np.array(Image.fromarray(values).resize((width, height), Image.Resampling.BICUBIC))
    large[::7, : width // 3] = 255
    return Image.fromarray(large)


def pixels(processor, image) -> torch.Tensor:
    return processor(images=image, return_tensors="pt").pixel_values[0]


@pytest.mark.parametrize("family", FAMILIES)
def test_pictures_move_as_they_did_before(family):
    usual = getattr(transformers, family)(**FAMILIES[family])
    made = symmetric_processor(usual)
    differences = []
    for size in ((61, 61), (70, 43), (50, 83)):
        image, upright = photo(*size), pixels(made, photo(*size))
        assert upright.dtype == torch.float32
        for turns in range(4):
            turned = image.rotate(90 * turns, expand=True)
            assert torch.equal(pixels(made, turned), upright.rot90(turns, (1, 2)))
            mirrored = turned.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            assert torch.equal(pixels(made, mirrored), upright.rot90(turns, (1, 2)).flip(-1))
        differences.append(float((upright - pixels(usual, image)).abs().mean() / upright.std()))
    crops = any("crop" in name for name in FAMILIES[family])
    assert max(differences) < (0.35 if crops else 0.03)  # half a pixel of 32, and else what is rounded
    assert isinstance(made, type(usual))


def test_the_usual_processor_does_not():
    usual, image = image_processor(), photo()
    assert not torch.equal(pixels(usual, image.rotate(90)), pixels(usual, image).rot90(1, (1, 2)))


def test_whatever_a_processor_reads():
    made, image = symmetric_processor(image_processor()), np.array(photo())
    upright = pixels(made, image)
    assert torch.equal(pixels(made, torch.from_numpy(image).permute(2, 0, 1)), upright)
    floats = pixels(made, (image / 255).astype(np.float32)), pixels(made, np.rot90(image / 255).astype(np.float32))
    assert torch.equal(floats[0].rot90(1, (1, 2)), floats[1])
    assert type(made(image)["pixel_values"][0]) is np.ndarray
    small = made(image, size={"height": 16, "width": 16}, resample=3, return_tensors="pt").pixel_values
    assert small.shape == (1, 3, 16, 16)


def test_steps_that_break_the_symmetry_are_refused():
    wide = transformers.ViTImageProcessorPil(size={"height": 16, "width": 24})
    with pytest.raises(ConfigurationError, match=r"ViTImageProcessorPil .* turned by 90°: use a square size="):
        symmetric_processor(wide)
    flipping = symmetric_processor(wide, ImageGroup.flips("both"))
    image = photo()
    mirrored = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert torch.equal(pixels(flipping, mirrored), pixels(flipping, image).flip(-1))
    with pytest.raises(ConfigurationError, match=r"mirrored left-right: use .* no padding on one side"):
        symmetric_processor(transformers.Swin2SRImageProcessorPil())


def test_what_is_not_known_is_refused():
    for other in (object(), TURNS, transformers.BaseImageProcessor()):
        with pytest.raises(UnsupportedModelError, match="is not a transformers image processor with steps in"):
            symmetric_processor(other)
    with pytest.raises(ConfigurationError, match=r"make it with hf_equi\.symmetric_processor"):
        SymmetricImageProcessor()
    with pytest.raises(ConfigurationError, match="steps_of='CLIPModel' is not an image processor"):
        SymmetricImageProcessor(steps_of="CLIPModel")
    made = symmetric_processor(image_processor())
    with pytest.raises(ConfigurationError, match=r"resample=9 is not known to Pillow: use one of 0, 1, 2"):
        made.resize(np.zeros((3, 4, 4), np.uint8), made.size, 9)
    with pytest.raises(ConfigurationError, match="does not say how to resize: give height and width"):
        made(photo(), size={"longest_edge": 5})


def test_it_is_made_once_and_copied_as_others_are():
    made = symmetric_processor(image_processor())
    assert symmetric_processor(made) is made
    for copied in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert type(copied) is type(made)
        assert copied.to_dict() == made.to_dict()


def test_it_is_saved_with_the_model_and_found_by_all_who_read_it(tmp_path):
    model = wrap("vit", TURNS)
    model.processor = symmetric_processor(image_processor())
    model.save_pretrained(tmp_path)
    loaded = AutoModelForImageClassification.from_pretrained(tmp_path)
    classify = pipeline("image-classification", model=str(tmp_path))
    for found in (loaded.processor, classify.image_processor, AutoImageProcessor.from_pretrained(tmp_path)):
        assert type(found) is type(model.processor)
        assert found.to_dict() == model.processor.to_dict()
    upright, *turned = (classify(photo().rotate(90 * turns)) for turns in range(4))
    for answers in turned:
        assert [answer["label"] for answer in answers] == [answer["label"] for answer in upright]
        assert [answer["score"] for answer in answers] == pytest.approx([answer["score"] for answer in upright])
    model.save_base_pretrained(tmp_path / "base")
    assert type(AutoImageProcessor.from_pretrained(tmp_path / "base")) is type(image_processor())


def test_that_of_a_clip_keeps_its_tokenizer(tmp_path):
    model, usual = wrap_clip(reading_clip("clip"), TURNS), clip_processor("clip")
    model.processor = symmetric_processor(usual)
    assert model.processor.tokenizer is usual.tokenizer
    assert not isinstance(usual.image_processor, SymmetricImageProcessor)
    model.save_pretrained(tmp_path)
    for found in (AutoProcessor.from_pretrained(tmp_path), type(model).from_pretrained(tmp_path).processor):
        assert type(found) is type(usual)
        assert found.image_processor.to_dict() == model.processor.image_processor.to_dict()
        assert torch.equal(pixels(found, photo().rotate(90)), pixels(found, photo()).rot90(1, (1, 2)))


def test_a_processor_that_reads_more_than_a_picture_is_refused():
    with pytest.raises(UnsupportedModelError, match=r"VitPoseImageProcessorPil does not read a picture alone .*boxes"):
        symmetric_processor(VitPoseImageProcessorPil())
