"""The hidden state as a cache."""

from __future__ import annotations

import pytest
import torch

from hf_equi.errors import UnsupportedModelError
from hf_equi.networks.recurrent_seq2seq.recurrent_cache import RecurrentCache


def cache() -> RecurrentCache:
    """Of three sentences, of two parts and four units, after five tokens."""
    filled = RecurrentCache()
    filled.advance(torch.arange(24.0).view(3, 2, 4), 5)
    return filled


def test_an_empty_cache():
    empty = RecurrentCache()
    assert (empty.batch_size, empty.get_seq_length(), empty.is_initialized) == (0, 0, False)
    for change in (
        lambda: empty.reorder_cache(torch.tensor([0])),
        lambda: empty.batch_repeat_interleave(2),
        lambda: empty.batch_select_indices(torch.tensor([0])),
    ):
        change()
        assert empty.state is None


def test_tokens_are_counted():
    filled = cache()
    assert (filled.batch_size, filled.get_seq_length(), filled.is_initialized) == (3, 5, True)
    filled.advance(torch.zeros(3, 2, 4), 2)
    assert filled.get_seq_length() == 7
    assert not filled.state.any()


def test_a_state_that_is_given_is_the_start():
    given = RecurrentCache(torch.ones(2, 1, 3))
    assert (given.batch_size, given.get_seq_length(), given.is_initialized) == (2, 0, True)


def test_sentences_are_taken_dropped_and_repeated():
    filled, before = cache(), cache().state
    filled.reorder_cache(torch.tensor([2, 0, 0]))
    assert torch.equal(filled.state, before[[2, 0, 0]])
    filled.batch_select_indices(torch.tensor([0, 2]))
    assert torch.equal(filled.state, before[[2, 0]])
    filled.batch_repeat_interleave(2)
    assert torch.equal(filled.state, before[[2, 2, 0, 0]])
    assert filled.get_seq_length() == 5


def test_tokens_cannot_be_taken_back():
    with pytest.raises(UnsupportedModelError, match="cannot forget tokens, so assisted generation and prompt lookup"):
        cache().crop(-1)


def test_reset_forgets_all():
    filled = cache()
    filled.reset()
    assert (filled.batch_size, filled.get_seq_length(), filled.is_initialized) == (0, 0, False)
