"""The network of attention, against sums over pairs of members written out."""

from __future__ import annotations

import math
from itertools import permutations

import pytest
import torch
from torch.func import functional_call

from hf_equi.symmetrizers import OrbitAttention


def network(features=5, units=3, scale=1.5):
    """A network in float64 whose scores are far from equal."""
    attention = OrbitAttention(features, units).double()
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter.copy_(scale * torch.randn_like(parameter))
    return attention


def literal(attention, members):
    """The weights of one orbit, `(K, features)`, by loops over its members."""
    query, bias, key = (parameter.detach() for parameter in attention.parameters())
    weights = [0.0] * len(members)
    for asking in members:
        asked = [float((query @ asking + bias) @ (key @ other)) / math.sqrt(len(bias)) for other in members]
        total = sum(math.exp(score - max(asked)) for score in asked)
        for place, score in enumerate(asked):
            weights[place] += math.exp(score - max(asked)) / total / len(members)
    return weights


@pytest.mark.parametrize("size", [1, 2, 4, 7])
def test_weights_are_the_mean_attention(size):
    attention, features = network(), torch.randn(3, size, 5, dtype=torch.float64)
    received = attention(features).exp()
    required = torch.tensor([literal(attention, members) for members in features], dtype=torch.float64)
    torch.testing.assert_close(received, required, rtol=0, atol=1e-13)
    torch.testing.assert_close(received.sum(1), torch.ones(3).double(), rtol=0, atol=1e-13)
    assert size == 1 or (received.amax(1) / received.amin(1)).max() > 1.5


def test_weights_by_hand():
    """Queries all 1, keys 0 and ln 3: each query attends with 1/4 and 3/4."""
    attention = OrbitAttention(1, units=1)
    with torch.no_grad():
        attention.queries.weight.zero_()
        attention.queries.bias.fill_(1.0)
        attention.keys.weight.fill_(1.0)
    features = torch.tensor([[[0.0], [math.log(3.0)]]])
    torch.testing.assert_close(attention(features).exp(), torch.tensor([[0.25, 0.75]]))


def test_attention_is_that_of_its_values():
    """The mean over queries of attention to any values is their sum with the weights."""
    attention, features = network(), torch.randn(2, 4, 5, dtype=torch.float64)
    values = torch.randn(2, 4, 6, dtype=torch.float64)
    attended = torch.nn.functional.scaled_dot_product_attention(
        attention.queries(features), attention.keys(features), values
    )
    weighted = (attention(features).exp().unsqueeze(-1) * values).sum(1)
    torch.testing.assert_close(weighted, attended.mean(1), rtol=0, atol=1e-13)


def test_members_take_their_weights_along():
    attention, features = network(), torch.randn(2, 4, 5, dtype=torch.float64)
    weights = attention(features)
    assert weights.diff(dim=1).abs().min() > 1e-3
    for order in permutations(range(4)):
        received = attention(features[:, order])
        torch.testing.assert_close(received, weights[:, order], rtol=0, atol=1e-12)


def test_weight_depends_on_the_other_members():
    attention, features = network(), torch.randn(1, 3, 5, dtype=torch.float64)
    other = features.clone()
    other[:, 2] += 1.0
    odds = [(log[0, 0] - log[0, 1]).item() for log in (attention(features).detach(), attention(other).detach())]
    assert abs(odds[0] - odds[1]) > 1e-3


def test_equal_members_have_equal_weights():
    features = torch.randn(1, 2, 5, dtype=torch.float64)[:, [0, 1, 0, 0]]
    weights = network()(features)
    torch.testing.assert_close(weights[:, [2, 3]], weights[:, [0, 0]], rtol=0, atol=1e-13)
    torch.testing.assert_close(network()(features[:, [0, 0]]).exp(), torch.full((1, 2), 0.5).double())


def test_a_single_member_is_left_as_it_is():
    attention, features = network(), torch.randn(3, 1, 5, dtype=torch.float64)
    weights = attention(features)
    assert weights.tolist() == [[0.0]] * 3
    weights.sum().backward()
    assert all(parameter.grad.abs().max() == 0 for parameter in attention.parameters())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_members_that_are_hardly_attended_to_keep_finite_weights(dtype):
    """By hand: scores 0 and −4000 of every query, so the second weight underflows and its logarithm does not."""
    attention = OrbitAttention(1, units=1).to(dtype)
    with torch.no_grad():
        attention.queries.weight.zero_()
        attention.queries.bias.fill_(-4000.0)
        attention.keys.weight.fill_(1.0)
    log_weights = attention(torch.tensor([[[0.0], [1.0]]], dtype=dtype))
    assert log_weights[0].tolist() == pytest.approx([0.0, -4000.0], rel=2e-3)
    log_weights[0, 1].backward()
    assert all(parameter.grad.isfinite().all() for parameter in attention.parameters())
    assert attention.queries.bias.grad.abs().item() > 0


def test_gradients_are_finite_differences():
    attention = network(scale=1.0)
    features = torch.randn(2, 4, 5, dtype=torch.float64, requires_grad=True)
    names, leaves = zip(*attention.named_parameters(), strict=True)

    def weights(features, *leaves):
        return functional_call(attention, dict(zip(names, leaves, strict=True)), (features,))

    assert torch.autograd.gradcheck(weights, (features, *leaves))
    gradients = torch.autograd.grad(attention(features)[:, 0].sum(), [features, *leaves])
    assert all(gradient.abs().max() > 1e-3 for gradient in gradients)


def test_dropout_acts_in_training_alone():
    attention, features = OrbitAttention(6, units=50, dropout=0.5), torch.randn(2, 4, 6)
    first, second = attention.train()(features), attention(features)
    assert not torch.equal(first, second)
    torch.testing.assert_close(first.exp().sum(1), torch.ones(2))
    assert torch.equal(attention.eval()(features), attention(features))
    without = OrbitAttention(6, units=50).train()
    assert torch.equal(without(features), without(features))


@pytest.mark.parametrize("own", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("given", [torch.bfloat16, torch.float32, torch.float64])
def test_weights_are_float32_at_least(own, given):
    weights = OrbitAttention(4).to(own)(torch.randn(2, 3, 4, dtype=given))
    assert weights.dtype == torch.promote_types(own, torch.float32)


def test_autocast_still_gives_float32():
    attention, features = OrbitAttention(4), torch.randn(2, 3, 4)
    required = attention(features)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        received = attention(features)
    assert received.dtype == torch.float32
    torch.testing.assert_close(received, required, rtol=0, atol=2e-2)


def test_sizes_are_those_asked_for_and_leading_axes_stay():
    attention = OrbitAttention(6, units=9)
    shapes = {name: tuple(parameter.shape) for name, parameter in attention.named_parameters()}
    assert shapes == {"queries.weight": (9, 6), "queries.bias": (9,), "keys.weight": (9, 6)}
    assert OrbitAttention(6).queries.out_features == 100
    features = torch.randn(2, 3, 4, 6)
    torch.testing.assert_close(attention(features)[1], attention(features[1]))
    assert attention(features).shape == (2, 3, 4)
