"""Features of orbits that are computed once."""

from __future__ import annotations

import copy

import pytest
import torch
from datasets import Dataset, DatasetDict, Features, Image, load_from_disk
from small_processors import image_processor, picture
from small_training import NAMES, Calls, classification, comparison, rows, snapshot, tokenizer, train

from hf_equi import ImageGroup, symmetrize
from hf_equi.errors import ConfigurationError
from hf_equi.training import ClassTexts, Phase, cache_features, class_text_features

PHASE = Phase("lambda", "lambda", 0.3, max_steps=3)


@pytest.fixture(autouse=True)
def _no_shared_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("kind", ["classification", "comparison"])
def test_lambda_learns_the_same_without_the_base(kind, tmp_path):
    clip = kind == "comparison"
    model = comparison("lambda") if clip else classification("attention")
    data, other = rows(8), copy.deepcopy(model)
    collator = ClassTexts(class_text_features(model, tokenizer(), NAMES)) if clip else None
    settings = {"data_collator": collator, "max_steps": 3}
    calls, before = Calls(model), snapshot(model)
    with PHASE.applied(other):
        train(other, PHASE, tmp_path, data, **settings)
    with PHASE.applied(model):
        cached = cache_features(model, data, batch_size=3)
        assert calls.count == 3
        train(model, PHASE, tmp_path, cached, **settings).evaluate()
    assert calls.count == 3  # of the caching, and no more
    assert set(cached.column_names) == {"label", "orbit_features"}
    assert cached[0]["orbit_features"].shape[0] == model.group.order
    for name, tensor in model.state_dict().items():
        assert torch.allclose(tensor, other.state_dict()[name], atol=1e-5)
        if name.startswith("lambda_network") and name.endswith("weight"):
            assert not torch.allclose(tensor, before[name], atol=1e-4)


def test_features_are_those_of_the_model_in_evaluation():
    model = classification("lambda", "vit")
    model.base.requires_grad_(False)
    model.base.config.hidden_dropout_prob = 0.5
    cached = cache_features(model.train(), rows(), batch_size=4)
    assert model.training
    with torch.no_grad():
        expected = model.eval().get_orbit_features(rows()[:]["pixel_values"])
    assert torch.allclose(cached[:]["orbit_features"], expected, atol=1e-6)


def test_bfloat16_features_are_kept_and_used():
    model = classification("lambda", "vit").bfloat16()
    model.base.requires_grad_(False)
    data = rows()
    cached = cache_features(model, data, batch_size=4)
    assert cached[0]["orbit_features"].dtype == torch.float32
    with torch.no_grad():
        expected = model(data[:]["pixel_values"].bfloat16()).logits
        received = model(orbit_features=cached[:]["orbit_features"]).logits
    assert torch.allclose(received, expected, atol=2e-2)  # the same numbers, added in another order


def test_a_cache_on_disk_is_used_again_until_weights_change(tmp_path):
    rows().save_to_disk(tmp_path / "rows")
    model = classification("lambda")
    model.base.requires_grad_(False)
    calls = Calls(model)

    def cache(**settings):
        return cache_features(model, load_from_disk(tmp_path / "rows"), **settings)

    first = cache()
    assert calls.count == 1
    again = cache(batch_size=2)
    assert calls.count == 1
    assert torch.equal(first[:]["orbit_features"], again[:]["orbit_features"])
    flips = symmetrize(model.base, ImageGroup.flips("both"))
    assert cache_features(flips, load_from_disk(tmp_path / "rows"))[0]["orbit_features"].shape == (4, 16)
    assert calls.count == 2  # four members, too, and others
    model.base.resnet.embedder.embedder.normalization.running_mean += 0.5
    assert not torch.equal(cache()[:]["orbit_features"], first[:]["orbit_features"])
    assert calls.count == 3


def test_images_may_come_from_a_transform():
    model, plain = classification("lambda"), rows()
    model.base.requires_grad_(False)
    raw = Dataset.from_dict({"place": [0, 1, 2, 3], "label": plain["label"][:].tolist()})
    lazy = raw.with_transform(lambda batch: {"pixels": [plain[i]["pixel_values"] for i in batch["place"]]})
    cached = cache_features(model, lazy, column="pixels")
    assert cached.column_names == ["place", "label", "orbit_features"]
    expected = cache_features(model, plain)[:]["orbit_features"]
    assert torch.equal(cached[:]["orbit_features"], expected)
    assert cached[:]["label"].tolist() == plain["label"][:].tolist()


def test_pictures_that_no_processor_has_read_are_refused():
    model = classification("lambda")
    model.base.requires_grad_(False)
    pictures = Dataset.from_dict({"image": [picture()] * 2}, features=Features({"image": Image()}))
    numbers = Dataset.from_dict({"image": [[[[0, 255], [7, 9]]] * 3]})
    untouched = pictures.with_transform(lambda batch: {"image": batch["image"]})
    words = Dataset.from_dict({"image": ["a cat"]})
    for raw in (pictures, pictures.with_format("torch"), numbers, numbers.with_format("torch"), untouched, words):
        with pytest.raises(ConfigurationError, match=r"'image' holds unprocessed pictures.*with_transform"):
            cache_features(model, raw, column="image")
    read = pictures.with_transform(lambda batch: image_processor()(batch["image"], return_tensors="pt"))
    cached = cache_features(model, read)
    assert cached.column_names == ["orbit_features"]
    with torch.no_grad():
        expected = model.get_orbit_features(image_processor()([picture()], return_tensors="pt")["pixel_values"])
    assert torch.allclose(cached[0]["orbit_features"], expected[0], atol=1e-5)


def test_what_would_be_wrong_is_refused():
    model, data = classification("lambda"), rows()
    with pytest.raises(ConfigurationError, match=r"The base is trained.*phase.applied"):
        cache_features(model, data)

    def refused(message, model, data=data, **settings):
        model.requires_grad_(False)
        with pytest.raises(ConfigurationError, match=message):
            cache_features(model, data, **settings)

    refused("spatial level", classification("lambda", level="spatial"))
    refused("one member of each orbit", classification("identity"))
    refused("A ResNetForImageClassification has no features of orbits", model.base)
    refused("one split at a time; received a DatasetDict", model, DatasetDict(train=data))
    refused("no images in a column 'image', but 'pixel_values', 'label'", model, column="image")
    refused("but no rows", model, data.select([]))


def test_frozen_features_of_an_untouched_base_are_its_own():
    model, data = classification("lambda", lambda_features="frozen"), rows()
    model.base.requires_grad_(False)
    cached = cache_features(model, data)
    with torch.no_grad():
        received = model(orbit_features=cached[:]["orbit_features"])
        expected = model(data[:]["pixel_values"])
        assert torch.allclose(received.group_weights, expected.group_weights, atol=1e-5)
        model.base.classifier[1].weight += 1
    with pytest.raises(ConfigurationError, match="one set of features cannot serve both"):
        cache_features(model, data)
