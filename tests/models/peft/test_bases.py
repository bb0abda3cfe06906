"""Bases that peft has adapted: wrapped, trained, saved, loaded and given back."""

from __future__ import annotations

import contextlib
import copy
import json

import pytest
import torch
from peft import (
    AdaptionPromptConfig,
    FourierFTConfig,
    LoraConfig,
    PeftModel,
    PeftModelForCausalLM,
    VeraConfig,
    get_peft_model,
)
from safetensors.torch import load_file
from small_adapters import CAUSAL, OF_PEFT, PAIRS, PEFT_FITS, encoded, layers, of_kind, prompts, step, text_rows
from small_models import GENDER, base_model, tokenizer
from small_seq2seq import fresh, wrap
from small_training import changed, rows, snapshot
from small_vision import classifier, images
from torch import nn

import hf_equi
from hf_equi import EquiLM, ImageGroup
from hf_equi.errors import ConfigurationError, UnsupportedModelError
from hf_equi.models.peft.bases import WHOLE_KINDS, attach_adapter, bare_base, describe_adapter, has_adapter_layers
from hf_equi.testing import assert_equivariant

pytestmark = [
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"),  # by peft
    pytest.mark.filterwarnings(OF_PEFT),
    pytest.mark.filterwarnings("ignore:.*modify a model with PEFT for a second time:UserWarning"),
]


def adapted(kind="lora", **settings):
    torch.manual_seed(0)
    config = layers(kind, **CAUSAL, **settings) if kind in ("lora", "ia3") else prompts(kind)
    return get_peft_model(copy.deepcopy(base_model("llama")), config).eval()


@torch.no_grad()
def loosened(model):
    """A model of peft whose trainable weights are far from where they start."""
    for weight in model.parameters():
        if weight.requires_grad:
            weight.add_(torch.randn_like(weight))
    return model.eval()


def symmetrised(model, method="equitune"):
    return hf_equi.symmetrize(model, GENDER, method, tokenizer=tokenizer())


@pytest.mark.parametrize("kind", ["lora", "ia3", "prompt", "prefix", "p"])
def test_it_trains_inside_and_stays_equivariant(kind, tmp_path):
    model, batch = adapted(kind), encoded()
    lm = symmetrised(model)
    assert lm.unwrap() is model
    start, plain = snapshot(lm), symmetrised(copy.deepcopy(base_model("llama")))
    step(lm, tmp_path / "runs", text_rows(), learning_rate=0.5)
    moved = changed(lm, start)
    assert moved == {name for name, weight in lm.named_parameters() if weight.requires_grad}
    assert all("lora_" in name or "ia3_" in name or "prompt_encoder" in name for name in moved)

    def scores(ids, one=lm):
        with torch.no_grad():
            return one(ids, attention_mask=batch["attention_mask"]).logits

    ids, action = batch["input_ids"], lm.action
    assert (scores(ids) - scores(ids, plain))[batch["attention_mask"] == 1].abs().max() > 0.1
    assert_equivariant(scores, ids, action, action)
    for settings in ({"do_sample": False}, {"do_sample": True, "seed": 1}):
        mask = {"attention_mask": batch["attention_mask"], "max_new_tokens": 5}
        texts, moved_texts = (lm.generate(x, **mask, **settings) for x in (ids, action.apply(1, ids)))
        assert torch.equal(action.apply(1, texts), moved_texts)

    lm.save_pretrained(tmp_path / "whole")
    loaded = EquiLM.from_pretrained(tmp_path / "whole")
    assert torch.equal(scores(ids, loaded), scores(ids))
    assert isinstance(loaded.unwrap(), PeftModelForCausalLM)
    assert {name for name, weight in loaded.named_parameters() if weight.requires_grad} == moved
    with torch.no_grad():
        assert torch.equal(loaded.unwrap()(**batch).logits, model(**batch).logits)
    (card := tmp_path / "adapter" / "README.md").parent.mkdir()
    card.write_text("---\nlicense: mit\n---\n# My adapter\n")
    loaded.save_base_pretrained(card.parent)
    assert all(text in card.read_text() for text in ("license: mit", "# My adapter", "library_name: peft"))
    again = PeftModel.from_pretrained(copy.deepcopy(base_model("llama")), tmp_path / "adapter").eval()
    with torch.no_grad():
        assert torch.equal(again(**batch).logits, model(**batch).logits)


def test_training_resumes_to_the_bit(tmp_path):
    settings = {"save_strategy": "steps", "save_steps": 2, "max_steps": 4, "learning_rate": 0.5}
    whole, again = symmetrised(adapted()), symmetrised(adapted())
    step(whole, tmp_path, text_rows(), **settings)
    step(again, tmp_path, text_rows(), resume=str(tmp_path / "checkpoint-2"), **settings)
    assert changed(again, snapshot(whole)) == set()


