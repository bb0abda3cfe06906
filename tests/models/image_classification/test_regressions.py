"""What a review found wrong in image classifiers, and stays mended."""

from __future__ import annotations

import json

import pytest
import torch
from small_processors import image_processor
from small_vision import classifier, images
from transformers import AutoModelForImageClassification, ViTConfig, ViTForImageClassification, pipeline
from transformers.modeling_outputs import ImageClassifierOutput

import hf_equi
from hf_equi import EquiForImageClassification, ImageGroup
from hf_equi.errors import ActionError, ConfigurationError, HfEquiWarning

G4 = ImageGroup.rotations(4)
NAMES = dict(enumerate("abcdefg"))
SEVEN = {"id2label": NAMES, "label2id": {name: i for i, name in NAMES.items()}, "ignore_mismatched_sizes": True}


def test_classes_given_on_loading_are_those_of_both_configs(tmp_path):
    classifier("vit").save_pretrained(tmp_path)
    model = hf_equi.symmetrize(tmp_path, G4, **SEVEN)
    assert model.config.id2label == model.base.config.id2label == NAMES
    assert model(images(2)).logits.shape == (2, 7)
    multi = hf_equi.symmetrize(tmp_path, G4, problem_type="multi_label_classification")
    assert multi.config.problem_type == multi.base.config.problem_type == "multi_label_classification"


def test_classes_named_in_memory_are_saved(tmp_path):
    model = hf_equi.symmetrize(classifier("vit"), G4)
    model.config.id2label = {i: f"class {i}" for i in range(model.config.num_labels)}
    model.config.label2id = {name: i for i, name in model.config.id2label.items()}
    model.save_pretrained(tmp_path)
    loaded = AutoModelForImageClassification.from_pretrained(tmp_path)
    assert loaded.config.id2label == loaded.base.config.id2label == model.config.id2label


@pytest.mark.parametrize("loader", [AutoModelForImageClassification, EquiForImageClassification])
def test_another_number_of_classes_on_loading(tmp_path, loader):
    hf_equi.symmetrize(classifier("vit"), G4).save_pretrained(tmp_path)
    loaded = loader.from_pretrained(tmp_path, num_labels=7, ignore_mismatched_sizes=True)
    assert loaded.config.num_labels == loaded.base.config.num_labels == 7
    assert loaded(images(2)).logits.shape == (2, 7)


def test_the_kind_of_problem_is_settled_before_anything_is_combined():
    model = hf_equi.symmetrize(classifier("vit"), G4, level="probabilities")
    labels = torch.rand(2, model.config.num_labels)
    first, second = (model(images(2), labels=labels).loss for _ in range(2))
    assert torch.equal(first, second)
    assert model.config.problem_type == model.base.config.problem_type == "multi_label_classification"


def test_multi_label_scores_of_a_pipeline_are_sigmoids(tmp_path):
    model = hf_equi.symmetrize(classifier("vit"), G4, processor=image_processor())
    model.config.problem_type = "multi_label_classification"
    model.save_pretrained(tmp_path)
    pixels = (255 * torch.rand(40, 40, 3)).byte().numpy()
    from PIL import Image

    found = pipeline("image-classification", str(tmp_path), top_k=None)(Image.fromarray(pixels))
    assert sum(entry["score"] for entry in found) != pytest.approx(1.0, abs=1e-3)


def test_a_frozen_copy_that_a_checkpoint_lacks_is_one_of_the_base(tmp_path):
    hf_equi.symmetrize(classifier("vit"), G4, "lambda").save_pretrained(tmp_path)
    loaded = AutoModelForImageClassification.from_pretrained(tmp_path, lambda_features="frozen")
    own = loaded.base.state_dict()
    assert all(torch.equal(value, own[name]) for name, value in loaded.frozen_base.state_dict().items())
    assert not any(weight.requires_grad for weight in loaded.frozen_base.parameters())


