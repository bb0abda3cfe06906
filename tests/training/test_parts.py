"""The parts of models, family by family."""

from __future__ import annotations

import copy

import pytest
from peft import LoraConfig, PromptTuningConfig, get_peft_model
from small_adapters import CAUSAL
from small_models import GENDER, base_model, tokenizer
from small_training import classification, comparison
from small_vision import FAMILIES, classifier
from torch import nn
from transformers import PreTrainedModel, ResNetConfig
from transformers.modeling_outputs import ImageClassifierOutput

from hf_equi import EquiForImageClassification, EquiImageClassificationConfig, ImageGroup, symmetrize
from hf_equi.canonicalization import ModelEnergy
from hf_equi.errors import ConfigurationError
from hf_equi.training import Phase, corrected_phases
from hf_equi.training.parts import parameters_of, require_wrapper

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # by peft

# What stands before the head, of each family: everything from its weight on is trained.
LAST = {
    "resnet-basic": "resnet.encoder.stages.1.layers.0.layer.1.convolution.weight",
    "resnet": "resnet.encoder.stages.1.layers.0.layer.2.convolution.weight",
    "vit": "vit.layers.1.mlp.fc2.weight",
    "mobilenet_v2": "mobilenet_v2.conv_1x1.convolution.weight",
    "deit-teacher": "deit.layers.1.mlp.fc2.weight",
}


def names(model, part):
    inside = {id(parameter) for parameter in parameters_of(model, part)}
    return [name for name, parameter in model.named_parameters() if id(parameter) in inside]


@pytest.mark.parametrize("family", FAMILIES)
def test_last_layers_are_the_head_and_one_layer_before(family):
    model = classification("equitune", family)
    trained = names(model, "last_layers")
    everything = [name for name, _ in model.named_parameters()]
    assert trained == everything[-len(trained) :]  # all that follows, without gaps
    body = [name for name in trained if name.startswith(f"base.{model.base.base_model_prefix}.")]
    matrices = [name for name in body if model.get_parameter(name).dim() > 1]
    assert len(matrices) == 1
    assert matrices[0] == body[0]
    assert len(trained) > len(body)
    if family in LAST:
        assert matrices[0] == f"base.{LAST[family]}"


def test_last_layers_of_a_base_without_a_body_of_its_own_are_its_last_two():
    model = classification("equitune", "siglip")
    matrices = [name for name in names(model, "last_layers") if model.get_parameter(name).dim() > 1]
    assert matrices[-1] == "base.classifier.weight"
    assert len(matrices) == 2


def test_base_and_lambda_are_all():
    model = classification("lambda", lambda_features="frozen")
    weights, base = names(model, "lambda"), names(model, "base")
    assert all(name.startswith("lambda_network.") for name in weights)
    assert weights
    assert all(name.startswith("base.") for name in base)
    assert set(names(model, "all")) == {*weights, *base}  # and not the frozen copy
    posed = classification("canonical")
    assert all(name.startswith("select_network.") for name in names(posed, "canonicalizer"))
    assert set(names(posed, "all")) == {*names(posed, "canonicalizer"), *names(posed, "base")}
    energy = classification("canonical", canonicalizer=ModelEnergy(ImageGroup.rotations(4), classifier("vit")))
    assert names(energy, "all") == names(energy, "base")  # what is frozen stays so
    with pytest.raises(ConfigurationError, match="A ModelEnergy is not trained: train the base"):
        parameters_of(energy, "canonicalizer")
    plain = classification("equizero")
    assert names(plain, "all") == names(plain, "base") == [name for name, _ in plain.named_parameters()]


def test_what_a_model_lacks_is_refused():
    with pytest.raises(ConfigurationError, match="method='equizero' has no λ"):
        parameters_of(classification("equizero"), "lambda")
    with pytest.raises(ConfigurationError, match=r"method='equizero' has no canonicalizer to train: .*'canonical'"):
        parameters_of(classification("equizero"), "canonicalizer")
    with pytest.raises(ConfigurationError, match="EquiCLIPModel is not a classifier"):
        parameters_of(comparison(), "last_layers")
    with pytest.raises(ConfigurationError, match="'head' is not known: use one of 'lambda', 'canonicalizer', 'base'"):
        parameters_of(classification(), "head")
    with pytest.raises(ConfigurationError, match="ResNetForImageClassification has no phases"):
        require_wrapper(classifier("resnet"))


class Adapter(PreTrainedModel):
    """A whole network of another library: what it names as its body holds the head, too."""

    config_class = ResNetConfig
    base_model_prefix = "network"
    main_input_name = "pixel_values"

    def __init__(self, config):
        super().__init__(config)
        layers = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 2)
        self.network = nn.Sequential(*layers)
        self.post_init()

    def forward(self, pixel_values, return_dict=True):
        return ImageClassifierOutput(logits=self.network(pixel_values))


def test_last_layers_of_a_body_that_holds_the_head_are_its_last_two():
    base = Adapter(ResNetConfig(num_labels=2))
    config = EquiImageClassificationConfig(base_config=base.config, group=ImageGroup.rotations(4).to_dict())
    model = EquiForImageClassification(config, base)
    assert model.base.base_model is model.base.network
    ends = [f"base.network.{name}" for name in ("1.weight", "1.bias", "4.weight", "4.bias")]
    assert names(model, "last_layers") == ends


@pytest.fixture
def adapted():
    """λ over a base with an adapter, and its new head."""
    config = LoraConfig(r=2, target_modules=["q_proj", "v_proj"], modules_to_save=["classifier"])
    return symmetrize(get_peft_model(classifier("vit"), config), ImageGroup.rotations(4), "lambda", lambda_units=5)


def test_phases_leave_frozen_what_peft_has_frozen(adapted):
    def trained():
        return [name for name, weight in adapted.named_parameters() if weight.requires_grad]

    by_peft = [name for name in trained() if name.startswith("base.")]
    assert all("lora_" in name or "modules_to_save" in name for name in by_peft)
    assert {name.split(".")[1] for name in by_peft} == {"vit", "classifier"}
    weights, last = corrected_phases(adapted)
    with weights.applied(adapted):
        assert all(name.startswith("lambda_network.") for name in trained())
    with last.applied(adapted) as count:
        assert [name for name in trained() if not name.startswith("lambda_network.")] == by_peft
        assert count == sum(adapted.get_parameter(name).numel() for name in trained())
    with Phase("base", "base", 0.1, epochs=1).applied(adapted):
        assert trained() == by_peft
    assert names(adapted, "base") == by_peft


def test_of_prompts_the_base_is_what_peft_trains():
    prompted = get_peft_model(copy.deepcopy(base_model("gpt2")), PromptTuningConfig(num_virtual_tokens=2, **CAUSAL))
    lm = symmetrize(prompted, GENDER, tokenizer=tokenizer())
    (name,) = names(lm, "base")
    assert "prompt_encoder" in name


def test_what_peft_has_frozen_is_no_part(adapted):
    with pytest.raises(ConfigurationError, match=r"frozen its last layers.*merge_and_unload"):
        parameters_of(adapted, "last_layers")
    by_peft = names(adapted, "base")
    Phase("λ", "lambda", 0.1, epochs=1).prepare(adapted)
    with pytest.raises(ConfigurationError, match="no part of it is trained"):
        parameters_of(adapted, "all")
    adapted.unwrap().set_adapter("default")
    assert names(adapted, "base") == by_peft
