"""A damaged adapter is refused by an error that names it."""

from __future__ import annotations

import copy

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from small_models import BOTH, base_model, tokenizer
from transformers import AutoModelForCausalLM

import hf_equi
from hf_equi.errors import ConfigurationError
from hf_equi.training import adapter_config, load_adapter, save_adapter

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # by peft
WEIGHTS = "adapter_model.safetensors"


def cut(name):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:90])


def fill(folder):
    weights = load_file(folder / WEIGHTS)
    weights[min(weights)][0, 0] = float("nan")
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})


def lose(folder):
    weights = load_file(folder / "model.safetensors")
    weights.pop(max(weights))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut("adapter_config.json"), "cannot be read"),
        (lambda folder: (folder / "adapter_config.json").write_text('{"peft_type": 7}'), "cannot be read"),
        (cut(WEIGHTS), "cannot be read"),
        (fill, "holds numbers that are not finite"),
    ],
)
def test_a_damaged_adapter_is_named(tmp_path, damage, message):
    config = LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")
    get_peft_model(copy.deepcopy(base_model("llama")), config).save_pretrained(tmp_path)
    damage(tmp_path)
    lm = hf_equi.symmetrize(copy.deepcopy(base_model("llama")), BOTH, tokenizer=tokenizer())
    with pytest.raises(ConfigurationError, match=rf"{tmp_path}.* {message}"):
        load_adapter(lm, tmp_path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: None, None),
        (lambda folder: fill(folder / "adapter"), "adapter are damaged: .* holds numbers that are not finite"),
        (
            lambda folder: (folder / "adapter" / WEIGHTS).rename(folder / "adapter" / "adapter_model.bin"),
            "not load pickle",
        ),
        (lambda folder: cut(WEIGHTS)(folder / "adapter"), "The adapter .* cannot be read"),
        (lambda folder: lose(folder / "lm"), "The weights of .*lm do not fit its config: missing keys"),
    ],
)
def test_an_adapter_that_an_auto_class_is_given_brings_its_model_whole(tmp_path, damage, message):
    """transformers tells of the loading of the adapter alone, and takes a pickle for it."""
    lm = hf_equi.symmetrize(copy.deepcopy(base_model("llama")), BOTH, tokenizer=tokenizer())
    lm.save_pretrained(tmp_path / "lm")
    lm = hf_equi.EquiLM.from_pretrained(tmp_path / "lm")
    config = LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM", init_lora_weights=False)
    adapted = get_peft_model(lm, adapter_config(lm, config)).eval()
    ids = tokenizer()("the black man met", return_tensors="pt")["input_ids"]
    expected = adapted(input_ids=ids).logits
    adapted.save_pretrained(tmp_path / "adapter")
    damage(tmp_path)
    if message is None:
        torch.testing.assert_close(AutoModelForCausalLM.from_pretrained(tmp_path / "adapter")(ids).logits, expected)
        return
    with pytest.raises(ConfigurationError, match=message):
        AutoModelForCausalLM.from_pretrained(tmp_path / "adapter")


def test_an_adapter_that_cannot_be_saved_leaves_the_one_before(tmp_path, monkeypatch):
    lm = hf_equi.symmetrize(copy.deepcopy(base_model("llama")), BOTH, tokenizer=tokenizer())
    layers = {"target_modules": ["q_proj"], "task_type": "CAUSAL_LM", "init_lora_weights": False}
    adapted = get_peft_model(lm, adapter_config(lm, LoraConfig(r=2, **layers)))
    save_adapter(adapted, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    adapted.add_adapter("second", adapter_config(adapted.get_base_model(), LoraConfig(r=2, lora_alpha=99, **layers)))
    adapted.set_adapter("second")

    def fill(*given, **named):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(LoraConfig, "save_pretrained", fill)
    with pytest.raises(
        ConfigurationError, match=f"could not be written to {tmp_path}: .*No space.* No new files were"
    ):
        save_adapter(adapted, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_an_adapter_that_is_not_in_the_cache_is_called_so(tmp_path):
    """And not a pickle, which nobody knows it to be."""
    lm = hf_equi.symmetrize(base_model("llama"), BOTH, tokenizer=tokenizer())
    with pytest.raises(ConfigurationError, match=r"^The files of the adapter nobody/nothing are not all in the cache"):
        load_adapter(lm, "nobody/nothing", cache_dir=tmp_path)
