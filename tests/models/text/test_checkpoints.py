"""Saving and loading with the tokenizer that the stored permutation belongs to."""

from __future__ import annotations

import json

import pytest
import torch
from cached_bases import NAME, cache_base
from safetensors.torch import load_file, save_file
from small_models import GENDER, base_model, tokenizer
from tokenizers import Tokenizer, normalizers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
from wrapped_texts import scores, wrap

import hf_equi
from hf_equi import EquiLM
from hf_equi.errors import ConfigurationError, HfEquiWarning
from hf_equi.models.text.checkpoints import check_map
from hf_equi.models.text.fingerprint import cut_fingerprint, fingerprint


def other_tokenizer():
    inner = Tokenizer.from_str(tokenizer().backend_tokenizer.to_str())
    inner.add_tokens(["sunshine"])
    return PreTrainedTokenizerFast(tokenizer_object=inner)


def test_another_tokenizer_is_refused(tmp_path):
    lm = wrap()
    with pytest.raises(ConfigurationError, match="not the one that the stored token permutation was made with"):
        lm.tokenizer = other_tokenizer()
    lm.save_pretrained(tmp_path)
    other_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(ConfigurationError, match="not the one that the stored token permutation was made with"):
        AutoModelForCausalLM.from_pretrained(tmp_path)


@pytest.mark.parametrize("other", ["gpt2", None, 7])
def test_what_is_not_a_tokenizer_is_refused(other):
    with pytest.raises(ConfigurationError, match="is not a tokenizer of transformers: pass AutoTokenizer"):
        wrap().tokenizer = other


def test_a_tokenizer_that_cuts_in_another_way_is_refused(tmp_path):
    lm = wrap()
    inner = Tokenizer.from_str(tokenizer().backend_tokenizer.to_str())
    inner.normalizer = normalizers.Lowercase()
    other = PreTrainedTokenizerFast(tokenizer_object=inner)
    with pytest.raises(ConfigurationError, match="cuts texts in another way"):
        lm.tokenizer = other
    lm.save_pretrained(tmp_path)
    other.save_pretrained(tmp_path)
    with pytest.raises(ConfigurationError, match="cuts texts in another way"):
        AutoModelForCausalLM.from_pretrained(tmp_path)


def test_the_vocabulary_is_read_only_when_it_is_needed(tmp_path, monkeypatch):
    """Real ones have 50,000 tokens and more: each reading takes a tenth of the time of loading the base."""
    read = PreTrainedTokenizerFast.get_vocab
    counted = []
    monkeypatch.setattr(PreTrainedTokenizerFast, "get_vocab", lambda self: counted.append(self) or read(self))
    lm = hf_equi.symmetrize(base_model(), GENDER, tokenizer=tokenizer())
    scores(lm)
    assert not counted
    assert lm.config.tokenizer_fingerprint == fingerprint(tokenizer(), read(tokenizer()))
    assert lm.config.tokenizer_cut_fingerprint == cut_fingerprint(tokenizer(), read(tokenizer()))
    assert len(counted) == 1
    lm.save_pretrained(tmp_path)
    counted.clear()
    loaded = EquiLM.from_pretrained(tmp_path)
    assert torch.equal(scores(loaded), scores(lm))
    loaded.config.to_dict()
    assert not counted
    lm.save_pretrained(cache_base(tmp_path / "cache"))
    counted.clear()
    EquiLM.from_pretrained(NAME, cache_dir=tmp_path / "cache").config.to_dict()
    assert not counted


def test_a_tokenizer_without_its_seal_is_checked_in_full(tmp_path, monkeypatch):
    """After any change that shows outside of the vocabulary, such as another release."""
    read = PreTrainedTokenizerFast.get_vocab
    counted = []
    monkeypatch.setattr(PreTrainedTokenizerFast, "get_vocab", lambda self: counted.append(self) or read(self))
    lm = wrap()
    lm.save_pretrained(tmp_path)

    def reads() -> int:
        counted.clear()
        EquiLM.from_pretrained(tmp_path)
        return len(counted)

    assert reads() == 0
    with monkeypatch.context() as patch:
        patch.setattr("hf_equi.models.text.tokenizer_state.RELEASES", ("5.0", "0.22"))
        assert reads() == 1
    for change in ("tokenizer.json", "tokenizer_config.json"):
        path = tmp_path / change
        before = path.read_text()
        path.write_text(before + "\n")
        assert reads() == 1
        path.write_text(before)
    (tmp_path / "special_tokens_map.json").write_text("{}")
    assert reads() == 1
    (tmp_path / "special_tokens_map.json").unlink()
    assert reads() == 0
    tamper(tmp_path, lambda config: config.update(tokenizer_fingerprint="0" * 32))
    with pytest.raises(ConfigurationError, match="not the one that the stored token permutation was made with"):
        EquiLM.from_pretrained(tmp_path)


def test_a_checkpoint_of_the_first_version_learns_how_its_tokenizer_cuts(tmp_path):
    wrap().save_pretrained(tmp_path)
    tamper(tmp_path, lambda config: config.pop("tokenizer_cut_fingerprint"))
    lm = EquiLM.from_pretrained(tmp_path)
    assert lm.config.tokenizer_cut_fingerprint is None
    lm.save_pretrained(tmp_path)
    stored = json.loads((tmp_path / "config.json").read_text())
    assert stored["tokenizer_cut_fingerprint"] == cut_fingerprint(tokenizer())


