"""Layers over a group: the equations as loops, and equivariance for groups that do and do not commute."""

from __future__ import annotations

import pytest
import torch
from small_networks import CELLS, SOURCE_WORDS, TARGET_WORDS, actions, network_over, pad, sentences
from torch import nn

from hf_equi.errors import GroupError
from hf_equi.networks.recurrent_seq2seq.group_layers import (
    GroupEmbedding,
    GroupHead,
    GroupLayers,
    GroupLinear,
    GroupRecurrentWeights,
    _Table,
)
from hf_equi.networks.recurrent_seq2seq.layers import run_step
from hf_equi.testing.tolerances import tolerance_of

GROUPS = ("cyclic 2", "cyclic 4", "S3")


def filled(layer: nn.Module) -> nn.Module:
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    return layer.double()


def moved(features: torch.Tensor, group, g: int) -> torch.Tensor:
    """`[gf](h) = f(g⁻¹h)` of features `(..., G * width)`."""
    parts = features.unflatten(-1, (group.order, -1))
    return parts[..., group.product[group.inverses[g]], :].flatten(-2)


@pytest.mark.parametrize("name", GROUPS)
def test_a_convolution_is_its_triple_loop(name):
    group, *sides = actions(name)
    layer = filled(GroupLayers(group, *sides).linear(2, 3))
    features = torch.randn(group.order, 2, dtype=torch.float64)
    wanted = layer.bias.detach().repeat(group.order, 1)
    for g in range(group.order):
        for h in range(group.order):
            for o in range(3):
                quotient = group.product[group.inverses[g], h]
                wanted[g, o] += (layer.weight[quotient, o] * features[h]).sum()
    torch.testing.assert_close(layer(features.flatten()), wanted.flatten())


@pytest.mark.parametrize("name", GROUPS)
def test_an_embedding_is_a_gather_of_one_table(name):
    group, source, target = actions(name)
    layers = GroupLayers(group, source, target)
    for side, permutations in (("source", source), ("target", target)):
        layer = filled(layers.embedding(side, permutations.shape[1], 2))
        for word in range(permutations.shape[1]):
            features = layer(torch.tensor([[word]])).view(group.order, 2)
            for g in range(group.order):
                before = permutations[g].tolist().index(word)
                assert torch.equal(features[g], layer.weight[before])


@pytest.mark.parametrize("name", GROUPS)
def test_a_head_is_its_loop(name):
    group, source, target = actions(name)
    layer = filled(GroupLayers(group, source, target).head(2, TARGET_WORDS))
    features = torch.randn(group.order, 2, dtype=torch.float64)
    found = layer(features.flatten())
    for word in range(TARGET_WORDS):
        orbit = sorted({int(row[word]) for row in target})
        before = [target[g].tolist().index(word) for g in range(group.order)]
        sums = sum((layer.weight[before[g]] * features[g]).sum() for g in range(group.order))
        first = sorted({min(int(row[v]) for row in target) for v in range(TARGET_WORDS)})
        torch.testing.assert_close(found[word], sums + layer.bias[first.index(orbit[0])])
    assert len(layer.bias) == len(first) < TARGET_WORDS


@pytest.mark.parametrize("cell", CELLS)
def test_the_weights_of_a_cell_lie_gate_by_gate(cell):
    group, *sides = actions("S3")
    layer = filled(GroupLayers(group, *sides).recurrent(cell, 2, 3))
    weights = layer()
    gates = {"rnn": 1, "gru": 3, "lstm": 4}[cell]
    for weight, kernel in zip(weights[:2], (layer.weight_ih, layer.weight_hh), strict=True):
        blocks = weight.view(gates, 6, 3, 6, -1)
        for gate in range(gates):
            for g in range(6):
                for h in range(6):
                    quotient = group.product[group.inverses[g], h]
                    assert torch.equal(blocks[gate, g, :, h], kernel[quotient, gate])
    for bias, own in zip(weights[2:], (layer.bias_ih, layer.bias_hh), strict=True):
        assert all(torch.equal(bias.view(gates, 6, 3)[:, g], own) for g in range(6))


