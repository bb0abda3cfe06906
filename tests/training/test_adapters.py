"""Adapters of peft on symmetrised models: where they go, what they learn, and how they move to the base and back."""

from __future__ import annotations

import copy
import json
from typing import ClassVar

import pytest
import torch
from peft import (
    C3AConfig,
    IA3Config,
    LoraConfig,
    PeftModel,
    PromptTuningConfig,
    RoadConfig,
    TrainableTokensConfig,
    VBLoRAConfig,
    VeraConfig,
    get_peft_model,
)
from safetensors.torch import load_file
from small_adapters import CAUSAL, encoded, layers, of_kind, prompts, step, text_rows
from small_models import GENDER, base_model, tokenizer
from small_seq2seq import MOVED, encode, fresh, targets, wrap
from small_training import NAMES, changed, classification, comparison, rows, snapshot
from small_training import tokenizer as clip_tokenizer
from small_vision import classifier, images, texts

import hf_equi
from hf_equi.errors import ConfigurationError, HfEquiWarning, UnsupportedModelError
from hf_equi.testing import assert_equivariant
from hf_equi.training import ClassTexts, adapter_config, class_text_features, load_adapter, save_adapter
from hf_equi.training.adapters import _MOVING

pytestmark = [
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"),  # by peft
    pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to False:UserWarning"),  # peft mends it for GPT-2
]
VISION = {
    "lora": {"target_modules": ["q_proj", "v_proj"]},
    "ia3": {"target_modules": ["k_proj", "fc2"], "feedforward_modules": ["fc2"]},
}


def language(family="llama"):
    return hf_equi.symmetrize(copy.deepcopy(base_model(family)), GENDER, tokenizer=tokenizer())


def adapted_layers(model):
    """The names of the layers that peft has changed in a symmetrised model."""
    found = (name for name, module in model.named_modules() if hasattr(module, "base_layer"))
    return sorted(name.removeprefix("base_model.model.") for name in found)


class LanguageCase:
    """A causal language model."""

    settings: ClassVar = CAUSAL

    def __init__(self):
        self.model, self.rows, self.collator = language(), text_rows(), None

    def scores(self, model, x=None):
        ids, mask = encoded().values()
        return model(input_ids=ids if x is None else x, attention_mask=mask).logits

    def check(self, model):
        action = self.model.action
        assert_equivariant(lambda x: self.scores(model, x), encoded()["input_ids"], action, action)
        for settings in ({"do_sample": False}, {"do_sample": True, "seed": 1, "group": GENDER}):
            ids, mask = encoded().values()
            call = {"attention_mask": mask, "max_new_tokens": 4, **settings}
            written, moved = (model.generate(input_ids=x, **call) for x in (ids, action.apply(1, ids)))
            assert torch.equal(action.apply(1, written), moved)


class PairCase:
    """A sequence-to-sequence model."""

    settings: ClassVar = {"task_type": "SEQ_2_SEQ_LM"}

    def __init__(self):
        self.model, self.collator = wrap(fresh("bart")), None
        inputs, labels = encode(self.model), targets(self.model)
        self.rows = [{**{name: inputs[name][i] for name in inputs}, "labels": labels[i]} for i in range(len(MOVED))]

    def scores(self, model, x=None, y=None):
        ids, mask = encode(self.model).values()
        written = targets(self.model) if y is None else y
        return model(input_ids=ids if x is None else x, attention_mask=mask, decoder_input_ids=written).logits

    def check(self, model):
        ids, mask = encode(self.model).values()
        action, written = self.model.action, targets(self.model)
        expected = self.scores(model)
        for g in range(action.group.order):
            moved = self.scores(model, action.source.apply(g, ids), action.target.apply(g, written))
            assert torch.allclose(action.target.pull_back(g, moved), expected, atol=1e-5)
        call = {"attention_mask": mask, "max_new_tokens": 4, "do_sample": False}
        texts, moved = (model.generate(input_ids=x, **call) for x in (ids, action.source.apply(1, ids)))
        assert torch.equal(action.target.apply(1, texts), moved)


