"""Cells as functions of weights, against those of torch.nn."""

from __future__ import annotations

import pytest
import torch
from literal_seq2seq import CELLS
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from hf_equi.networks.recurrent_seq2seq.layers import (
    PlainLayers,
    RecurrentWeights,
    SharingLayer,
    join,
    prepare,
    run_packed,
    run_step,
)

NETWORKS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


def weights_of(cell: str, inputs: int, units: int) -> list[torch.Tensor]:
    layer = RecurrentWeights(cell, inputs, units)
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -layer.init_bound, layer.init_bound)
    return layer()


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_packed_runs_are_those_of_torch(cell, directions):
    network = NETWORKS[cell](3, 5, bidirectional=directions == 2, batch_first=True)
    weights = [weight for _ in range(directions) for weight in weights_of(cell, 3, 5)]
    for parameter, weight in zip(network.parameters(), weights, strict=True):
        parameter.data = weight.detach()
    packed = pack_padded_sequence(torch.randn(3, 4, 3), torch.tensor([2, 4, 1]), True, enforce_sorted=False)
    data, states = run_packed(cell, packed.data, packed.batch_sizes, weights, directions)
    found, _ = pad_packed_sequence(
        PackedSequence(data, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices), True
    )
    wanted, final = network(packed)
    torch.testing.assert_close(found, pad_packed_sequence(wanted, True)[0])
    final = torch.stack(final) if cell == "lstm" else final.unsqueeze(0)
    torch.testing.assert_close(states[:, :, packed.unsorted_indices], final)


@pytest.mark.parametrize("cell", CELLS)
def test_a_step_is_that_of_torch_s_cell(cell):
    module, weights = CELLS[cell](3, 5), weights_of(cell, 3, 5)
    for parameter, weight in zip(module.parameters(), weights, strict=True):
        parameter.data = weight.detach()
    inputs, states = torch.randn(2, 3), [torch.randn(2, 5) for _ in range(2 if cell == "lstm" else 1)]
    found = run_step(cell, inputs, states, weights)
    wanted = module(inputs, tuple(states)) if cell == "lstm" else (module(inputs, states[0]),)
    assert len(found) == len(states)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)


def test_features_are_joined_element_by_element():
    one, other = torch.tensor([[1, 2, 3, 4]]), torch.tensor([[5, 6]])
    assert join([one, other], 1).tolist() == [[1, 2, 3, 4, 5, 6]]
    assert join([one, other], 2).tolist() == [[1, 2, 5, 3, 4, 6]]


def test_plain_layers_have_the_sizes_asked_for():
    layers = PlainLayers()
    assert layers.embedding("source", 7, 3)(torch.tensor([[1, 2]])).shape == (1, 2, 3)
    assert layers.linear(3, 4)(torch.zeros(2, 3)).shape == (2, 4)
    assert layers.head(3, 7)(torch.zeros(2, 3)).shape == (2, 7)
    assert [tuple(weight.shape) for weight in layers.recurrent("gru", 3, 4)()] == [(12, 3), (12, 4), (12,), (12,)]


class Counted(SharingLayer):
    """Counts how often its weight is put together."""

    expansions = 0

    def expand(self):
        self.expansions += 1
        return lambda features: 2 * features


def test_shared_weights_are_put_together_once():
    layer = Counted()
    assert layer(torch.tensor(1.0)) == 2
    double = prepare(layer)
    assert [float(double(torch.tensor(value))) for value in (1.0, 2.0, 3.0)] == [2, 4, 6]
    assert layer.expansions == 2


def test_other_layers_stay_modules():
    layer = nn.Linear(2, 2)
    assert prepare(layer) is layer
