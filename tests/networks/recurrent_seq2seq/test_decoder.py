"""One step of the decoder, and what its steps share."""

from __future__ import annotations

import literal_seq2seq
import pytest
import torch
from small_networks import CELLS, network, network_over, pad, sentences

from hf_equi.networks.recurrent_seq2seq.group_layers import GroupHead, GroupLinear, GroupRecurrentWeights


@pytest.mark.parametrize(("cell", "activation"), [*((cell, "relu") for cell in CELLS), ("rnn", "tanh")])
def test_a_step_attends_to_what_is_not_padded(cell, activation):
    model, rows = network(cell, activation=activation), sentences()
    ids, mask = pad(rows)
    encoded = model.encoder(ids, mask)
    bias = torch.zeros(ids.shape).masked_fill(mask == 0, -torch.inf).unsqueeze(1)
    weights = model.decoder.weights()
    tokens = torch.tensor([3, 6, 5])
    # Something other than 0 at padding, which must not be seen.
    memory = torch.where(mask.bool().unsqueeze(-1), encoded.last_hidden_state, 9.0)
    states = model.decoder.step(tokens, encoded.encoder_state.unbind(1), memory, bias, weights)
    for index, row in enumerate(rows):
        own, start = literal_seq2seq.encode(model, row)
        scores, after = literal_seq2seq.read(model, own, start, int(tokens[index]))
        torch.testing.assert_close(torch.stack(states)[:, index], torch.stack(after), atol=1e-6, rtol=0)
        torch.testing.assert_close(weights.head(states[0])[index], scores, atol=1e-6, rtol=0)


def test_embeddings_are_dropped_in_training_alone():
    model, ids = network(dropout=0.5), torch.stack(sentences((4,)))
    target = torch.tensor([[1, 5, 6]])

    def scores() -> torch.Tensor:
        return model(ids, decoder_input_ids=target).logits

    assert torch.equal(scores(), scores())
    model.train()
    assert not torch.equal(scores(), scores())


@pytest.mark.parametrize("kind", [GroupLinear, GroupHead, GroupRecurrentWeights])
def test_weights_of_a_group_are_put_together_once_a_forward(kind, monkeypatch):
    calls = []
    name = "forward" if kind is GroupRecurrentWeights else "expand"
    whole = getattr(kind, name)
    monkeypatch.setattr(kind, name, lambda self: calls.append(self) or whole(self))
    model = network_over("cyclic 2")
    model(torch.stack(sentences((4,))), labels=torch.tensor([[5, 6, 4, 3, 2]]))
    assert len(calls) == (3 if kind is GroupRecurrentWeights else 1)  # two directions and the decoder