class ImageCase:
    """A classifier, with λ that reads features of a frozen copy."""

    settings: ClassVar = {}

    def __init__(self):
        self.model, self.rows, self.collator = classification("lambda", "vit", lambda_features="frozen"), rows(), None

    def scores(self, model, x=None):
        return model(pixel_values=images(2) if x is None else x).logits

    def check(self, model):
        assert_equivariant(lambda x: self.scores(model, x), images(2), self.model.action)


class ClipCase(ImageCase):
    """A CLIP, with λ that reads features of a frozen copy, and texts that are read once."""

    def __init__(self):
        self.model, self.rows = comparison("lambda", lambda_features="frozen"), rows()
        self.collator = ClassTexts(class_text_features(self.model, clip_tokenizer(), NAMES))

    def scores(self, model, x=None):
        words = texts(2)
        return model(pixel_values=images(2) if x is None else x, **words).logits_per_image


CASES = {"text": LanguageCase, "pairs": PairCase, "images": ImageCase, "clip": ClipCase}


@pytest.mark.parametrize("kind", ["lora", "ia3"])
@pytest.mark.parametrize("name", CASES)
def test_it_trains_alone_moves_to_the_base_and_back_and_merges(name, kind, tmp_path):
    case = CASES[name]()
    model, settings = case.model.eval(), {**case.settings, **(VISION[kind] if name in ("images", "clip") else {})}
    bare, fresh_copy, before = copy.deepcopy(model.base), copy.deepcopy(model), snapshot(model)
    with torch.no_grad():
        start = case.scores(model)
    adapted = get_peft_model(model, adapter_config(model, layers(kind, **settings)))
    assert all(layer.startswith("base.") and ".text_model." not in layer for layer in adapted_layers(adapted))
    at_first = snapshot(adapted)
    step(adapted, tmp_path / "runs", case.rows, data_collator=case.collator)
    moved = changed(adapted, at_first)
    assert moved == {key for key in at_first if "lora_" in key or "ia3_" in key}
    with torch.no_grad():
        expected = case.scores(adapted)
        assert (expected - start).abs().max() > 1e-2
        case.check(adapted)

        save_adapter(adapted, tmp_path / "adapter")
        on_base = PeftModel.from_pretrained(bare, tmp_path / "adapter").eval()
        below = {f"base.{layer}" for layer in adapted_layers(on_base)}
        assert below == set(adapted_layers(adapted))
        assert torch.equal(case.scores(on_base), case.scores(model.base))
        back = load_adapter(fresh_copy, tmp_path / "adapter")
        assert torch.equal(case.scores(back), expected)
        adapted.save_pretrained(tmp_path / "own")
        own = load_adapter(back.unload(), tmp_path / "own")
        assert torch.equal(case.scores(own), expected)

        assert adapted.merge_and_unload() is model
        assert torch.allclose(case.scores(model), expected, atol=1e-4)
        case.check(model)
    weights = {key.replace(".base_layer", "") for key in before}
    assert {key.split(".base_layer")[0] for key in changed(model, before)} <= weights
    model.save_pretrained(tmp_path / "merged")
    loaded = type(model).from_pretrained(tmp_path / "merged")
    with torch.no_grad():
        assert torch.equal(case.scores(loaded), case.scores(model))


@pytest.mark.parametrize("kind", ["lora", "ia3"])
@pytest.mark.parametrize("family", ["gpt2", "opt", "gemma3"])
def test_layers_are_those_that_peft_has_for_the_base(family, kind):
    lm, base = language(family), copy.deepcopy(base_model(family))
    ours = get_peft_model(lm, adapter_config(lm, layers(kind, **CAUSAL)))
    theirs = get_peft_model(base, layers(kind, **CAUSAL))
    assert adapted_layers(ours) == [f"base.{layer}" for layer in adapted_layers(theirs)]


