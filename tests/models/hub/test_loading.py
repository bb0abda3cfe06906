"""Loading, whole and through the base on the Hub."""

from __future__ import annotations

import json
import shutil

import pytest
import small_seq2seq
import torch
from cached_bases import NAME, REVISION, cache_base
from safetensors.torch import load_file
from small_models import BOTH, GENDER, base_model, tokenizer
from transformers import AutoConfig, AutoModelForCausalLM
from wrapped_texts import PROMPT, scores, wrap

import hf_equi
from hf_equi import EquiForSeq2SeqLM, EquiLM
from hf_equi.errors import ConfigurationError


def test_plain_checkpoint_is_refused(tmp_path):
    base_model().save_pretrained(tmp_path)
    with pytest.raises(ConfigurationError, match=r"holds a 'gpt2' model.*symmetrize"):
        EquiLM.from_pretrained(tmp_path)


@pytest.mark.parametrize("group", [GENDER, GENDER.to_dict()])
def test_a_group_beside_the_stored_one_is_refused(tmp_path, group):
    with pytest.raises(ConfigurationError, match=r"has a group of its own.*symmetrize\(model\.unwrap"):
        EquiLM.from_pretrained(tmp_path, group=group)


def test_without_weights_it_loads_through_its_base(tmp_path):
    cache, saved = tmp_path / "cache", tmp_path / "saved"
    cache_base(cache)
    lm = hf_equi.symmetrize(NAME, BOTH, cache_dir=cache)
    lm.save_pretrained(saved, save_base=False)
    assert not list(saved.glob("*.safetensors"))
    stored = json.loads((saved / "config.json").read_text())
    assert (stored["base_name"], stored["base_revision"]) == (NAME, REVISION)
    loaded, information = AutoModelForCausalLM.from_pretrained(saved, cache_dir=cache, output_loading_info=True)
    assert information == {"missing_keys": set(), "unexpected_keys": set(), "mismatched_keys": set()}
    assert torch.equal(scores(loaded), scores(lm))
    whole = tmp_path / "whole"
    loaded.save_pretrained(whole)
    shutil.rmtree(cache)
    assert torch.equal(scores(AutoModelForCausalLM.from_pretrained(whole)), scores(lm))


def losses(texts):
    return torch.tensor([float(len(text) % 7) for text in texts])


def test_without_weights_the_scorer_goes_to_the_wrapper(tmp_path):
    cache, saved = tmp_path / "cache", tmp_path / "saved"
    cache_base(cache)
    lm = hf_equi.symmetrize(NAME, BOTH, "equizero", scorer=losses, cache_dir=cache)
    lm.save_pretrained(saved, save_base=False)
    loaded = AutoModelForCausalLM.from_pretrained(saved, scorer=losses, cache_dir=cache)
    assert loaded.scorer is losses
    prompt = tokenizer()(PROMPT, return_tensors="pt")
    texts = [model.generate(**prompt, max_new_tokens=4, do_sample=True, seed=3) for model in (lm, loaded)]
    assert torch.equal(*texts)


