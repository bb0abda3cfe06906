"""Symmetrised CLIP-like models on disk, and in pipelines."""

from __future__ import annotations

import pytest
import torch
from small_processors import clip_processor, picture, reading_clip
from small_vision import CLIPS, clip, images, side, texts
from torch import nn
from transformers import AutoModelForZeroShotImageClassification, CLIPModel, pipeline
from wrapped_vision import CLIP_METHODS, TURNS, wrap_clip

import hf_equi
from hf_equi import EquiCLIPModel, EquiSiglipModel
from hf_equi.errors import ConfigurationError

LABELS = ["the man", "a song", "she was a driver"]
SAVED = {
    "lambda": CLIP_METHODS["lambda"],
    "frozen": {**CLIP_METHODS["lambda"], "lambda_features": "frozen"},
    "class": {"method": "equizero", "selection": "class"},
}
"""The contract has all methods of CLIP, and by class at the level of probabilities."""


@pytest.mark.parametrize("family", CLIPS)
@torch.no_grad()
def test_every_family_to_the_bit(tmp_path, family):
    for name in SAVED if family == "clip" else ("lambda",):
        folder, x = tmp_path / name, images(2, (side(family),) * 2)
        base = clip(family)
        for module in base.modules():  # Chinese-CLIP itself loads zeros for the token that pads, whatever was saved
            if isinstance(module, nn.Embedding) and module.padding_idx is not None:
                module.weight[module.padding_idx].zero_()
        model = wrap_clip(base, **SAVED[name])
        model.save_pretrained(folder)
        loaded = AutoModelForZeroShotImageClassification.from_pretrained(folder)
        assert type(loaded) is (EquiSiglipModel if family == "siglip" else EquiCLIPModel)
        ours, stored = model.state_dict(), loaded.state_dict()
        assert ours.keys() == stored.keys()
        assert all(torch.equal(value, stored[key]) for key, value in ours.items())
        required = model(pixel_values=x, **texts()).logits_per_image
        torch.testing.assert_close(loaded(pixel_values=x, **texts()).logits_per_image, required, atol=1e-6, rtol=1e-6)
        assert loaded.config.to_dict().keys() == model.config.to_dict().keys()
        assert (loaded.config.level, loaded.config.selection) == (model.config.level, model.config.selection)


@torch.no_grad()
def test_the_base_comes_out_as_it_went_in(tmp_path):
    base, processor = reading_clip("clip"), clip_processor("clip")
    model = hf_equi.symmetrize(base, TURNS, processor=processor)
    assert model.unwrap() is base
    model.save_base_pretrained(tmp_path)
    alone = CLIPModel.from_pretrained(tmp_path).state_dict()
    assert all(torch.equal(value, alone[name]) for name, value in base.state_dict().items())
    again = hf_equi.symmetrize(str(tmp_path), TURNS, "equizero", task="clip")
    assert type(again.processor) is type(processor)
    assert again.processor(text=LABELS, padding=True) == processor(text=LABELS, padding=True)


def test_half_precision(tmp_path):
    model = wrap_clip(clip("clip").bfloat16(), TURNS, "lambda")
    with torch.no_grad():
        required = model(pixel_values=images(2).bfloat16(), **texts()).logits_per_image
        assert required.dtype == torch.bfloat16
        model.save_pretrained(tmp_path)
        loaded = EquiCLIPModel.from_pretrained(tmp_path)
        assert torch.equal(loaded(pixel_values=images(2).bfloat16(), **texts()).logits_per_image, required)


def test_weights_beside_the_base_are_saved_with_it(tmp_path):
    model = wrap_clip("clip", TURNS, "attention")
    model.config.base_name, model.config.base_revision = "somebody/base", "a" * 40
    model.remember_base()
    with pytest.raises(ConfigurationError, match="those of the method 'attention'"):
        model.save_pretrained(tmp_path, save_base=False)


@pytest.mark.parametrize("family", CLIPS)
@torch.no_grad()
def test_pipelines_of_an_object_and_of_a_folder(tmp_path, family):
    """Of SigLIP each score is a sigmoid, and texts are padded to 64 tokens: its model type says so."""
    processor = clip_processor(family)
    model = hf_equi.symmetrize(reading_clip(family), TURNS, processor=processor)
    model.save_pretrained(tmp_path)
    task = "zero-shot-image-classification"
    of_object = pipeline(task, model=model, tokenizer=processor.tokenizer, image_processor=processor.image_processor)
    of_folder = pipeline(task, model=str(tmp_path))
    assert type(of_folder.model) is type(model)
    assert ("siglip" in model.config.model_type) == (family == "siglip")
    padding = {"padding": "max_length", "max_length": 64} if family == "siglip" else {"padding": True}
    words = processor.tokenizer([f"This is a photo of {label}." for label in LABELS], return_tensors="pt", **padding)
    pixels = processor.image_processor(images=[picture()], return_tensors="pt")["pixel_values"]
    words.pop("token_type_ids", None)
    logits = model(pixel_values=pixels, **words).logits_per_image[0]
    required = logits.sigmoid() if family == "siglip" else logits.softmax(-1)
    for each in (of_object, of_folder):
        answers = each(picture(), candidate_labels=LABELS)
        scores = {answer["label"]: answer["score"] for answer in answers}
        torch.testing.assert_close(torch.tensor([scores[label] for label in LABELS]), required, atol=1e-5, rtol=1e-5)
        turned = each(picture().rotate(90), candidate_labels=LABELS)
        for one, other in zip(turned, answers, strict=True):
            assert one["label"] == other["label"]
            assert one["score"] == pytest.approx(other["score"], abs=1e-5)