def test_an_adapter_of_the_base_comes_in(tmp_path):
    base = get_peft_model(copy.deepcopy(base_model("llama")), LoraConfig(r=2, **CAUSAL, init_lora_weights=False))
    expected = hf_equi.symmetrize(copy.deepcopy(base).merge_and_unload(), GENDER, tokenizer=tokenizer()).eval()
    base.save_pretrained(tmp_path)
    adapted = load_adapter(language(), tmp_path, is_trainable=True)
    trained = [key for key, weight in adapted.named_parameters() if weight.requires_grad]
    assert trained
    assert all("lora_" in key for key in trained)
    with torch.no_grad():
        assert torch.allclose(adapted.eval()(**encoded()).logits, expected(**encoded()).logits, atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"target_modules": r".*layers\.0\..*\.q_proj"}, 1),
        ({"target_modules": r"base\..*layers\.0\..*\.q_proj"}, 1),
        ({"target_modules": ["q_proj"], "layers_to_transform": [1]}, 1),
        ({"target_modules": ["q_proj", "k_proj"], "exclude_modules": ["k_proj"]}, 2),
        ({"target_modules": ["q_proj"], "exclude_modules": r".*layers\.0\..*"}, 1),
        ({"target_modules": "all-linear", "rank_pattern": {"model.layers.0.self_attn.q_proj": 1}}, 14),
    ],
)
def test_layers_by_name_are_found_in_the_base_again(settings, expected, tmp_path):
    lm = language().eval()
    config = LoraConfig(r=2, **CAUSAL, init_lora_weights=False, **settings)
    adapted = get_peft_model(lm, adapter_config(lm, config)).eval()
    assert len(adapted_layers(adapted)) == expected
    assert config.target_modules == LoraConfig(**settings).target_modules  # the given settings stay as they are
    save_adapter(adapted, tmp_path)
    on_base = PeftModel.from_pretrained(copy.deepcopy(base_model("llama")), tmp_path)
    back = load_adapter(language().eval(), tmp_path)
    with torch.no_grad():
        assert torch.equal(on_base(**encoded()).logits, lm.base(**encoded()).logits)
        assert torch.equal(back(**encoded()).logits, adapted(**encoded()).logits)


def test_all_linear_layers_of_a_feed_forward_adapter(tmp_path):
    lm = language().eval()
    config = IA3Config(target_modules="all-linear", feedforward_modules=["down_proj"], **CAUSAL)
    adapted = get_peft_model(lm, adapter_config(lm, config))
    assert len(adapted_layers(adapted)) == 14
    save_adapter(adapted, tmp_path)
    assert len(adapted_layers(PeftModel.from_pretrained(copy.deepcopy(base_model("llama")), tmp_path))) == 14


def test_a_text_tower_is_adapted_on_request():
    model = comparison("equitune")
    config = adapter_config(model, LoraConfig(target_modules=r"(text|vision)_model\..*\.q_proj"))
    towers = {layer.split(".")[1] for layer in adapted_layers(get_peft_model(model, config))}
    assert towers == {"text_model", "vision_model"}


# Of norms by LN tuning itself, and of what BOFT and SHiRA do without.
@pytest.mark.filterwarnings("ignore:(Unsupported layer|Failed to load the CUDA|Setting boft|Sparse inv):UserWarning")
@pytest.mark.parametrize(
    "config",
    [
        C3AConfig(block_size=4, target_modules=["q_proj", "v_proj"], layers_to_transform=[1]),
        RoadConfig(group_size=4, target_modules=r".*\.1\..*\.q_proj"),
        *map(of_kind, _MOVING),
    ],
)
@torch.no_grad()
def test_every_kind_moves_to_the_base_and_back(config, tmp_path):
    lm, base = language().eval(), copy.deepcopy(base_model("llama"))
    adapted = get_peft_model(lm, adapter_config(lm, config)).eval()
    for weight in adapted.parameters():
        weight.add_(torch.randn_like(weight) / 10 if weight.requires_grad else 0)
    save_adapter(adapted, tmp_path)
    plain = base(**encoded()).logits
    on_base, back = PeftModel.from_pretrained(base, tmp_path).eval(), load_adapter(language().eval(), tmp_path)
    theirs = get_peft_model(copy.deepcopy(base_model("llama")), config)
    assert adapted_layers(adapted) == [f"base.{layer}" for layer in adapted_layers(theirs)]
    assert torch.equal(on_base(**encoded()).logits, lm.base(**encoded()).logits)
    assert not torch.allclose(lm.base(**encoded()).logits, plain)
    assert torch.equal(back(**encoded()).logits, adapted(**encoded()).logits)


