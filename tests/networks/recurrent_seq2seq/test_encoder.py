"""The encoder against a loop over tokens."""

from __future__ import annotations

import literal_seq2seq
import pytest
import torch
from small_networks import CELLS, network, pad, sentences


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_a_padded_batch_is_its_sentences_one_by_one(cell, bidirectional, side):
    model, rows = network(cell, bidirectional=bidirectional), sentences()
    ids, mask = pad(rows, side, value=8)
    encoded = model.encoder(ids, mask)
    assert encoded.last_hidden_state.shape == (3, 6, 10 if bidirectional else 5)
    for index, row in enumerate(rows):
        memory, states = literal_seq2seq.encode(model, row)
        torch.testing.assert_close(encoded.last_hidden_state[index, mask[index] == 1], memory, atol=1e-6, rtol=0)
        torch.testing.assert_close(encoded.encoder_state[index], torch.stack(states), atol=1e-6, rtol=0)
    assert not encoded.last_hidden_state[mask == 0].any()


def test_without_a_mask_all_tokens_count():
    model, ids = network(), torch.stack(sentences((4, 4)))
    plain, masked = model.encoder(ids), model.encoder(ids, torch.ones_like(ids))
    assert torch.equal(plain.last_hidden_state, masked.last_hidden_state)
    assert torch.equal(plain.encoder_state, masked.encoder_state)


def test_holes_in_a_mask_are_closed():
    model = network()
    row = sentences((3,))[0]
    ids, mask = torch.tensor([[row[0], 8, row[1], 8, row[2]]]), torch.tensor([[1, 0, 1, 0, 1]])
    encoded, (memory, _) = model.encoder(ids, mask), literal_seq2seq.encode(model, row)
    torch.testing.assert_close(encoded.last_hidden_state[0, mask[0] == 1], memory, atol=1e-6, rtol=0)


def test_a_tuple_on_demand():
    model, ids = network(), torch.stack(sentences((4,)))
    memory, state = model.encoder(ids, return_dict=False)
    assert (memory.shape, state.shape) == ((1, 4, 10), (1, 2, 10))
