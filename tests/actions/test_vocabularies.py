from __future__ import annotations

import pytest
from tokenizers import AddedToken, Tokenizer, models
from transformers import ByT5Tokenizer, PreTrainedTokenizerFast

from hf_equi.actions.vocabularies import highest_token


def words(vocabulary: dict[str, int]) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel(vocabulary, unk_token="0")))


def numbered(*ids: int) -> PreTrainedTokenizerFast:
    return words({str(place): place for place in ids})


@pytest.mark.parametrize(
    "made",
    [
        lambda: numbered(0),
        lambda: numbered(*range(5000)),
        lambda: numbered(0, 7),
        lambda: numbered(*range(1, 4)),
        lambda: numbered(*range(2000), *range(4000, 4100)),  # a gap
        lambda: numbered(*range(4099), 4999),  # the last token far away
        lambda: numbered(*range(11), *range(12, 3000)),  # a gap between the places that are looked at
        lambda: words({"0": 0, "a": 1, "b": 1}),  # two tokens of one id
        ByT5Tokenizer,  # in Python
    ],
)
@pytest.mark.parametrize("rows", [None, 1, 5000])
def test_it_is_that_of_the_whole_vocabulary(made, rows):
    tokenizer = made()
    assert highest_token(tokenizer, rows) == max(tokenizer.get_vocab().values())
    tokenizer.add_tokens(["sunshine", AddedToken("<turn>", special=True)])
    assert highest_token(tokenizer, rows) == max(tokenizer.get_vocab().values())


def test_the_vocabulary_is_read_only_where_ids_leave_gaps(monkeypatch):
    read = PreTrainedTokenizerFast.get_vocab
    counted = []
    monkeypatch.setattr(PreTrainedTokenizerFast, "get_vocab", lambda self: counted.append(self) or read(self))
    assert highest_token(numbered(*range(5000)), 5120) == 4999
    assert not counted
    assert highest_token(numbered(*range(4000), 5200), 5120) == 5200
    assert len(counted) == 1
