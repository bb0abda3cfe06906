from __future__ import annotations

import re

import pytest
from small_models import tokenizer
from tokenizers import Tokenizer, models
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from hf_equi.errors import ConfigurationError
from hf_equi.models.fingerprint import check_tokenizer, fingerprint


def words_tokenizer(vocabulary: dict[str, int]) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel(vocabulary, unk_token="a")))


PLAIN = {"a": 0, "b": 1, "c": 2}


def test_fingerprint_is_a_short_hash():
    assert re.fullmatch("[0-9a-f]{32}", fingerprint(tokenizer()))


def test_fingerprint_is_the_same_everywhere():
    # A constant, so that checkpoints of today are known to later releases.
    assert fingerprint(words_tokenizer(PLAIN)) == "02d7d3873ed85fbf0f1e7b3d02a011e3"


def test_fingerprint_does_not_depend_on_the_order_of_the_entries():
    assert fingerprint(words_tokenizer({"c": 2, "a": 0, "b": 1})) == fingerprint(words_tokenizer(PLAIN))


@pytest.mark.parametrize(
    "other", [{"a": 0, "b": 2, "c": 1}, {"a": 0, "b": 1}, {"a": 0, "b": 1, "d": 2}, {**PLAIN, "d": 3}]
)
def test_fingerprint_tells_vocabularies_apart(other):
    assert fingerprint(words_tokenizer(other)) != fingerprint(words_tokenizer(PLAIN))


def test_fingerprint_counts_added_tokens():
    extended = words_tokenizer(PLAIN)
    extended.add_tokens(["he"])
    assert fingerprint(extended) != fingerprint(words_tokenizer(PLAIN))


def test_fingerprint_survives_saving(tmp_path):
    tokenizer().save_pretrained(tmp_path)
    assert fingerprint(AutoTokenizer.from_pretrained(tmp_path)) == fingerprint(tokenizer())


def test_only_the_same_tokenizer_is_accepted():
    plain = words_tokenizer(PLAIN)
    check_tokenizer(plain, fingerprint(plain), "here")
    check_tokenizer(plain, None, "here")
    with pytest.raises(ConfigurationError, match="tokenizer of some/folder is not the one that the stored token"):
        check_tokenizer(tokenizer(), fingerprint(plain), "some/folder")
