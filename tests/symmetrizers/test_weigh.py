from __future__ import annotations

import math

import torch

from hf_equi.symmetrizers import (
    Attention,
    HistoryWeights,
    LambdaEquitune,
    LambdaNetwork,
    NetworkWeights,
    OrbitAttention,
)
from hf_equi.symmetrizers.weigh import normalise_log_weights


def test_networks_are_made_with_their_sizes():
    for kind, network_kind in {LambdaEquitune: LambdaNetwork, Attention: OrbitAttention}.items():
        assert kind().feature_weights.network_class is network_kind
        network = NetworkWeights(network_kind).create_network(7, units=5, dropout=0.25)
        assert type(network) is network_kind
        features = torch.randn(2, 3, 7)
        network.eval()
        assert torch.equal(kind().weigh.with_network(network).log_weights(features), network(features))
        assert network(torch.zeros(2, 3, 7)).shape == (2, 3)
        assert {tuple(parameter.shape) for parameter in network.parameters()} >= {(5, 7)}
        assert {module.p for module in network.modules() if isinstance(module, torch.nn.Dropout)} == {0.25}


def test_history_is_the_probability_of_all_tokens_so_far():
    taken = torch.tensor([[0.0, -1.0, -2.0], [0.0, 0.0, -4.0]])
    assert HistoryWeights().log_weights(taken).tolist() == [[0.0, -1.0, -3.0], [0.0, 0.0, -4.0]]


def test_weights_are_shifted_to_a_mean_of_one():
    log_weights = torch.tensor([[0.0, math.log(3.0)], [-5000.0, -5000.0], [900.0, 0.0]])
    shifted = normalise_log_weights(log_weights)
    torch.testing.assert_close(shifted.exp(), torch.tensor([[0.5, 1.5], [1.0, 1.0], [2.0, 0.0]]))
    torch.testing.assert_close(shifted.diff(dim=1), log_weights.diff(dim=1))