def test_a_merged_base_is_saved_as_a_plain_one(tmp_path):
    model = adapted(init_lora_weights=False)
    lm, ids = symmetrised(model), encoded()["input_ids"]
    assert describe_adapter(lm)["settings"]["target_modules"] == ["q_proj", "v_proj"]
    with torch.no_grad():
        expected = lm(ids).logits
        assert model.merge_and_unload() is lm.base
        assert torch.allclose(lm(ids).logits, expected, atol=1e-4)
    assert describe_adapter(lm) is None
    lm.save_pretrained(tmp_path)
    assert not any("lora" in name for name in load_file(tmp_path / "model.safetensors"))
    assert json.loads((tmp_path / "config.json").read_text())["adapter"] is None


@pytest.mark.skipif(not PEFT_FITS, reason="transformers refuses the installed peft")
def test_adapters_of_transformers_are_kept_too(tmp_path):
    base = copy.deepcopy(base_model("llama"))
    base.add_adapter(LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False))
    lm = symmetrised(base.eval())
    assert lm.unwrap() is base
    lm.save_pretrained(tmp_path)
    loaded = EquiLM.from_pretrained(tmp_path)
    with torch.no_grad():
        assert torch.equal(loaded(**encoded()).logits, lm(**encoded()).logits)


def test_classifiers_of_images(tmp_path):
    model = get_peft_model(classifier("vit"), LoraConfig(r=2, target_modules=["q_proj"]))
    one = hf_equi.symmetrize(model, ImageGroup.rotations(4), "lambda", lambda_units=8, lambda_features="frozen")
    step(one, tmp_path / "runs", rows(), learning_rate=0.5)

    def scores(x, one=one):
        with torch.no_grad():
            return one(pixel_values=x).logits

    assert_equivariant(scores, images(2), one.action)
    one.save_pretrained(tmp_path / "whole")
    loaded = type(one).from_pretrained(tmp_path / "whole")
    assert torch.equal(scores(images(2), loaded), scores(images(2)))
    assert isinstance(loaded.unwrap(), PeftModel)


def test_what_a_checkpoint_cannot_hold_is_refused(tmp_path):
    over = get_peft_model(symmetrised(copy.deepcopy(base_model("llama"))), LoraConfig(r=2, target_modules=["q_proj"]))
    for save in (over.get_base_model().save_pretrained, over.get_base_model().save_base_pretrained):
        with pytest.raises(ConfigurationError, match=r"adapted\.merge_and_unload\(\)\.save_pretrained"):
            save(tmp_path)
    two = adapted()
    two.add_adapter("other", layers("lora", **CAUSAL))
    with pytest.raises(ConfigurationError, match=r"the base has 'default', 'other': delete.*merge_and_unload"):
        symmetrised(two).save_pretrained(tmp_path)
    prompted = adapted("prompt")
    prompted.add_adapter("other", prompts("prompt"))
    with pytest.raises(ConfigurationError, match=r"delete the others with unwrap\(\)\.delete_adapter\(name\)$"):
        symmetrised(prompted).save_pretrained(tmp_path)
    with pytest.raises(ConfigurationError, match="already"):
        hf_equi.symmetrize(over, GENDER, tokenizer=tokenizer())


@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`:UserWarning")
@pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers` to `True`:UserWarning")
@pytest.mark.parametrize(
    "settings",
    [
        {"target_modules": ["c_attn"], "modules_to_save": ["wte"]},
        {"target_modules": ["c_attn"], "modules_to_save": ["lm_head"]},
        {"target_modules": ["lm_head"]},
        {"target_modules": ["c_attn"], "trainable_token_indices": [5]},
    ],
)
def test_adapters_of_tied_embeddings_are_saved_alone(settings, tmp_path):
    config = LoraConfig(r=2, fan_in_fan_out="lm_head" not in settings["target_modules"], **CAUSAL, **settings)
    lm = symmetrised(loosened(get_peft_model(copy.deepcopy(base_model("gpt2")), config)))
    with pytest.raises(ConfigurationError, match=r"ties its embeddings.*model\.unwrap\(\)\.save_pretrained\(folder\)"):
        lm.save_pretrained(tmp_path / "whole")
    lm.save_base_pretrained(tmp_path / "adapter")
    again = symmetrised(PeftModel.from_pretrained(copy.deepcopy(base_model("gpt2")), tmp_path / "adapter").eval())
    with torch.no_grad():
        assert torch.equal(again(**encoded()).logits, lm(**encoded()).logits)