def test_a_map_that_disagrees_with_the_words_is_refused_with_every_tokenizer(tmp_path):
    """Two entries exchanged: "the she said woman left"."""
    wrap().save_pretrained(tmp_path)

    def exchange(config):
        (first, second), *_ = sets = config["token_map"]["sets"][0]
        sets[0], sets[1] = [first, sets[1][1]], [sets[1][0], second]

    tamper(tmp_path, exchange)
    with pytest.raises(ConfigurationError, match=r"token_map of .* does not move the words of its group"):
        EquiLM.from_pretrained(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).unlink()
    lm = EquiLM.from_pretrained(tmp_path)
    with pytest.raises(ConfigurationError, match=r"token_map of .* does not move the words of its group"):
        lm.tokenizer = tokenizer()
    assert lm._tokenizer is None


def test_checkpoint_without_a_tokenizer(tmp_path):
    wrap().save_pretrained(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).unlink()
    loaded = EquiLM.from_pretrained(tmp_path)
    with pytest.raises(ConfigurationError, match=r"Set it: lm\.tokenizer"):
        loaded.tokenizer  # noqa: B018
    loaded.tokenizer = tokenizer()
    assert torch.equal(scores(loaded), scores(wrap()))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tokenizer.json", "{"),
        ("tokenizer.json", "{}"),
        ("tokenizer.json", "[]"),
        ("tokenizer_config.json", "[]"),
        ("tokenizer_config.json", '{"tokenizer_class": 3}'),
    ],
)
def test_a_tokenizer_that_cannot_be_read_is_named(tmp_path, name, text):
    lm = wrap()
    lm.save_pretrained(tmp_path)
    (tmp_path / name).write_text(text)
    with pytest.warns(HfEquiWarning, match="holds a tokenizer that cannot be read.*set lm.tokenizer"):
        loaded = EquiLM.from_pretrained(tmp_path)
    loaded.tokenizer = lm.tokenizer
    assert torch.equal(scores(loaded), scores(lm))


def tamper(folder, change):
    path = folder / "config.json"
    stored = json.loads(path.read_text())
    change(stored)
    path.write_text(json.dumps(stored))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda c: c["token_map"]["sets"][0][0].__setitem__(1, c["token_map"]["sets"][0][0][0]),
            "is not a permutation",
        ),
        (lambda c: c["token_map"]["sets"][0][0].__setitem__(1, 9999), "outside the vocabulary"),
        (lambda c: c["token_map"]["sets"][1][0].pop(), "the group has factors of"),
        (lambda c: c["token_map"].__setitem__("vocab_size", 500), "made for 500 tokens, but the base has 343"),
        (
            lambda c: c.__setitem__("method", "magic"),
            "method='magic' is not known to .*'canonical', 'equitune'",
        ),
    ],
)
def test_tampered_config_is_refused(tmp_path, change, message):
    wrap().save_pretrained(tmp_path)
    tamper(tmp_path, change)
    with pytest.raises(Exception, match=message):
        AutoModelForCausalLM.from_pretrained(tmp_path).action  # noqa: B018


def test_tables_are_never_read_from_the_checkpoint(tmp_path):
    lm = wrap()
    assert not list(lm.buffers()) or all("permutation" not in name for name, _ in lm.named_buffers())
    lm.save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    weights["permutations"] = torch.zeros(6, 343, dtype=torch.long)
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ConfigurationError, match="unexpected keys permutations"):
        EquiLM.from_pretrained(tmp_path)


def test_a_map_has_to_be_that_of_the_words():
    relaxed = hf_equi.DemographicGroup([["man", "woman"]], neutral=["nurse", "driver"])
    config = hf_equi.symmetrize(base_model(), relaxed, tokenizer=tokenizer()).config
    check_map(config, "token_map", tokenizer(), "here")
    config.token_map = {**config.token_map, "neutral": [config.token_map["neutral"][0][:-1]]}
    with pytest.raises(ConfigurationError, match="token_map of here lists other neutral or general tokens"):
        check_map(config, "token_map", tokenizer(), "here")


def test_a_map_of_words_has_to_be_that_of_the_words(tmp_path):
    group = hf_equi.DemographicGroup([["man", "woman"], ["zebra", "giraffe"]])
    lm = hf_equi.symmetrize(base_model(), group, tokenizer=tokenizer(), multi_token="compose")
    lm.save_pretrained(tmp_path)
    assert AutoModelForCausalLM.from_pretrained(tmp_path).action.same_as(lm.action)
    tamper(tmp_path, lambda c: c["token_map"]["composed"][0].pop())
    with pytest.raises(ConfigurationError, match=r"takes the tokens '.*\+.*' to '.*', but the words take it"):
        AutoModelForCausalLM.from_pretrained(tmp_path)


def test_a_map_has_to_move_each_token_by_the_factor_of_its_word():
    group = hf_equi.DemographicGroup([["man", "woman"]]) * hf_equi.DemographicGroup([["he", "she"]])
    config = hf_equi.symmetrize(base_model(), group, tokenizer=tokenizer()).config
    config.token_map = {**config.token_map, "sets": config.token_map["sets"][::-1]}
    with pytest.raises(ConfigurationError, match="does not move the words of its group"):
        check_map(config, "token_map", tokenizer(), "here")
