"""Layers that read every point alike, against torch on the points that there are."""

from __future__ import annotations

import torch

from hf_equi.networks.point_clouds.layers import MaskedBatchNorm, PointLayers, Transform, pooled_maximum, pooled_mean


def test_the_norm_reads_only_the_points_there_are():
    torch.manual_seed(0)
    x, kept = torch.randn(2, 5, 3), torch.tensor([[True] * 5, [True, True, False, False, False]])
    norm, plain = MaskedBatchNorm(3), torch.nn.BatchNorm1d(3)
    found = norm(x, kept)
    torch.testing.assert_close(found[kept], plain(x[kept]))
    assert not found[~kept].any()
    torch.testing.assert_close(norm.running_var, plain.running_var)
    torch.testing.assert_close(norm.eval()(x, kept)[kept], plain.eval()(x[kept]))


def test_pooling_leaves_padding_out():
    x, kept = torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[True, True, False]])
    assert (pooled_maximum(x, kept).item(), pooled_mean(x, kept).item()) == (3.0, 2.0)
    assert (pooled_maximum(x, None).item(), round(pooled_mean(x, None).item(), 3)) == (9.0, 4.333)


def test_layers_say_what_each_of_them_gives():
    layers, x = PointLayers([3, 4, 5], slope=0.1).eval(), torch.randn(2, 6, 3)
    first, last = layers.each(x)
    torch.testing.assert_close(first, torch.nn.functional.leaky_relu(layers.norms[0](layers.linears[0](x)), 0.1))
    assert torch.equal(layers(x), last)
    assert last.shape == (2, 6, 5)


def test_a_transform_returns_a_matrix():
    assert Transform(4).eval()(torch.randn(2, 6, 4), None).shape == (2, 4, 4)
