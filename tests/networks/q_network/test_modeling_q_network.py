"""QNetwork against products written out, its states, and how it is stored."""

from __future__ import annotations

import pytest
import torch
from small_q_networks import network, states, targets
from torch import nn
from transformers import AutoConfig, AutoModel

from hf_equi import QNetwork
from hf_equi.errors import ActionError, ConfigurationError


def test_values_are_those_of_products_written_out():
    for activation, function in (("relu", torch.relu), ("tanh", torch.tanh)):
        model, x = network(activation=activation), states(3)
        features = x
        for layer in (module for module in model.body if isinstance(module, nn.Linear)):
            features = function(features @ layer.weight.T + layer.bias)
        out = model(x, output_features=True)
        torch.testing.assert_close(out.features, features)
        torch.testing.assert_close(out.q_values, features @ model.head.weight.T + model.head.bias)
        assert model(x).features is None
        assert torch.equal(model(x, return_dict=False)[0], out.q_values)


def test_images_of_bytes_are_divided_by_255():
    images = torch.randint(0, 256, (2, 3, 9, 9), dtype=torch.uint8)
    model = network(state_shape=[3, 9, 9])
    assert isinstance(model.body[0], nn.Conv2d)
    torch.testing.assert_close(model(images).q_values, model(images.float() / 255).q_values)
    plain = network(state_shape=[3, 9, 9], normalize_images=False)
    torch.testing.assert_close(plain(images).q_values, plain(images.float()).q_values)
    flat = network(state_shape=[3, 9, 9], convolutions=[])
    torch.testing.assert_close(flat(images).q_values, flat.head(flat.body(images.float() / 255)))


def test_weights_begin_as_torch_begins_them():
    model = network(sure=1.0, state_shape=[3, 36, 36])
    for layer in (module for module in model.modules() if isinstance(module, nn.Linear | nn.Conv2d)):
        bound = layer.weight[0].numel() ** -0.5
        for parameter in layer.parameters():
            assert parameter.abs().max() <= bound
        assert layer.weight.abs().max() > 0.9 * bound


def test_labels_give_a_loss():
    model, x = network(), states(3)
    loss = model(x, labels=targets(3)).loss
    loss.backward()
    assert model.head.weight.grad.abs().max() > 0
    with pytest.raises(ConfigurationError, match="labels= of Q-values are targets"):
        model(x, labels=torch.tensor([0, 1, 2]))


def test_it_is_stored_and_found_by_the_auto_class(tmp_path):
    model = network(activation="tanh", outputs="logits")
    model.save_pretrained(tmp_path)
    loaded = AutoModel.from_pretrained(tmp_path)
    assert isinstance(loaded, QNetwork)
    assert AutoConfig.from_pretrained(tmp_path).outputs == "logits"
    assert torch.equal(loaded(states(3)).q_values, model(states(3)).q_values)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (torch.zeros(3, 3), r"a tensor of the shape \(B, 2\); received \(3, 3\)"),
        ([[0.0, 0.0]], "received list"),
        (torch.zeros(3, 2).int(), "states= holds torch.int32: pass floating numbers"),
        (torch.zeros(3, 2).double(), r"torch.float64, but the network has torch.float32: pass states\.to\(network\.d"),
    ],
)
def test_other_states_are_refused(given, message):
    with pytest.raises(ActionError, match=message):
        network()(given)


def test_the_best_action_is_the_first_of_those_that_tie():
    model, x = network(), states(9)
    assert torch.equal(model.greedy_actions(x), model(x).q_values.argmax(1))
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.bias.fill_(1.0)
    assert model.greedy_actions(x).tolist() == [0] * 9