def test_they_leave_frozen_copies_and_text_towers_alone():
    for model in (classification("lambda", "vit", lambda_features="frozen"), comparison("equitune")):
        adapted = get_peft_model(model, adapter_config(model, RoadConfig(group_size=4, target_modules=["q_proj"])))
        found = adapted_layers(adapted)
        assert found
        assert all(layer.startswith("base.") and ".text_model." not in layer for layer in found)


def test_kinds_that_do_not_move_are_refused():
    kinds = (
        VBLoRAConfig(target_modules=["q_proj"]),
        VeraConfig(target_modules=["q_proj"]),
        TrainableTokensConfig(token_indices=[5], target_modules=["embed_tokens"]),
    )
    for config in kinds:
        kind = config.peft_type.value
        with pytest.raises(ConfigurationError, match=rf"the kind {kind} may not keep.*get_peft_model\(base"):
            adapter_config(language(), config)


def test_lambda_trains_beside_and_stays_behind(tmp_path):
    model = classification("lambda", "vit")
    config = LoraConfig(r=2, target_modules=["q_proj"], modules_to_save=["lambda_network", "classifier"])
    adapted = get_peft_model(model, adapter_config(model, config))
    adapted(pixel_values=images(2), labels=torch.tensor([0, 1])).loss.backward()
    parts = {"lora_", "lambda_network", "classifier"}
    with_gradient = [key for key, parameter in adapted.named_parameters() if parameter.grad is not None]
    assert all(any(part in key for part in parts) for key in with_gradient)
    assert parts == {part for part in parts if any(part in key for key in with_gradient)}
    with pytest.warns(HfEquiWarning, match=r"lambda_network: not part of the base.*left out"):
        save_adapter(adapted, tmp_path)
    assert not any("lambda" in key for key in load_file(tmp_path / "adapter_model.safetensors"))
    assert json.loads((tmp_path / "adapter_config.json").read_text())["modules_to_save"] == ["classifier"]
    on_base = PeftModel.from_pretrained(classifier("vit"), tmp_path)
    with torch.no_grad():
        assert torch.equal(on_base(pixel_values=images(2)).logits, model.base(pixel_values=images(2)).logits)
        merged = adapted.merge_and_unload().eval()
        assert_equivariant(lambda x: merged(x).logits, images(2), model.action)


def test_the_base_is_named(tmp_path):
    base_model("llama").save_pretrained(tmp_path / "base")
    tokenizer().save_pretrained(tmp_path / "base")
    lm = hf_equi.symmetrize(tmp_path / "base", GENDER)
    adapted = get_peft_model(lm, adapter_config(lm, LoraConfig(r=2, **CAUSAL)))
    save_adapter(adapted, tmp_path / "adapter")
    stored = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert stored["base_model_name_or_path"] == str(tmp_path / "base")
    assert stored["task_type"] == "CAUSAL_LM"


def test_what_no_adapter_can_do_is_refused(tmp_path):
    lm = language()
    with pytest.raises(ConfigurationError, match="is not symmetrised"):
        adapter_config(base_model("llama"), LoraConfig())
    with pytest.raises(ConfigurationError, match="inside the base"):
        adapter_config(lm, prompts("prompt"))
    with pytest.raises(UnsupportedModelError, match="activated LoRA"):
        adapter_config(lm, LoraConfig(alora_invocation_tokens=[5], **CAUSAL))
    with pytest.raises(
        ConfigurationError, match=r"no target_modules for LoraConfig with a base of the type 'vit'.*q_proj"
    ):
        adapter_config(classification("equitune", "vit"), LoraConfig())
    with pytest.raises(ConfigurationError, match=r"no feedforward_modules for IA3Config.*'vit'"):
        adapter_config(classification("equitune", "vit"), IA3Config(target_modules=["fc2"]))
    frozen = classification("lambda", "vit", lambda_features="frozen")
    with pytest.raises(ConfigurationError, match=r"modules_to_save=\['classifier'\]: the frozen copy"):
        adapter_config(frozen, LoraConfig(target_modules=["q_proj"], modules_to_save=["classifier"]))
    with pytest.raises(ConfigurationError, match="is not symmetrised"):
        save_adapter(get_peft_model(copy.deepcopy(base_model("llama")), LoraConfig()), tmp_path)
    with pytest.raises(ConfigurationError, match="bias='all' would train the biases of the frozen copy"):
        adapter_config(frozen, LoraConfig(target_modules=["q_proj"], bias="all"))
    with pytest.raises(ConfigurationError, match="This EquiLM is not a PeftModel"):
        save_adapter(lm, tmp_path)
    for config in ("lora", None, {}):
        with pytest.raises(ConfigurationError, match="is not a peft configuration"):
            adapter_config(lm, config)
    with pytest.raises(ConfigurationError, match="is neither a folder nor a name on the Hub"):
        load_adapter(lm, tmp_path / "none")


