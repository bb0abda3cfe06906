"""A damaged adapter is refused by an error that names it."""

from __future__ import annotations

import copy

import pytest
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from small_models import BOTH, base_model, tokenizer

import hf_equi
from hf_equi.errors import ConfigurationError
from hf_equi.training import load_adapter

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # by peft
WEIGHTS = "adapter_model.safetensors"


def cut(name):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:90])


def fill(folder):
    weights = load_file(folder / WEIGHTS)
    weights[min(weights)][0, 0] = float("nan")
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})


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
