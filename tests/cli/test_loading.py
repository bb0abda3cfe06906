"""Groups, tokenizers and models from the command line."""

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
from hf_equi.cli.loading import load_description, load_lm, parse_any_group, parse_group, quiet
from hf_equi.errors import ConfigurationError, GroupError, GroupWarning, HfEquiWarning


def test_a_group_is_a_preset_a_file_or_a_product(tmp_path) -> None:
    whole, factor = tmp_path / "both.json", tmp_path / "gender.json"
    whole.write_text(BOTH.to_json())
    factor.write_text(json.dumps({"equality": [["man", "woman"], ["he", "she"]]}))
    assert parse_group("race") == DemographicGroup.preset("race")
    assert parse_group("gender * race") == DemographicGroup.preset("gender") * DemographicGroup.preset("race")
    assert parse_group("race:White, Asian person") == DemographicGroup.preset("race", ["White", "Asian"])
    assert parse_group(str(whole)) == BOTH
    assert parse_group(str(factor)) == GENDER
    assert parse_group(f"{factor}*race") == GENDER * DemographicGroup.preset("race")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[1]", r'holds no group.*factors.* Write it as {"equality": \[\["man", "woman"\]'),
        ('{"equality": [["man"]]}', "at least two words"),
    ],
)
def test_a_file_that_is_no_group_is_named(tmp_path, content, problem) -> None:
    path = tmp_path / "group.json"
    path.write_text(content)
    with pytest.raises(GroupError, match=rf"{path}.*{problem}"):
        parse_group(str(path))


@pytest.mark.parametrize("read", [parse_group, parse_any_group])
def test_an_element_that_a_preset_lacks_is_all_that_is_said(read) -> None:
    with pytest.raises(GroupError, match=r"No element 'Wite' in this preset: its elements are Black, White, Asian\.$"):
        read("race:Black,Wite")


def test_a_file_of_bytes_is_named(tmp_path) -> None:
    (tmp_path / "group.json").write_bytes(b"\xff\xfe")
    with pytest.raises(GroupError, match="is not JSON"):
        parse_group(str(tmp_path / "group.json"))


def test_a_model_is_loaded_in_float32_with_its_base(folder) -> None:
    lm = load_lm(folder, GENDER, None, "probabilities")
    assert (lm.config.method, lm.config.average, lm.dtype) == ("equitune", "probabilities", torch.float32)
    assert not lm.training


def test_an_equilm_keeps_its_own_group_and_method_unless_others_are_given(equi_folder) -> None:
    own, other = load_lm(equi_folder, None, None, None), load_lm(equi_folder, GENDER, None, None)
    assert (own.group, own.config.method) == (BOTH, "mixture")
    assert (other.group, other.config.method) == (GENDER, "mixture")
    assert load_lm(equi_folder, None, "canonical", None).group == BOTH


def test_a_scorer_that_is_given_takes_the_place_of_the_stored_one(tmp_path) -> None:
    scorer = RegardScorer("demo")
    hf_equi.symmetrize("demo", GENDER, "equizero", scorer=scorer).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["scorer_settings"]["name"] = "me/not-in-the-cache"
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigurationError, match=r"scorer 'me/not-in-the-cache' could not be loaded.* --scorer"):
        load_lm(str(tmp_path), None, None, None)
    assert load_lm(str(tmp_path), None, None, None, scorer=scorer).scorer is scorer
    assert load_lm(str(tmp_path), DemographicGroup([["he", "she"]]), None, None, scorer=scorer).scorer is scorer


def test_a_description_needs_no_weights(folder, tmp_path) -> None:
    from shutil import copytree, ignore_patterns

    copy = copytree(folder, tmp_path / "copy", ignore=ignore_patterns("*.safetensors"))
    config, tokenizer = load_description(str(copy))
    assert config.model_type == "gpt2"
    assert tokenizer.encode("man")
    with pytest.raises(ConfigurationError, match="holds no safetensors"):
        load_lm(str(copy), GENDER, None, None)


def test_a_folder_without_a_model_is_named(tmp_path) -> None:
    with pytest.raises(ConfigurationError, match=r"holds no config\.json"):
        load_description(str(tmp_path))


def test_the_folder_of_an_adapter_says_how_to_load_it(tmp_path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ConfigurationError, match=r"adapter of peft without its base.*PeftModel\.from_pretrained"):
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


@pytest.mark.parametrize(
    ("category", "gap"), [(HfEquiWarning, "..."), (GroupWarning, "... (hf-equi inspect lists all) ...")]
)
def test_of_a_long_warning_the_end_is_kept_which_says_what_to_do(capsys, category, gap) -> None:
    with quiet():
        warnings.warn(f"These stay: {'man/woman; ' * 100}leave them out.", category, stacklevel=1)
    said = capsys.readouterr().err
    assert said.startswith("hf-equi: note: These stay: man/woman; ")
    assert f" man/woman; {gap} man/woman; " in said
    assert said.endswith("leave them out.\n")
    assert len(said) < 460


def test_an_error_comes_alone(capsys) -> None:
    def fail() -> None:
        with quiet():
            warnings.warn("left out: x", HfEquiWarning, stacklevel=1)
            raise GroupError("bad")

    with pytest.raises(GroupError, match="bad"):
        fail()
    assert capsys.readouterr().err == ""
