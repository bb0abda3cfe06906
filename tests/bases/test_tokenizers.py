from __future__ import annotations

import json

import pytest
from small_models import tokenizer

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
