"""Tokenizers and models from the command line."""

from __future__ import annotations

import json
import warnings

import pytest
import torch
from small_models import BOTH, GENDER
from transformers.utils import logging

import hf_equi
import hf_equi.cli.loading
from hf_equi import DemographicGroup, RegardScorer
from hf_equi.cli.loading import load_description, load_lm, locate, quiet, read_scorer
from hf_equi.errors import ConfigurationError, GroupError, HfEquiWarning


def test_a_model_is_loaded_in_float32_with_its_base(folder) -> None:
    lm = load_lm(folder, GENDER, (None, "probabilities"))
    assert (lm.config.method, lm.config.average, lm.dtype) == ("equitune", "probabilities", torch.float32)
    assert not lm.training


def test_an_equilm_keeps_its_own_group_and_method_unless_others_are_given(equi_folder) -> None:
    own, other = load_lm(equi_folder, None), load_lm(equi_folder, GENDER)
    assert (own.group, own.config.method) == (BOTH, "mixture")
    assert (other.group, other.config.method) == (GENDER, "mixture")
    assert load_lm(equi_folder, None, ("canonical", None)).group == BOTH


def test_a_scorer_that_is_given_takes_the_place_of_the_stored_one(tmp_path) -> None:
    scorer = RegardScorer("demo")
    hf_equi.symmetrize("demo", GENDER, "equizero", scorer=scorer).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["scorer_settings"]["name"] = "me/not-in-the-cache"
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigurationError, match=r"scorer 'me/not-in-the-cache' could not be loaded.* --scorer"):
        load_lm(str(tmp_path), None)
    assert load_lm(str(tmp_path), None, scorer=scorer).scorer is scorer
    assert load_lm(str(tmp_path), DemographicGroup([["he", "she"]]), scorer=scorer).scorer is scorer


def test_a_description_needs_no_weights(folder, tmp_path) -> None:
    from shutil import copytree, ignore_patterns

    copy = copytree(folder, tmp_path / "copy", ignore=ignore_patterns("*.safetensors"))
    config, tokenizer = load_description(str(copy))
    assert config.model_type == "gpt2"
    assert tokenizer.encode("man")
    with pytest.raises(ConfigurationError, match=r"copy holds no weights: model\.safetensors is missing"):
        load_lm(str(copy), GENDER)


def test_a_folder_without_a_model_is_named(tmp_path) -> None:
    with pytest.raises(ConfigurationError, match=r"holds no config\.json"):
        load_description(str(tmp_path))


def test_the_folder_of_an_adapter_says_how_to_load_it(tmp_path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ConfigurationError, match=r"peft adapter without its base.*PeftModel\.from_pretrained"):
        load_description(str(tmp_path))


def test_a_missing_embedded_model_is_named(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(hf_equi.cli.loading, "embedded_folder", lambda name: tmp_path / name)
    with pytest.raises(ConfigurationError, match="embedded model is not installed"):
        load_description("demo")


def test_silence_is_kept_but_for_this_librarys_warnings_and_ends(capsys) -> None:
    level = logging.get_verbosity()
    with quiet():
        assert logging.get_verbosity() == logging.ERROR
        warnings.warn("advice", FutureWarning, stacklevel=1)
        for _ in range(2):
            warnings.warn("left out: x", HfEquiWarning, stacklevel=1)
    assert capsys.readouterr().err == "hf-equi: note: left out: x\n"
    assert logging.get_verbosity() == level


def test_of_a_long_warning_the_end_is_kept_which_says_what_to_do(capsys) -> None:
    with quiet():
        warnings.warn(f"These stay: {'man/woman; ' * 100}leave them out.", HfEquiWarning, stacklevel=1)
    said = capsys.readouterr().err
    assert said.startswith("hf-equi: note: These stay: man/woman; ")
    assert " man/woman; ... man/woman; " in said
    assert said.endswith("leave them out.\n")
    assert len(said) < 520


def test_an_error_comes_alone(capsys) -> None:
    def fail() -> None:
        with quiet():
            warnings.warn("left out: x", HfEquiWarning, stacklevel=1)
            raise GroupError("bad")

    with pytest.raises(GroupError, match="bad"):
        fail()
    assert capsys.readouterr().err == ""


def test_a_scorer_is_named_with_its_label_or_without(tmp_path) -> None:
    assert type(read_scorer("demo")) is RegardScorer
    assert read_scorer("demo:Negative").label == "negative"
    folder = tmp_path / "mine:1"
    RegardScorer("demo").model.save_pretrained(folder)
    RegardScorer("demo").tokenizer.save_pretrained(folder)
    assert type(read_scorer(str(folder))) is RegardScorer
    assert read_scorer(f"{folder}:neutral").settings["label"] == "neutral"
    with pytest.raises(ConfigurationError, match="label='1' is not known: use one of 'negative'"):
        read_scorer("demo:1")
    with pytest.raises(ConfigurationError, match="names no label"):
        read_scorer(f"{folder}:")


def test_a_folder_that_is_misspelt_is_not_looked_for_on_the_hub(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("smollm2", "mobilenet"):
        (tmp_path / "real" / name).mkdir(parents=True)
        (tmp_path / "real" / name / "config.json").write_text("{}")
    with pytest.raises(ConfigurationError, match=r"'real/smolm2' does not exist\. Did you mean 'real/smollm2'"):
        locate("real/smolm2")
    assert locate("real/gpt2") == "real/gpt2"  # which may be on the Hub
