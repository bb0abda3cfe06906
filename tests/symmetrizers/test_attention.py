"""Attention over the orbit through the fold, against its equation."""

from __future__ import annotations

import pytest
import torch
from token_actions import action_of

from hf_equi.symmetrizers import Attention, Equitune, Orbit
from hf_equi.symmetrizers.combine import AVERAGES
from hf_equi.symmetrizers.weigh import normalise_log_weights

ACTION = action_of(9, [[5, 1], [2, 7]], [[6, 3, 4]])
# 2, 1, 3 and 6 distinct members.
IDS = torch.tensor([[0, 5, 0], [0, 8, 0], [4, 0, 4], [1, 6, 2]])


def orbit_of(ids, shared=True):
    elements = torch.arange(ACTION.group.order).expand(len(ids), -1)
    return Orbit.start(elements, shared).extend(ACTION.orbit(ids))[0]


def random_case(shared=True):
    """The orbits, scores and features of their rows, and a network with weights far from equal."""
    orbit = orbit_of(IDS, shared)
    rows = torch.randn(orbit.rows, 2, 9, dtype=torch.float64).log_softmax(-1)
    features = torch.randn(orbit.rows, 4, dtype=torch.float64)
    network = Attention().weigh.create_network(4, units=3, dropout=0.0).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(2 * torch.randn_like(parameter))
    return orbit, rows, features, network


def folded(orbit, average, rows, features, network, size=None):
    """As a model folds: weights of whole orbits, rows in slices."""
    method = Attention(average)
    weights = normalise_log_weights(network(features[orbit.row_of]))
    by_row = weights[orbit.batch_of_row, orbit.slot_of_row].unsqueeze(-1).expand(-1, rows.shape[1])
    fold = method.combine.fold(orbit, ACTION)
    size = size or len(rows)
    for begin in range(0, len(rows), size):
        fold.add(begin, rows[begin : begin + size], by_row[begin : begin + size])
    return fold.result()


def literal(orbit, average, rows, features, network):
    results = []
    for text in orbit.row_of.tolist():
        queries, keys = network.queries(features[text]), network.keys(features[text])
        attention = (queries @ keys.T / 3**0.5).softmax(1).mean(0)
        scores = torch.stack([ACTION.pull_back(g, rows[row]) for g, row in enumerate(text)])
        scores = scores if average == "logits" else scores.exp()
        mean = sum(weight * score for weight, score in zip(attention, scores, strict=True))
        results.append((mean if average == "logits" else mean.log()).log_softmax(-1))
    return torch.stack(results)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("average", AVERAGES)
def test_weighted_mean_is_the_equation(average, shared):
    orbit, *case = random_case(shared)
    required = literal(orbit, average, *case)
    for size in range(1, orbit.rows + 1):
        torch.testing.assert_close(folded(orbit, average, *case, size), required, rtol=0, atol=1e-12)
    fold = Equitune(average).combine.fold(orbit, ACTION)
    fold.add(0, case[0])
    # The second text has one distinct member, whose weight is that of all.
    differences = (fold.result() - required).abs().amax((1, 2))
    assert (differences > 1e-3).tolist() == [True, not shared, True, True]


@pytest.mark.parametrize("average", AVERAGES)
def test_weighted_mean_is_equivariant(average):
    orbit, *case = random_case()
    scores = folded(orbit, average, *case)
    for g in range(ACTION.group.order):
        moved = folded(orbit_of(ACTION.apply(g, IDS)), average, *case)
        torch.testing.assert_close(ACTION.pull_back(g, moved), scores, rtol=0, atol=1e-12)


@pytest.mark.parametrize("average", AVERAGES)
def test_gradients_reach_scores_features_and_network(average):
    orbit, rows, features, network = random_case()
    probe = torch.randn(len(IDS), 2, 9, dtype=torch.float64)
    gradients = []
    for function in (folded, literal):
        leaves = rows.clone().requires_grad_(), features.clone().requires_grad_()
        total = (function(orbit, average, *leaves, network) * probe).sum()
        gradients.append(torch.autograd.grad(total, [*leaves, *network.parameters()]))
    for received, required in zip(*gradients, strict=True):
        torch.testing.assert_close(received, required, rtol=1e-9, atol=1e-10)
        assert required.abs().max() > 1e-3
