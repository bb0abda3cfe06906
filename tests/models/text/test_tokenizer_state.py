"""What is read of a tokenizer in a moment shows that it has changed, so its fingerprints can wait."""

from __future__ import annotations

import copy
import json
import pickle

import pytest
from small_models import GENDER, base_model, tokenizer
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers
from transformers import ByT5Tokenizer, PreTrainedTokenizerFast

import hf_equi
from hf_equi.errors import ConfigurationError
from hf_equi.models.text.fingerprint import SAMPLE, cut_fingerprint, cut_texts, fingerprint
from hf_equi.models.text.tokenizer_state import CHANGED, Fingerprints, Later, glance, seal


def own() -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(tokenizer().backend_tokenizer.to_str()))


def exchange(tokens: PreTrainedTokenizerFast, *, backend: bool) -> None:
    """Exchange the ids of two tokens that neither the sample nor the group has."""
    content = json.loads(tokens.backend_tokenizer.to_str())
    vocabulary = content["model"]["vocab"]
    used = {token for ids in cut_texts(tokens, list(SAMPLE)) for token in ids or ()}
    one, two = [token for token, place in vocabulary.items() if place not in used and len(token) > 3][-2:]
    vocabulary[one], vocabulary[two] = vocabulary[two], vocabulary[one]
    changed = Tokenizer.from_str(json.dumps(content))
    if backend:
        tokens._tokenizer = changed
    else:
        tokens.backend_tokenizer.model = changed.model


CHANGES = {
    "ids": lambda tokens: exchange(tokens, backend=False),
    "the tokenizer inside": lambda tokens: exchange(tokens, backend=True),
    "a token": lambda tokens: tokens.add_tokens(["sunshine"]),
    "a special token": lambda tokens: tokens.add_tokens([AddedToken("<turn>", special=True)]),
    "a token that strips": lambda tokens: tokens.add_tokens([AddedToken("he", lstrip=True)]),
    "normaliser": lambda tokens: setattr(tokens.backend_tokenizer, "normalizer", normalizers.Lowercase()),
    "pre-tokenizer": lambda tokens: setattr(tokens.backend_tokenizer, "pre_tokenizer", pre_tokenizers.Whitespace()),
    "merges": lambda tokens: setattr(tokens.backend_tokenizer, "model", models.BPE(tokens.get_vocab(), [])),
    "a setting of the model": lambda tokens: setattr(tokens.backend_tokenizer.model, "dropout", 0.5),
    "special tokens in texts": lambda tokens: setattr(tokens, "split_special_tokens", True),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changes_in_place_show(change, tmp_path):
    tokens = own()
    lm = hf_equi.symmetrize(base_model(), GENDER, tokenizer=tokens)
    assert glance(tokens) == glance(own())
    CHANGES[change](tokens)
    assert lm.config.tokenizer_fingerprint == lm.config.tokenizer_cut_fingerprint == CHANGED
    with pytest.raises(ConfigurationError, match="changed since"):
        lm.save_pretrained(tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_does_not_move_or_cut_does_not_count():
    tokens = own()
    tokens.padding_side, tokens.truncation_side, tokens.model_max_length = "right", "left", 3
    tokens.chat_template = "{{ messages }}"
    assert glance(tokens) == glance(own())


def test_a_tokenizer_with_parts_in_python_is_read_at_once():
    class Own:
        def pre_tokenize(self, text):
            text.split(lambda place, piece: [piece])

    custom = own()
    custom.backend_tokenizer.pre_tokenizer = pre_tokenizers.PreTokenizer.custom(Own())
    for tokens in (custom, ByT5Tokenizer()):
        assert glance(tokens) is None
        found = Fingerprints(tokens)
        before = fingerprint(tokens), cut_fingerprint(tokens)
        tokens.add_tokens(["sunshine"])
        assert found.both() == before


def test_an_entry_is_its_value_in_all_that_is_kept():
    lm = hf_equi.symmetrize(base_model(), GENDER, tokenizer=own())
    expected = fingerprint(tokenizer())

    def waits(config) -> bool:
        return isinstance(config.__dict__["tokenizer_fingerprint"], Later)

    assert waits(lm.config)
    copied = copy.deepcopy(lm.config)
    assert not waits(copied)
    assert copied == lm.config
    assert lm.config == copied
    assert pickle.loads(pickle.dumps(lm.config)).tokenizer_fingerprint == expected
    assert lm.config.to_dict()["tokenizer_fingerprint"] == expected
    assert json.loads(lm.config.to_json_string())["tokenizer_fingerprint"] == expected
    lm.config.tokenizer_fingerprint = None
    assert lm.config.tokenizer_fingerprint is None
    assert type(lm.config).tokenizer_fingerprint is None


def test_a_seal_belongs_to_a_folder_and_to_fingerprints(tmp_path):
    class Own(PreTrainedTokenizerFast):
        """Code of a checkpoint, which may do as it likes."""

    tokens = own()
    known = fingerprint(tokens), cut_fingerprint(tokens)
    assert seal(tokens, tmp_path, known) is None
    tokens.save_pretrained(tmp_path)
    made = seal(tokens, tmp_path, known)
    assert made == seal(PreTrainedTokenizerFast.from_pretrained(tmp_path), tmp_path, known)
    assert made != seal(tokens, tmp_path, (known[0], None))
    assert seal(Own.from_pretrained(tmp_path), tmp_path, known) is None
    (tmp_path / "merges.txt").write_text("m a")
    assert made == seal(tokens, tmp_path, known)  # this class does not read it
    (tmp_path / "added_tokens.json").write_text("{}")
    assert made != seal(tokens, tmp_path, known)
