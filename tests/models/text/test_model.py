"""What every wrapper of text keeps: the vocabulary that its group moves."""

from __future__ import annotations

import copy

import pytest
from small_models import GENDER, base_model, tokenizer
from small_seq2seq import SIX, fresh, tokenizers

import hf_equi
from hf_equi.errors import ConfigurationError


@pytest.fixture(params=["gpt2", "t5", "bart", "lstm", "marian-pair"])
def lm(request):
    if request.param == "gpt2":
        return hf_equi.symmetrize(copy.deepcopy(base_model()), GENDER, tokenizer=tokenizer())
    source, target = tokenizers(request.param)
    return hf_equi.symmetrize(fresh(request.param), SIX, tokenizer=source, target_tokenizer=target)


def test_embeddings_keep_their_size(lm):
    rows = lm.config.vocab_size
    for arguments in ({"new_num_tokens": rows + 1}, {"new_num_tokens": rows, "pad_to_multiple_of": 64}):
        with pytest.raises(ConfigurationError, match=f"was made for {rows} tokens, not for another size"):
            lm.resize_token_embeddings(**arguments)
    assert lm.resize_token_embeddings(rows) is lm.base.get_input_embeddings()
    assert lm.resize_token_embeddings() is lm.base.get_input_embeddings()


def test_a_base_that_was_resized_is_brought_back():
    lm = hf_equi.symmetrize(copy.deepcopy(base_model()), GENDER, tokenizer=tokenizer())
    rows = lm.config.vocab_size
    lm.base.resize_token_embeddings(rows + 2, mean_resizing=False)
    assert len(lm.resize_token_embeddings(rows).weight) == rows
