from __future__ import annotations

import pytest
import torch
from small_vision import FAMILIES, SIDE, classifier, clip, images, side
from transformers import CLIPConfig, ResNetConfig, ViTConfig

from hf_equi.models.vision.classification_cuts import find_classification_cut
from hf_equi.models.vision.clip_cuts import find_clip_cut
from hf_equi.models.vision.logits_cut import LogitsCut
from hf_equi.models.vision.probing import feature_size, image_shape


@pytest.mark.parametrize("family", FAMILIES)
def test_sizes_of_features_without_running(family):
    base = classifier(family)
    cut = find_classification_cut(base)
    before = {name: value.clone() for name, value in base.state_dict().items()}
    with torch.no_grad():
        assert feature_size(cut, base) == cut.features(base, images(1)).shape[-1]
    assert feature_size(LogitsCut(), base) == 4
    assert all(torch.equal(value, before[name]) for name, value in base.state_dict().items())
    assert {value.device.type for value in base.state_dict().values()} == {"cpu"}


@pytest.mark.parametrize("family", ["clip", "align"])
def test_sizes_of_projected_features(family):
    base = clip(family)
    x = images(1, (side(family),) * 2)
    assert feature_size(find_clip_cut(base), base) == base.get_image_features(x).pooler_output.shape[-1]


def test_the_mode_stays():
    for training in (True, False):
        base = classifier("resnet").train(training)
        feature_size(find_classification_cut(base), base)
        assert base.training == training


def test_no_weight_is_read():
    base = classifier("resnet")
    cut = find_classification_cut(base)
    assert feature_size(cut, base.to("meta")) == 16


def test_images_that_a_config_is_for():
    assert image_shape(ViTConfig(image_size=SIDE)) == (3, SIDE, SIDE)
    assert image_shape(ViTConfig(image_size=(16, 48), num_channels=1)) == (1, 16, 48)
    assert image_shape(ResNetConfig()) == (3, 224, 224)
    assert image_shape(CLIPConfig(vision_config={"image_size": 48})) == (3, 48, 48)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_base_itself_is_not_run(family):
    base = classifier(family)

    def refuse(*arguments):
        raise AssertionError

    for module in base.modules():
        module.register_forward_pre_hook(refuse)
    with torch.no_grad():
        required = find_classification_cut(base).features(classifier(family), images(1)).shape[-1]
    assert feature_size(find_classification_cut(base), base) == required


def test_a_base_that_its_config_does_not_describe_is_asked_itself():
    base = classifier("resnet")
    base.classifier = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 9))
    assert feature_size(LogitsCut(), base) == 9

    class Own(type(base)):
        def __init__(self):
            raise AssertionError

    base.__class__ = Own
    assert feature_size(LogitsCut(), base) == 9