def test_those_of_a_t5_are_too(tmp_path):
    config = LoraConfig(r=2, target_modules=["q"], modules_to_save=["shared"], **PAIRS)
    with pytest.raises(ConfigurationError, match=r"peft has adapted shared, but the base ties its embeddings"):
        wrap(get_peft_model(fresh("t5"), config)).save_pretrained(tmp_path)


@pytest.mark.parametrize(
    "settings", [{"modules_to_save": ["embed_tokens", "lm_head"]}, {"trainable_token_indices": [5]}]
)
def test_those_of_untied_ones_are_kept_whole(settings, tmp_path):
    lm = symmetrised(loosened(adapted(**settings)))
    assert not lm.base.config.tie_word_embeddings
    lm.save_pretrained(tmp_path)
    with torch.no_grad():
        assert torch.equal(EquiLM.from_pretrained(tmp_path)(**encoded()).logits, lm(**encoded()).logits)


@pytest.mark.parametrize(
    "config", [VeraConfig(r=2, target_modules=["q_proj"]), FourierFTConfig(n_frequency=4, target_modules=["q_proj"])]
)
def test_kinds_that_would_not_load_as_they_were_are_merged_or_saved_alone(config, tmp_path):
    model = loosened(get_peft_model(copy.deepcopy(base_model("llama")), config))
    lm, batch = symmetrised(model), encoded()
    ways = (
        rf"the kind {config.peft_type.value}, because.*unwrap\(\)\.merge_and_unload\(\).*unwrap\(\)\.save_pretrained"
    )
    with pytest.raises(ConfigurationError, match=ways):
        lm.save_pretrained(tmp_path / "whole")
    lm.save_base_pretrained(tmp_path / "adapter")
    again = PeftModel.from_pretrained(copy.deepcopy(base_model("llama")), tmp_path / "adapter").eval()
    with torch.no_grad():
        assert torch.equal(again(**batch).logits, model(**batch).logits)
        merged = symmetrised(lm.unwrap().merge_and_unload())
        merged.save_pretrained(tmp_path / "merged")
        assert torch.equal(EquiLM.from_pretrained(tmp_path / "merged")(**batch).logits, merged(**batch).logits)


@pytest.mark.filterwarnings("ignore:Unsupported layer type:UserWarning")  # of norms, by LN tuning itself
@pytest.mark.parametrize("kind", WHOLE_KINDS)
def test_these_kinds_come_back_to_the_bit(kind, tmp_path):
    lm = symmetrised(loosened(get_peft_model(copy.deepcopy(base_model("llama")), of_kind(kind))))
    lm.save_pretrained(tmp_path)
    with torch.no_grad():
        assert torch.equal(EquiLM.from_pretrained(tmp_path)(**encoded()).logits, lm(**encoded()).logits)


@pytest.mark.parametrize("beginning", ["pissa", "olora"])
def test_an_adapter_that_began_at_the_weights_of_its_base_goes_back_there(beginning, tmp_path):
    model = loosened(adapted(init_lora_weights=beginning))
    symmetrised(model).save_pretrained(tmp_path / "whole")
    loaded = EquiLM.from_pretrained(tmp_path / "whole")
    loaded.save_pretrained(tmp_path / "again")
    loaded = EquiLM.from_pretrained(tmp_path / "again")
    loaded.unwrap().save_pretrained(tmp_path / "adapter")
    back = PeftModel.from_pretrained(copy.deepcopy(base_model("llama")), tmp_path / "adapter").eval()
    with torch.no_grad():
        expected = model(**encoded()).logits
        assert torch.equal(loaded.unwrap()(**encoded()).logits, expected)
        assert torch.equal(back(**encoded()).logits, expected)


def test_no_folder_of_this_machine_is_stored(tmp_path):
    tokenizer().save_pretrained(tmp_path / "private")
    where = {"tokenizer_name_or_path": str(tmp_path / "private"), "tokenizer_kwargs": {"revision": "mine"}}
    config = prompts("prompt", prompt_tuning_init="TEXT", prompt_tuning_init_text="he met the man", **where)
    lm = symmetrised(get_peft_model(copy.deepcopy(base_model("llama")), config).eval())
    lm.save_pretrained(tmp_path / "whole")
    stored = (tmp_path / "whole" / "config.json").read_text()
    assert not any(word in stored for word in (str(tmp_path), "he met the man", "mine"))
    with torch.no_grad():
        loaded = EquiLM.from_pretrained(tmp_path / "whole")
        assert torch.equal(loaded(**encoded()).logits, lm(**encoded()).logits)