def test_single_tokens_of_tied_embeddings_are_refused(tmp_path):
    tokens = LoraConfig(r=2, target_modules=["c_attn"], trainable_token_indices=[5], **CAUSAL)
    with pytest.raises(ConfigurationError, match=r"but the base ties.*symmetrize\(get_peft_model\(base, config\)"):
        adapter_config(language("gpt2"), tokens)
    get_peft_model(copy.deepcopy(base_model("gpt2")), tokens).save_pretrained(tmp_path)
    with pytest.raises(ConfigurationError, match="but the base ties"):
        load_adapter(language("gpt2"), tmp_path)


def test_single_tokens_of_others_are_trained(tmp_path):
    lm = language().eval()
    tokens = LoraConfig(r=2, target_modules=["q_proj"], trainable_token_indices=[5], **CAUSAL)
    adapted = get_peft_model(lm, adapter_config(lm, tokens)).eval()
    with torch.no_grad():
        for weight in adapted.parameters():
            weight.add_(torch.randn_like(weight) if weight.requires_grad else 0)
        save_adapter(adapted, tmp_path)
        on_base = PeftModel.from_pretrained(copy.deepcopy(base_model("llama")), tmp_path)
        assert any("trainable_tokens" in name for name in load_file(tmp_path / "adapter_model.safetensors"))
        assert torch.equal(on_base(**encoded()).logits, lm.base(**encoded()).logits)


def test_a_second_adapter_goes_beside_the_first_and_is_saved_alone(tmp_path):
    lm = language()
    bare = copy.deepcopy(lm.base)
    adapted = get_peft_model(lm, adapter_config(lm, LoraConfig(r=2, **CAUSAL)))
    with pytest.raises(ConfigurationError, match="already has an adapter"):
        adapter_config(adapted, LoraConfig(r=2, **CAUSAL))
    second = LoraConfig(r=3, target_modules=["o_proj"], init_lora_weights=False, **CAUSAL)
    adapted.add_adapter("second", adapter_config(adapted.get_base_model(), second))
    adapted.set_adapter("second")
    save_adapter(adapted, tmp_path)
    on_base = hf_equi.symmetrize(PeftModel.from_pretrained(bare, tmp_path), GENDER, tokenizer=tokenizer())
    with torch.no_grad():
        first, again = (model.eval()(**encoded()).logits for model in (adapted, on_base))
    assert torch.equal(first, again)


def test_files_that_do_not_fit_are_refused(tmp_path):
    prompted = get_peft_model(copy.deepcopy(base_model("llama")), PromptTuningConfig(num_virtual_tokens=2, **CAUSAL))
    prompted.save_pretrained(tmp_path / "prompt")
    with pytest.raises(ConfigurationError, match="inside the base"):
        load_adapter(language(), tmp_path / "prompt")
    other = get_peft_model(copy.deepcopy(base_model("llama")), LoraConfig(r=2, target_modules=["q_proj", "o_proj"]))
    other.save_pretrained(tmp_path / "other")
    settings = tmp_path / "other" / "adapter_config.json"
    settings.write_text(settings.read_text().replace('"o_proj"', '"k_proj"'))
    with (
        pytest.warns(HfEquiWarning, match="no place for 4 of 8 weights"),
        pytest.warns(UserWarning, match="missing adapter keys"),
    ):
        load_adapter(language(), tmp_path / "other")
    (tmp_path / "other" / "adapter_model.safetensors").unlink()
    with pytest.raises(ConfigurationError, match="hf_equi does not load pickles"):
        load_adapter(language(), tmp_path / "other")
