"""Symmetrised classifiers on disk: to the bit, with what prepares their images."""

from __future__ import annotations

import json

import pytest
import torch
from small_processors import image_processor, picture
from small_vision import classifier, images
from transformers import AutoConfig, AutoModelForImageClassification, ViTForImageClassification, pipeline
from wrapped_vision import METHODS, SQUARE, TURNS, wrap

import hf_equi
from hf_equi import EquiForImageClassification
from hf_equi.errors import ConfigurationError, UnsupportedModelError

SAVED = {
    "entropy": METHODS["entropy"],
    "published_least_confident": METHODS["published_least_confident"],
    "frozen": {**METHODS["lambda"], "lambda_features": "frozen"},
}
"""Beside those of the contract, with a processor, batch norms, and a base that has changed."""


@pytest.mark.parametrize("name", SAVED)
@torch.no_grad()
def test_more_methods_to_the_bit(tmp_path, name):
    level = "probabilities" if name == "entropy" else "features"
    model = wrap("resnet-basic", TURNS, level=level, processor=image_processor(), **SAVED[name])
    for parameter in model.base.parameters():  # a frozen copy is not what the base is by now
        parameter.mul_(1.01)
    model.save_pretrained(tmp_path)
    loaded = AutoModelForImageClassification.from_pretrained(tmp_path)
    assert type(loaded) is EquiForImageClassification
    assert not loaded.training
    assert loaded.processor.to_dict() == model.processor.to_dict()
    ours, stored = model.state_dict(), loaded.state_dict()
    assert ours.keys() == stored.keys()
    assert all(torch.equal(value, stored[key]) for key, value in ours.items())
    torch.testing.assert_close(loaded(images()).logits, model(images()).logits, atol=1e-6, rtol=0)
    for entry in ("method", "level", "loss", "group", "lambda_features", "lambda_units"):
        assert getattr(loaded.config, entry) == getattr(model.config, entry)
    assert loaded.config.id2label == model.unwrap().config.id2label


@torch.no_grad()
def test_the_base_comes_out_as_it_went_in(tmp_path):
    base, processor = classifier("vit"), image_processor()
    model = wrap(base, processor=processor)
    assert model.unwrap() is base
    model.save_base_pretrained(tmp_path)
    alone = ViTForImageClassification.from_pretrained(tmp_path)
    assert torch.equal(alone(images()).logits, base(images()).logits)
    again = hf_equi.symmetrize(str(tmp_path), SQUARE, "equizero", loss="entropy")
    assert again.processor.to_dict() == processor.to_dict()
    assert torch.equal(again(images()).logits, wrap(base, SQUARE, "equizero", loss="entropy")(images()).logits)
    given = hf_equi.symmetrize(tmp_path, SQUARE, processor=processor)
    assert given.processor is processor
    with pytest.raises(ConfigurationError, match="holds a 'vit' model, not an 'equi_image_classification' model"):
        EquiForImageClassification.from_pretrained(tmp_path)


def test_without_a_processor(tmp_path):
    wrap("resnet-basic").save_pretrained(tmp_path)
    assert not list(tmp_path.glob("*processor*"))
    assert EquiForImageClassification.from_pretrained(tmp_path).processor is None


@torch.no_grad()
def test_half_precision(tmp_path):
    base = classifier("vit").bfloat16()
    model = wrap(base, TURNS, "lambda")
    assert model.lambda_network.layers[0].weight.dtype == torch.float32
    x = images(2).bfloat16()
    out = model(x)
    assert out.logits.dtype == torch.bfloat16
    turned = model(x.rot90(1, (2, 3)))
    torch.testing.assert_close(turned.logits, out.logits, atol=2e-2, rtol=2e-2)
    model.save_pretrained(tmp_path)
    loaded = EquiForImageClassification.from_pretrained(tmp_path)
    assert (loaded.base.dtype, loaded.lambda_network.layers[0].weight.dtype) == (torch.bfloat16, torch.float32)
    assert torch.equal(loaded(x).logits, out.logits)
    wide = EquiForImageClassification.from_pretrained(tmp_path, dtype=torch.float32)
    assert wide.dtype == torch.float32
    torch.testing.assert_close(wide(images(2)).logits, out.logits.float(), atol=5e-2, rtol=5e-2)


def test_weights_beside_the_base_are_saved_with_it(tmp_path):
    model = wrap("resnet-basic", TURNS, "lambda")
    with pytest.raises(ConfigurationError, match="symmetrize did not load this base from there"):
        model.save_pretrained(tmp_path, save_base=False)
    model.config.base_name, model.config.base_revision = "somebody/base", "a" * 40
    model.remember_base()
    with pytest.raises(ConfigurationError, match=r"has weights besides its base's, those of the method 'lambda'"):
        model.save_pretrained(tmp_path, save_base=False)


@torch.no_grad()
def test_pipelines_of_an_object_and_of_a_folder(tmp_path):
    model = wrap("vit", processor=image_processor())
    model.save_pretrained(tmp_path)
    of_object = pipeline("image-classification", model=model, image_processor=model.processor)
    of_folder = pipeline("image-classification", model=str(tmp_path))
    assert isinstance(of_folder.model, EquiForImageClassification)
    pixels = model.processor(images=picture(), return_tensors="pt")["pixel_values"]
    required = model(pixels).logits[0].softmax(-1)
    for each in (of_object, of_folder):
        answers = each(picture())
        scores = {answer["label"]: answer["score"] for answer in answers}
        received = torch.tensor([scores[model.config.id2label[place]] for place in range(4)])
        torch.testing.assert_close(received, required, atol=1e-6, rtol=1e-5)
        turned = each(picture().rotate(90))
        assert [answer["label"] for answer in turned] == [answer["label"] for answer in answers]
        for one, other in zip(turned, answers, strict=True):
            assert one["score"] == pytest.approx(other["score"], abs=1e-5)


def edit(folder, **entries):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"method": "magic"}, "method='magic' is not known"),
        ({"level": "middle"}, "level='middle' is not known"),
        ({"group": {"type": "image", "kind": "rotations", "n": 0}}, "n is an integer n >= 1|n >= 1|0"),
    ],
)
def test_tampered_configs_are_refused(tmp_path, entries, message):
    wrap("resnet-basic").save_pretrained(tmp_path)
    edit(tmp_path, **entries)
    with pytest.raises(Exception, match=message):
        AutoConfig.from_pretrained(tmp_path)


def test_what_is_symmetrised_already(tmp_path):
    model = wrap("resnet-basic")
    with pytest.raises(ConfigurationError, match="already symmetrised: unwrap it first"):
        hf_equi.symmetrize(model, TURNS)
    model.save_pretrained(tmp_path)
    with pytest.raises(ConfigurationError, match="is already symmetrised"):
        hf_equi.symmetrize(tmp_path, TURNS)


def test_a_folder_of_another_kind(tmp_path):
    classifier("vit").vit.save_pretrained(tmp_path)
    with pytest.raises((ConfigurationError, UnsupportedModelError)):
        hf_equi.symmetrize(classifier("vit").vit, TURNS)