def test_adapters_that_are_more_than_layers_are_refused():
    activated = adapted(alora_invocation_tokens=[5])
    with pytest.raises(UnsupportedModelError, match=r"activated LoRA.*as LoRA or IA³"):
        symmetrised(activated)
    prompted = AdaptionPromptConfig(adapter_len=2, adapter_layers=1, **CAUSAL)
    with pytest.raises(UnsupportedModelError, match="ADAPTION_PROMPT"):
        symmetrised(get_peft_model(copy.deepcopy(base_model("llama")), prompted))


def test_prompts_of_other_models_are_refused():
    features = get_peft_model(
        copy.deepcopy(base_model("llama")).model, prompts("prompt", task_type="FEATURE_EXTRACTION")
    )
    ways = r"A PeftModelForFeatureExtraction with.*PROMPT_TUNING.*\"CAUSAL_LM\".*\"SEQ_2_SEQ_LM\"\. Use LoRA or IA³"
    with pytest.raises(UnsupportedModelError, match=ways):
        symmetrised(features)


def test_an_entry_that_peft_does_not_know_is_refused():
    unknown = {"peft_type": "UNHEARD"}, {"peft_type": "LORA", "r": 0, "target_modules": ["q_proj"]}
    for settings in (*unknown, {"peft_type": "VERA", "target_modules": ["q_proj"]}):  # the last no save would store
        with pytest.raises(ConfigurationError, match="is not an adapter that the installed peft can make"):
            attach_adapter(copy.deepcopy(base_model("llama")), {"name": "default", "settings": settings})


@pytest.mark.parametrize(
    "entries",
    [
        {"prompt_tuning_init": "TEXT", "prompt_tuning_init_text": "he", "tokenizer_name_or_path": "tokenizer"},
        {
            "peft_type": "MULTITASK_PROMPT_TUNING",
            "prompt_tuning_init": "ONLY_SOURCE_SHARED",
            "prompt_tuning_init_state_dict_path": "w.bin",
        },
        {"peft_type": "SHADOW", "shadow_model": "shadow"},
    ],
)
def test_stored_settings_lead_nowhere_else(entries, tmp_path, monkeypatch):
    """peft would load a tokenizer or a model with code of its own, for which transformers asks, and a pickle."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    seen = []
    monkeypatch.setattr("builtins.input", lambda *_: seen.append("asked") or "n")
    monkeypatch.setattr(torch, "load", lambda *_, **__: seen.append("loaded"))
    for name in ("tokenizer", "shadow"):
        base_model("llama").save_pretrained(tmp_path / name)
        tokenizer().save_pretrained(tmp_path / name)
        config = tmp_path / name / "config.json"
        brought = {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Mine"}}
        config.write_text(json.dumps({**json.loads(config.read_text()), **brought}))
        (tmp_path / name / "mine.py").write_text("class Mine: pass\n")
    prompted = describe_adapter(symmetrised(adapted("prompt")))["settings"]
    settings = entries if "shadow_model" in entries else {**prompted, **entries}
    base = copy.deepcopy(base_model("llama"))
    with contextlib.suppress(ConfigurationError):
        assert attach_adapter(base, {"name": "default", "settings": settings}) is not base
    assert not seen


def test_other_models_stand_for_themselves():
    plain = nn.Linear(2, 2)
    assert bare_base(plain) is plain
    assert bare_base("a name") == "a name"
    assert not has_adapter_layers(plain)
    assert has_adapter_layers(adapted())


@pytest.mark.parametrize("kind", ["prompt", "prefix", "p"])
def test_a_symmetrised_model_takes_no_virtual_tokens(kind):
    lm = symmetrised(copy.deepcopy(base_model("llama")))
    with pytest.raises(
        ConfigurationError,
        match=r"inside the base of a language model.*symmetrize\(get_peft_model\(base, config\), group\)",
    ):
        get_peft_model(lm, prompts(kind))


def test_adapters_for_each_sample_are_refused_within_peft_too():
    """A part of one member a sample has as many rows as there are samples, and peft would take them for those."""
    lm = hf_equi.symmetrize(copy.deepcopy(base_model("llama")), GENDER, tokenizer=tokenizer(), orbit_chunk_size=1)
    model = loosened(get_peft_model(lm, layers("lora", target_modules=["q_proj", "v_proj"], **CAUSAL)))
    texts = tokenizer()(["the man met a", "the woman said he"], return_tensors="pt")
    before = model(**texts).logits
    named = {**texts, "adapter_names": ["default", "__base__"]}
    for call in (model, lambda **given: model.generate(**given, max_new_tokens=2)):
        with pytest.raises(
            ConfigurationError, match=r"adapter_names= names an adapter for each sample .* set_adapter"
        ):
            call(**named)
        assert torch.equal(model(**texts).logits, before)
