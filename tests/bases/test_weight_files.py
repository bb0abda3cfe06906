"""Of a checkpoint safetensors in its folder are read, and nothing else, whatever names it."""

from __future__ import annotations

import json
import pickle

import pytest
from cached_bases import NAME, cache_base
from small_models import base_model
from transformers import AutoModelForCausalLM

from hf_equi.bases.loading import load_safetensors
from hf_equi.bases.weight_files import require_safetensors
from hf_equi.errors import ConfigurationError


class Trap:
    """Writes a file when its pickle is read."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return (open, (str(self.folder / "read"), "w"))


def edit_json(path, **entries):
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


@pytest.mark.parametrize("settings", [{}, {"use_safetensors": False}, {"use_safetensors": None}])
def test_a_pickle_is_never_read(tmp_path, settings):
    base_model().config.save_pretrained(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"not even a pickle")
    with pytest.raises(ConfigurationError, match=r"holds no safetensors.*save_pretrained"):
        load_safetensors(AutoModelForCausalLM, str(tmp_path), **settings)


@pytest.mark.parametrize(
    "name", ["w.bin", "../trap/model.safetensors", "/tmp/model.safetensors", "a\\b.safetensors", 7]
)
@pytest.mark.parametrize("by", ["index", "config"])
def test_no_index_and_no_config_names_a_pickle_or_a_file_elsewhere(tmp_path, by, name):
    folder = tmp_path / "model"
    base_model().save_pretrained(folder, max_shard_size="50KB" if by == "index" else "1GB")
    (folder / "w.bin").write_bytes(pickle.dumps(Trap(tmp_path)))
    base_model().save_pretrained(tmp_path / "trap")
    if by == "index":
        index = folder / "model.safetensors.index.json"
        names = json.loads(index.read_text())["weight_map"]
        edit_json(index, weight_map={**names, min(names): name})
    else:
        edit_json(folder / "config.json", transformers_weights=name)
    with pytest.raises(
        ConfigurationError, match=rf"{by}.* names .* among its weights\. hf_equi loads only safetensors"
    ):
        load_safetensors(AutoModelForCausalLM, str(folder))
    assert not (tmp_path / "read").exists()


@pytest.mark.parametrize("by", ["release", "part", "other entry"])
def test_no_other_way_to_name_weights_leads_to_a_pickle(tmp_path, by):
    """The file for this release, the config of a part whose model is loaded, and an entry that stands for another."""
    base_model().save_pretrained(tmp_path)
    (tmp_path / "w.bin").write_bytes(pickle.dumps(Trap(tmp_path)))
    index = {"metadata": {}, "weight_map": dict.fromkeys(base_model().state_dict(), "w.bin")}
    (tmp_path / "a.safetensors.index.json").write_text(json.dumps(index))
    named = {"transformers_weights": "a.safetensors.index.json"}
    if by == "release":
        entries = json.loads((tmp_path / "config.json").read_text())
        (tmp_path / "config.4.0.0.json").write_text(json.dumps({**entries, **named}))
        edit_json(tmp_path / "config.json", configuration_files=["config.4.0.0.json"])
    elif by == "part":
        edit_json(tmp_path / "config.json", text_config=named)
    else:
        known = {**base_model().config.attribute_map, "transformers_weights": "other"}
        edit_json(tmp_path / "config.json", attribute_map=known, other="a.safetensors.index.json")
    with pytest.raises(ConfigurationError, match=r"names 'w\.bin' among its weights"):
        load_safetensors(AutoModelForCausalLM, str(tmp_path))
    assert not (tmp_path / "read").exists()


@pytest.mark.parametrize("entries", [{"weight_map": 7}, {"weight_map": {"a": ["b"]}}, {"metadata": None}])
def test_a_damaged_index_is_named(tmp_path, entries):
    base_model().save_pretrained(tmp_path, max_shard_size="50KB")
    edit_json(tmp_path / "model.safetensors.index.json", **entries)
    with pytest.raises(ConfigurationError, match=r"model\.safetensors\.index\.json"):
        load_safetensors(AutoModelForCausalLM, str(tmp_path))


def test_a_file_of_the_config_that_is_safetensors_is_loaded(tmp_path):
    base_model().save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "other.safetensors")
    edit_json(tmp_path / "config.json", transformers_weights="other.safetensors")
    load_safetensors(AutoModelForCausalLM, str(tmp_path))


def test_an_adapter_beside_the_weights_is_refused(tmp_path):
    """transformers would load the base that it names, and its pickle."""
    base_model().save_pretrained(tmp_path)
    (tmp_path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "nobody/nothing"}))
    (tmp_path / "adapter_model.bin").write_bytes(pickle.dumps(Trap(tmp_path)))
    with pytest.raises(ConfigurationError, match=r"holds a peft adapter.*its own folder"):
        load_safetensors(AutoModelForCausalLM, str(tmp_path))
    assert not (tmp_path / "read").exists()


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path):
    base_model().save_pretrained(tmp_path)
    with pytest.raises(ConfigurationError, match="is a file: pass the folder that holds it"):
        load_safetensors(AutoModelForCausalLM, str(tmp_path / "model.safetensors"))


@pytest.mark.parametrize("variant", [None, "fp16"])
@pytest.mark.parametrize("size", ["1GB", "50KB"])
def test_safetensors_are_found_whole_and_in_parts(tmp_path, variant, size):
    base_model().save_pretrained(tmp_path, variant=variant, max_shard_size=size)
    require_safetensors(str(tmp_path), variant)
    with pytest.raises(ConfigurationError, match=r"holds no weights: model\.fp8\.safetensors is missing\. Save the"):
        require_safetensors(str(tmp_path), "fp8")


@pytest.mark.parametrize(
    ("file", "variant"),
    [
        ("pytorch_model.bin", None),
        ("pytorch_model.bin.index.json", None),
        ("pytorch_model.fp16.bin", None),
        ("pytorch_model.fp16.bin", "fp16"),
        ("tf_model.h5", None),
    ],
)
def test_what_a_cache_holds_of_a_repository_is_said(tmp_path, file, variant):
    """Where the Hub cannot be asked whether it has more."""
    snapshot = cache_base(tmp_path)
    (snapshot / "model.safetensors").unlink()
    (snapshot / "training_args.bin").write_bytes(b"")
    with pytest.raises(ConfigurationError, match=rf"^The weights of {NAME} are not in the cache, and the Hub cannot"):
        require_safetensors(NAME, variant, cache_dir=tmp_path)
    (snapshot / file).write_bytes(b"")
    with pytest.raises(ConfigurationError, match=rf"^The cache holds {file} of {NAME} but no safetensors.*save_pretr"):
        require_safetensors(NAME, variant, cache_dir=tmp_path)
