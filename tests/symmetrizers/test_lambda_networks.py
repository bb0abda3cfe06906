from __future__ import annotations

import pytest
import torch
from torch import nn

from hf_equi.symmetrizers import LambdaNetwork


def fixed(raw, dtype=torch.float32):
    """A network whose raw output is a number, whatever it reads."""
    network = LambdaNetwork(3, units=4).to(dtype)
    last = network.layers[-1]
    nn.init.zeros_(last.weight)
    nn.init.constant_(last.bias, raw)
    return network


@pytest.mark.parametrize("raw", [-3.0, 0.0, 0.5, 30.0, 1000.0])
def test_weight_is_the_softplus(raw):
    log_weight = fixed(raw)(torch.randn(2, 3)).exp() if raw < 30 else fixed(raw)(torch.randn(2, 3))
    expected = nn.functional.softplus(torch.tensor(raw).double())
    expected = expected if raw < 30 else expected.log()
    torch.testing.assert_close(log_weight.double(), expected.expand(2))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("raw", [-1000.0, -100.0, -20.0, -18.0])
def test_weights_below_rounding_keep_their_logarithm(raw, dtype):
    log_weight = fixed(raw, dtype)(torch.zeros(1, 3))
    assert log_weight.tolist() == pytest.approx([raw], abs=1e-3)
    assert log_weight.dtype == torch.promote_types(dtype, torch.float32)


@pytest.mark.parametrize("raw", [-1000.0, -20.5, -19.5, 2.0])
def test_gradient_is_finite_and_that_of_log_softplus(raw):
    network = fixed(raw, torch.float64)
    network(torch.zeros(1, 3, dtype=torch.float64)).sum().backward()
    value = torch.tensor(raw, dtype=torch.float64)
    expected = value.sigmoid() / nn.functional.softplus(value) if raw > -700 else torch.tensor(1.0).double()
    torch.testing.assert_close(network.layers[-1].bias.grad[0], expected, rtol=1e-6, atol=0)


def test_all_weights_are_positive_and_the_log_is_increasing():
    raws = torch.linspace(-60, 60, 241).tolist()
    logs = torch.cat([fixed(raw)(torch.zeros(1, 3)) for raw in raws])
    assert logs.isfinite().all()
    assert (logs.diff() > 0).all()


def test_two_hidden_layers_and_their_dropout():
    network = LambdaNetwork(6, units=5, dropout=0.5)
    assert [tuple(layer.weight.shape) for layer in network.layers if isinstance(layer, nn.Linear)] == [
        (5, 6),
        (5, 5),
        (1, 5),
    ]
    features = torch.randn(2, 3, 4, 6)
    assert network(features).shape == (2, 3, 4)
    assert not torch.equal(network.train()(features), network(features))
    assert torch.equal(network.eval()(features), network(features))
    assert sum(isinstance(layer, nn.Dropout) and layer.p == 0.5 for layer in network.layers) == 2


def test_features_of_another_dtype_are_read():
    assert LambdaNetwork(4)(torch.zeros(2, 4, dtype=torch.bfloat16)).dtype == torch.float32
