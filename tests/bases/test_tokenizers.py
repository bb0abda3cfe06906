from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from small_models import tokenizer
from transformers import AutoTokenizer, BertTokenizer, ByT5Tokenizer, GPT2Tokenizer, LlamaTokenizer, T5Tokenizer

from hf_equi.bases.tokenizers import read_tokenizer
from hf_equi.errors import ConfigurationError


def test_a_tokenizer_is_loaded(tmp_path):
    tokenizer().save_pretrained(tmp_path)
    assert read_tokenizer(tmp_path).get_vocab() == tokenizer().get_vocab()


@pytest.mark.parametrize(
    ("file", "entries"),
    [("tokenizer.json", {"model": 7}), ("tokenizer_config.json", {"model_max_length": "long"})],
)
def test_damage_is_named_whether_loading_or_a_text_finds_it(tmp_path, file, entries):
    tokenizer().save_pretrained(tmp_path)
    stored = json.loads((tmp_path / file).read_text())
    (tmp_path / file).write_text(json.dumps(stored | entries))
    with pytest.raises(ConfigurationError, match=f"The tokenizer of {tmp_path} cannot be read"):
        read_tokenizer(tmp_path)


def test_where_there_is_none_it_says_how_to_pass_one(tmp_path):
    with pytest.raises(ConfigurationError, match=rf"The tokenizer of {tmp_path} .*pass another tokenizer: tokenizer="):
        read_tokenizer(tmp_path)
    with pytest.raises(OSError, match="offline mode"):
        read_tokenizer("nobody/nothing")


def parsed(monkeypatch, folder):
    """Load the tokenizer of a folder, and count how often Python reads its whole file."""
    sizes = []
    load = json.load

    def counting(file, *args, **kwargs):
        if Path(file.name).name == "tokenizer.json":
            sizes.append(file.name)
        return load(file, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(json, "load", counting)
        return read_tokenizer(folder), len(sizes)


def state(made):
    settings = {name: str(value) for name, value in made.init_kwargs.items()}
    return made.backend_tokenizer.to_str(), settings, made.added_tokens_decoder, str(made)


def test_the_vocabulary_is_not_read_twice(tmp_path, monkeypatch):
    """Reading the vocabulary of a real tokenizer once more takes a fifth of the time of loading a small model."""
    kept = copy.deepcopy(tokenizer())
    kept.add_tokens(["sunshine"])
    kept.add_special_tokens({"extra_special_tokens": ["<turn>"]})
    kept.save_pretrained(tmp_path)
    loaded, count = parsed(monkeypatch, tmp_path)
    assert count == 0
    assert state(loaded) == state(AutoTokenizer.from_pretrained(tmp_path))
    assert loaded("sunshine <turn>") == kept("sunshine <turn>")


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("added_tokens.json", {"sunshine": 343}),
        ("special_tokens_map.json", {"pad_token": "sunshine"}),
        ("tokenizer_config.json", {"added_tokens_decoder": {"343": {"content": "sunshine"}}}),
    ],
)
def test_files_of_older_releases_have_their_say(tmp_path, file, content):
    tokenizer().save_pretrained(tmp_path)
    path = tmp_path / file
    before = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(before | content))
    loaded = read_tokenizer(tmp_path)
    assert state(loaded) == state(AutoTokenizer.from_pretrained(tmp_path))
    assert state(loaded) != state(tokenizer())


PIECES = {token: place for place, token in enumerate(["<pad>", "</s>", "<unk>", "<s>", "\u2581", "\u0120", *"manwo"])}
FAMILIES = {
    "BPE": lambda: LlamaTokenizer(vocab=dict(PIECES), merges=[]),
    "byte-level BPE": lambda: GPT2Tokenizer(vocab=dict(PIECES), merges=[]),
    "Unigram": lambda: T5Tokenizer(vocab=[(token, -1.0) for token in PIECES]),
    "WordPiece": lambda: BertTokenizer(vocab={"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "man": 4}),
    "bytes": ByT5Tokenizer,
}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_loaded_as_transformers_does(tmp_path, family):
    made = FAMILIES[family]()
    made.add_tokens(["sunshine"])
    made.save_pretrained(tmp_path)
    loaded, plain = read_tokenizer(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    assert str(loaded) == str(plain)
    assert loaded.added_tokens_decoder == plain.added_tokens_decoder
    assert loaded("a man in sunshine") == plain("a man in sunshine")
    assert loaded.get_vocab() == plain.get_vocab() == made.get_vocab()