@pytest.mark.parametrize("name", GROUPS)
def test_each_layer_commutes_with_the_group(name):
    group, source, target = actions(name)
    layers = GroupLayers(group, source, target)
    embedding, linear = filled(layers.embedding("source", SOURCE_WORDS, 2)), filled(layers.linear(2, 3))
    cell, head = filled(layers.recurrent("lstm", 3, 2)), filled(layers.head(2, TARGET_WORDS))
    words = torch.arange(SOURCE_WORDS)
    state = [torch.randn(SOURCE_WORDS, 2 * group.order, dtype=torch.float64) for _ in range(2)]
    features = embedding(words)
    inputs = linear(features)
    after = run_step("lstm", inputs, state, cell())
    for g in range(group.order):
        torch.testing.assert_close(embedding(source[g][words]), moved(features, group, g))
        torch.testing.assert_close(linear(moved(features, group, g)), moved(inputs, group, g))
        again = run_step("lstm", moved(inputs, group, g), [moved(one, group, g) for one in state], cell())
        for one, other in zip(again, after, strict=True):
            torch.testing.assert_close(one, moved(other, group, g))
        torch.testing.assert_close(head(moved(after[0], group, g))[:, target[g]], head(after[0]))


def largest_error(model, name: str) -> float:
    """Of scores, `g⁻¹M(gx, gy) − M(x, y)`, over all elements."""
    group, source, target = actions(name)
    ids, mask = pad(sentences())
    read = torch.cat([torch.ones(3, 1, dtype=torch.long), torch.stack(sentences((5, 5, 5), words=TARGET_WORDS))], 1)
    wanted = model(ids, mask, decoder_input_ids=read).logits
    errors = []
    for g in range(group.order):
        logits = model(source[g][ids], mask, decoder_input_ids=target[g][read]).logits
        errors.append((logits[..., target[g]] - wanted).abs().max().item())
    assert not torch.allclose(logits, wanted)  # the group does act
    return max(errors)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", GROUPS)
def test_the_whole_network_is_equivariant(name, cell, dtype):
    assert largest_error(network_over(name, cell).to(dtype), name) <= tolerance_of(dtype)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_network_of_one_direction_is_equivariant(bidirectional):
    assert largest_error(network_over("S3", bidirectional=bidirectional), "S3") <= 1e-5


@pytest.mark.parametrize(
    "place",
    [
        "encoder.embedding",
        "encoder.directions.0",
        "decoder.embedding",
        "decoder.combine",
        "decoder.recurrent",
        "decoder.head",
    ],
)
def test_an_element_in_the_place_of_its_inverse_is_noticed(place):
    group, source, target = actions("S3")
    model = network_over("S3")
    layer = model.get_submodule(place)
    if hasattr(layer, "_quotients"):
        layer._quotients = _Table(group.product)  # gh for g⁻¹h
    else:
        layer._preimages = _Table((source if place.startswith("encoder") else target).T)  # gv for g⁻¹v
    assert largest_error(model, "S3") > 1e-3


def test_factors_in_the_wrong_order_are_noticed():
    group, *_ = actions("S3")
    model = network_over("S3")
    model.decoder.combine._quotients = _Table(group.product[:, group.inverses].T)  # hg⁻¹ for g⁻¹h
    assert largest_error(model, "S3") > 1e-3


def test_a_free_bias_over_words_is_noticed():
    model = network_over("S3")
    assert isinstance(model.decoder.head, GroupHead)
    model.decoder.head.bias = nn.Parameter(torch.randn(TARGET_WORDS))
    model.decoder.head._orbits = _Table(torch.arange(TARGET_WORDS))
    assert largest_error(model, "S3") > 1e-3


def test_what_is_no_action_of_the_group_is_refused():
    group, source, target = actions("S3")
    with pytest.raises(GroupError, match="permutations is not a representation"):
        GroupLayers(group, source[group.inverses], target)
    with pytest.raises(GroupError, match="one row per element"):
        GroupLayers(group, source, target[:2])


def test_weights_are_shared_and_indices_are_not_stored():
    group, *sides = actions("cyclic 4")
    layers = GroupLayers(group, *sides)
    assert layers.order == 4
    made = {
        GroupEmbedding: layers.embedding("source", SOURCE_WORDS, 2),
        GroupLinear: layers.linear(2, 3),
        GroupRecurrentWeights: layers.recurrent("gru", 2, 3),
        GroupHead: layers.head(2, TARGET_WORDS),
    }
    shapes = {
        GroupEmbedding: [(9, 2)],
        GroupLinear: [(4, 3, 2), (3,)],
        GroupRecurrentWeights: [(4, 3, 3, 2), (4, 3, 3, 3), (3, 3), (3, 3)],
        GroupHead: [(7, 2), (4,)],
    }
    for kind, layer in made.items():
        assert type(layer) is kind
        assert [tuple(weight.shape) for weight in layer.state_dict().values()] == shapes[kind]


def test_indices_follow_the_weights_to_their_device():
    table = _Table(torch.tensor([1, 0]))
    assert table.on(torch.device("meta")).device.type == "meta"
    assert table.on(torch.device("cpu")).tolist() == [1, 0]
    assert table.on(torch.device("meta")) is table.on(torch.device("meta"))
