from __future__ import annotations

import copy
import hashlib
import json
import re

import pytest
from small_models import tokenizer
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from hf_equi.errors import ConfigurationError
from hf_equi.models.text.fingerprint import check_tokenizer, cut_fingerprint, fingerprint


def words_tokenizer(vocabulary: dict[str, int]) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel(vocabulary, unk_token="a")))


PLAIN = {"a": 0, "b": 1, "c": 2}


def test_fingerprint_is_a_short_hash():
    assert re.fullmatch("[0-9a-f]{32}", fingerprint(tokenizer()))


def test_fingerprint_is_the_same_everywhere():
    # A constant, so that checkpoints of today are known to later releases.
    assert fingerprint(words_tokenizer(PLAIN)) == "02d7d3873ed85fbf0f1e7b3d02a011e3"


@pytest.mark.parametrize(
    "vocabulary", [PLAIN, {"b": 7, "a": 2}, {"b": 2, "a": 0, "c": 2}, {'"\\\n': 1, "\u0130\U0001f469": 0}, {}]
)
def test_fingerprint_is_that_of_the_pairs_in_the_order_of_ids(vocabulary):
    """Two tokens of one id, ids that are left out, and tokens that JSON escapes included."""
    pairs = json.dumps(sorted(vocabulary.items(), key=lambda item: (item[1], item[0])))
    expected = hashlib.blake2b(pairs.encode(), digest_size=16).hexdigest()
    assert fingerprint(None, vocabulary) == expected


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


def changed(change) -> PreTrainedTokenizerFast:
    """The small tokenizer, with the same vocabulary and another way to cut."""
    inner = Tokenizer.from_str(tokenizer().backend_tokenizer.to_str())
    change(inner)
    return PreTrainedTokenizerFast(tokenizer_object=inner)


def set_part(name, part):
    return changed(lambda inner: setattr(inner, name, part))


@pytest.mark.parametrize(
    "other",
    [
        lambda: set_part("normalizer", normalizers.Lowercase()),
        lambda: set_part("normalizer", normalizers.NFKC()),
        lambda: set_part("normalizer", normalizers.StripAccents()),
        lambda: set_part("normalizer", normalizers.Prepend(" ")),
        lambda: set_part("pre_tokenizer", pre_tokenizers.ByteLevel(add_prefix_space=True)),
        lambda: set_part("pre_tokenizer", pre_tokenizers.Whitespace()),
        lambda: set_part("model", models.BPE(tokenizer().get_vocab(), [])),
    ],
)
def test_tokenizers_that_cut_in_another_way_are_told_apart(other):
    assert fingerprint(other()) == fingerprint(tokenizer())
    assert cut_fingerprint(other()) != cut_fingerprint(tokenizer())
    expected = fingerprint(tokenizer()), "here", cut_fingerprint(tokenizer())
    check_tokenizer(tokenizer(), *expected)
    with pytest.raises(ConfigurationError, match=r"of here has the right vocabulary .* cuts texts in another way"):
        check_tokenizer(other(), *expected)
    check_tokenizer(other(), expected[0], "here", None)  # checkpoints of 0.1 do not know it


def test_what_does_not_cut_does_not_count(tmp_path):
    same = copy.deepcopy(tokenizer())
    same.padding_side, same.truncation_side, same.model_max_length = "right", "left", 3
    assert cut_fingerprint(same) == cut_fingerprint(tokenizer())
    tokenizer().save_pretrained(tmp_path)
    assert cut_fingerprint(AutoTokenizer.from_pretrained(tmp_path)) == cut_fingerprint(tokenizer())


def test_the_way_to_cut_is_the_same_everywhere():
    # Constants, so that checkpoints of today are known to later releases. The second raises for unknown words.
    assert cut_fingerprint(words_tokenizer(PLAIN)) == "f56329ae9bd2dccd5bbebad3b1796df6"
    bare = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel(PLAIN)))
    assert cut_fingerprint(bare) == "93ab2ea77de4eb3c010f6a18cdb50fa7"