def test_pickles_are_never_loaded(tmp_path):
    torch.save(base_model().state_dict(), tmp_path / "pytorch_model.bin")
    base_model().config.save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    with pytest.raises(ConfigurationError, match="holds no safetensors, and hf_equi does not load pickle files"):
        hf_equi.symmetrize(tmp_path, BOTH)
    wrap().save_pretrained(tmp_path / "lm")
    weights = load_file(tmp_path / "lm" / "model.safetensors")
    torch.save(weights, tmp_path / "lm" / "pytorch_model.bin")
    (tmp_path / "lm" / "model.safetensors").unlink()
    with pytest.raises(
        ConfigurationError, match=r"holds no safetensors.*Save the model again with its save_pretrained"
    ):
        EquiLM.from_pretrained(tmp_path / "lm")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A checkpoint without weights, beside the cache that holds its base."""
    folder = tmp_path_factory.mktemp("published")
    cache_base(folder / "cache")
    lm = hf_equi.symmetrize(NAME, BOTH, cache_dir=folder / "cache")
    lm.save_pretrained(folder / "saved", save_base=False)
    return folder


def edited(published, tmp_path, **entries):
    """A copy, its config edited."""
    shutil.copytree(published, tmp_path, dirs_exist_ok=True)
    cache, saved = tmp_path / "cache", tmp_path / "saved"
    stored = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps(stored | entries))
    return saved, cache


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"base_name": None}, "holds no name of its base on the Hub"),
        ({"base_revision": None}, "holds no revision of its base on the Hub"),
        ({"base_revision": "main"}, "the revision 'main', which is not a commit"),
        ({"base_revision": 7}, "the revision 7, which is not a commit"),
        ({"base_name": "../base"}, r"'\.\./base', which is not a name on the Hub"),
        ({"base_name": "/tmp"}, "'/tmp', which is not a name on the Hub"),
        ({"base_name": "saved"}, "is 'saved' on the Hub, but .*saved has the same name"),
        ({"base_name": 7}, "stored as 7, which is not a name on the Hub"),
    ],
)
def test_without_weights_the_base_is_one_of_the_hub(published, tmp_path, monkeypatch, entries, message):
    saved, cache = edited(published, tmp_path, **entries)
    monkeypatch.chdir(tmp_path)
    for load in (EquiLM.from_pretrained, AutoModelForCausalLM.from_pretrained):
        with pytest.raises(ConfigurationError, match=message):
            load("saved", cache_dir=cache)
        with pytest.raises(ConfigurationError, match=str(saved)):
            load(saved, cache_dir=cache)


def test_without_weights_a_checkpoint_is_not_its_own_base(published, tmp_path):
    saved, cache = edited(published, tmp_path, base_name="me/symmetrised", base_revision="b" * 40)
    snapshot = cache_base(cache, "me/symmetrised", "b" * 40)
    shutil.rmtree(snapshot)
    shutil.copytree(saved, snapshot)
    message = (
        "The base of me/symmetrised, me/symmetrised at bbbbbbb: The weights of me/symmetrised are not in the cache"
    )
    with pytest.raises(ConfigurationError, match=message):
        AutoModelForCausalLM.from_pretrained("me/symmetrised", cache_dir=cache)


@pytest.mark.parametrize("gone", ["model.safetensors", ""])
def test_without_weights_a_base_that_is_not_in_the_cache_is_called_so(published, tmp_path, gone):
    """And not a pickle, which nobody knows it to be."""
    saved, cache = edited(published, tmp_path)
    shutil.rmtree(cache) if not gone else next(cache.rglob(gone)).unlink()
    message = (
        rf"The base of .*saved, {NAME} at aaaaaaa: The weights of {NAME} are not in the cache, and the Hub cannot"
    )
    with pytest.raises(ConfigurationError, match=message):
        EquiLM.from_pretrained(saved, cache_dir=cache)


def test_without_weights_a_folder_of_the_same_name_is_not_read(published, tmp_path, monkeypatch):
    saved, cache = edited(published, tmp_path)
    monkeypatch.chdir(tmp_path)
    base_model("llama").save_pretrained(tmp_path / NAME)
    with pytest.raises(ConfigurationError, match="has the same name, so transformers would read it"):
        EquiLM.from_pretrained(saved, cache_dir=cache)


@pytest.mark.parametrize("place", [{"subfolder": "sub"}, {"variant": "fp8"}])
def test_without_weights_the_name_alone_has_to_give_them(tmp_path, place):
    snapshot = cache_base(tmp_path / "cache")
    if "subfolder" in place:
        shutil.copytree(snapshot, snapshot / "sub")
    base_model().save_pretrained(snapshot / place.get("subfolder", "."), variant=place.get("variant"))
    lm = hf_equi.symmetrize(NAME, BOTH, cache_dir=tmp_path / "cache", **place)
    with pytest.raises(ConfigurationError, match=r"are not what this name alone gives \(a new head, subfolder="):
        lm.save_pretrained(tmp_path / "saved", save_base=False)


@pytest.mark.parametrize("name", ["adapter_model.bin", "../model.safetensors"])
def test_without_weights_the_stored_config_does_not_lead_to_other_files(published, tmp_path, name):
    base = json.loads((published / "saved" / "config.json").read_text())["base_config"]
    saved, cache = edited(published, tmp_path, base_config={**base, "transformers_weights": name})
    with pytest.raises(ConfigurationError, match=r"names .* among its weights\. hf_equi loads only safetensors"):
        EquiLM.from_pretrained(saved, cache_dir=cache)


def test_without_weights_the_config_is_the_stored_one(published, tmp_path):
    saved, cache = edited(published, tmp_path)
    config = cache_base(cache) / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "layer_norm_epsilon": 0.5}))
    stored = AutoConfig.from_pretrained(saved)
    for given in ({}, {"config": stored}, {"config": stored}):
        assert torch.equal(scores(EquiLM.from_pretrained(saved, cache_dir=cache, **given)), scores(wrap()))


def test_a_checkpoint_that_was_edited_into_another_method_is_refused(tmp_path):
    """Its network would begin at random; who asks for another method by an argument gets a new one."""
    small_seq2seq.wrap("bart", small_seq2seq.TWO).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "method": "lambda"}))
    for asked in ({}, {"method": "lambda"}):
        with pytest.raises(ConfigurationError, match=r"missing keys lambda_network\."):
            EquiForSeq2SeqLM.from_pretrained(tmp_path, **asked)
