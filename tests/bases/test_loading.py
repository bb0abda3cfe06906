"""Models are loaded from safetensors alone."""

from __future__ import annotations

import pytest
import torch
from small_models import base_model
from transformers import AutoModelForCausalLM

from hf_equi.bases.loading import load_safetensors, require_safetensors
from hf_equi.errors import ConfigurationError


def test_safetensors_are_loaded_and_settings_passed_on(tmp_path):
    base_model().save_pretrained(tmp_path)
    loaded = load_safetensors(AutoModelForCausalLM, str(tmp_path), dtype=torch.float64)
    assert loaded.dtype == torch.float64
    expected = base_model().state_dict()
    assert all(torch.equal(weight.float(), expected[name]) for name, weight in loaded.state_dict().items())


@pytest.mark.parametrize("settings", [{}, {"use_safetensors": False}, {"use_safetensors": None}])
def test_a_pickle_is_never_read(tmp_path, settings):
    base_model().config.save_pretrained(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"not even a pickle")
    with pytest.raises(ConfigurationError, match=r"holds no safetensors.*save_pretrained"):
        load_safetensors(AutoModelForCausalLM, str(tmp_path), **settings)


def test_a_name_without_a_model_raises_as_in_transformers():
    with pytest.raises(OSError, match="offline mode"):
        load_safetensors(AutoModelForCausalLM, "nobody/nothing")


@pytest.mark.parametrize("variant", [None, "fp16"])
@pytest.mark.parametrize("size", ["1GB", "50KB"])
def test_safetensors_are_found_whole_and_in_parts(tmp_path, variant, size):
    base_model().save_pretrained(tmp_path, variant=variant, max_shard_size=size)
    require_safetensors(str(tmp_path), variant)
    with pytest.raises(ConfigurationError, match="holds no safetensors"):
        require_safetensors(str(tmp_path), "fp8")