def test_a_config_edited_into_another_model_is_not_saved(tmp_path):
    model = hf_equi.symmetrize(classifier("vit"), G4)
    model.config.method = "lambda"
    with pytest.raises(ConfigurationError, match=r"config\.method='lambda' was set after the model was made"):
        model.save_pretrained(tmp_path)
    model.config.method = "equitune"
    model.config.group = ImageGroup.dihedral(4).to_dict()
    assert model.group == G4
    with pytest.raises(ConfigurationError, match=r"config\.group was set after"):
        model.save_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"level": "probabilities"}, r'level="probabilities": this base does regression'),
        ({"method": "equizero"}, r'method="equizero": this base does regression'),
        ({"objective": "published_double_softmax"}, "objective='published_double_softmax': this base does regression"),
    ],
)
def test_regression_has_no_probabilities(settings, message):
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    base = ViTForImageClassification(ViTConfig(image_size=16, patch_size=8, num_labels=1, **sizes)).eval()
    with pytest.raises(ConfigurationError, match=message):
        hf_equi.symmetrize(base, G4, **settings)
    assert hf_equi.symmetrize(base, G4)(torch.rand(2, 3, 16, 16), labels=torch.rand(2)).loss > 0


class PlainForImageClassification(ViTForImageClassification):
    """Takes little and returns less, as code from elsewhere may."""

    loss_type = None

    def forward(self, pixel_values):
        return {"logits": super().forward(pixel_values).logits}


class TupleForImageClassification(PlainForImageClassification):
    def forward(self, pixel_values, labels=None):
        return (ViTForImageClassification.forward(self, pixel_values).logits,)


class NamedForImageClassification(PlainForImageClassification):
    def forward(self, pixel_values, labels=None, return_dict=None):
        return ImageClassifierOutput(logits=ViTForImageClassification.forward(self, pixel_values).logits)


@pytest.mark.parametrize(
    "kind", [PlainForImageClassification, TupleForImageClassification, NamedForImageClassification]
)
def test_bases_of_one_s_own_need_no_more_than_images_and_logits(kind):
    base = kind(classifier("vit").config).eval()
    model = hf_equi.symmetrize(base, G4)
    out = model(images(2), labels=torch.tensor([0, 1]))
    torch.testing.assert_close(model(images(2).rot90(1, (2, 3))).logits, out.logits, atol=1e-5, rtol=0)
    torch.testing.assert_close(out.loss, torch.nn.functional.cross_entropy(out.logits, torch.tensor([0, 1])))


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"loss": "entropy"}, ConfigurationError, "^loss: the method 'equitune' does not use these settings"),
        (
            {"lambda_units": 3, "lambda_features": "frozen"},
            ConfigurationError,
            "^lambda_features, lambda_units: ",
        ),
        ({"method": "lambda", "loss": "entropy"}, ConfigurationError, "^loss: the method 'lambda'"),
        ({"group": ImageGroup.rotations(8), "level": "spatial"}, ActionError, "quarter turns"),
    ],
)
def test_what_could_not_run_is_refused_before_weights_are_loaded(tmp_path, settings, error, message):
    ViTConfig().save_pretrained(tmp_path)  # without any weights
    with pytest.raises(error, match=message):
        hf_equi.symmetrize(tmp_path, **{"group": G4, **settings})


def test_images_that_are_not_square_are_refused_before_weights_are_loaded(tmp_path):
    ViTConfig(image_size=(32, 48), patch_size=16).save_pretrained(tmp_path)
    with pytest.raises(ActionError, match="H = 32, W = 48"):
        hf_equi.symmetrize(tmp_path, G4)


def test_a_processor_that_cannot_be_read_is_named(tmp_path):
    classifier("vit").save_pretrained(tmp_path)
    assert hf_equi.symmetrize(tmp_path, G4).processor is None
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"image_processor_type": "NoSuchProcessor"}))
    with pytest.warns(HfEquiWarning, match=r"cannot be loaded, so the model has none: .*Set it: model\.processor"):
        assert hf_equi.symmetrize(tmp_path, G4).processor is None
