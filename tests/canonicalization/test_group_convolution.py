"""The small network of group convolutions: its equivariance, its size, and what it refuses."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from hf_equi import ColumnAction, ImageGroup, PixelAction
from hf_equi.canonicalization import GroupConvolution, read_canonicalizer
from hf_equi.errors import ConfigurationError
from hf_equi.groups import SO2, FiniteGroup
from hf_equi.testing import assert_canonicalizer, equivariance_error


def network(group, **settings):
    """A network whose norms have statistics of their own, as after training."""
    torch.manual_seed(0)
    made = GroupConvolution(group, **settings)
    for norm in made.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
            nn.init.normal_(norm.bias)
    return made.eval()


@pytest.mark.parametrize("size", [7, 28, 33])  # odd and even, the last two shrunk
@pytest.mark.parametrize("group", [ImageGroup.rotations(4), ImageGroup.dihedral(4)], ids=repr)
def test_it_is_exact_for_quarter_turns_and_mirrors(group, size):
    made, x = network(group, resize=20), torch.randn(2, 3, size, size)
    assert_canonicalizer(made, x, PixelAction(group))
    assert made.scores(x).std(1).min() > 1e-4
    made.train()  # the statistics of a batch move with it
    assert_canonicalizer(made, x, PixelAction(group))


def test_images_may_have_their_channels_last():
    made, x = network(ImageGroup.rotations(4)), torch.randn(2, 3, 32, 32)
    last = x.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(made.scores(last), made.scores(x), atol=1e-5, rtol=0)


def test_mirrors_take_oblong_images():
    group = ImageGroup.flips("both")
    assert_canonicalizer(network(group, resize=16), torch.randn(2, 3, 37, 24), PixelAction(group))


def test_eighths_of_a_turn_are_approximate():
    """The docstring says so. Quarter turns stay exact. The others are nearer by half to their element than to any."""
    group, noise = ImageGroup.rotations(8), torch.Generator().manual_seed(1)
    across = torch.linspace(-math.pi, math.pi, 32)
    a, b, c = (torch.rand(3, 8, 3, 1, 1, generator=noise) * 2 - 1) * torch.tensor([2, 2, math.pi]).view(3, 1, 1, 1, 1)
    x = torch.sin(a * across[:, None] + b * across + c).sum(1)[:, None].expand(-1, 3, -1, -1)
    torch.manual_seed(1)
    made, action = GroupConvolution(group).eval(), PixelAction(group)
    with torch.no_grad():
        errors = equivariance_error(made.scores, x, action, ColumnAction(group, group.product))
        scores = made.scores(x)
        for g in (1, 3, 5, 7):
            turned = made.scores(action.apply(g, x))
            apart = torch.stack([(turned.roll(-h, 1) - scores).abs().mean() for h in range(8)])
            right = float(apart[g])
            apart[g] = torch.inf
            assert right < apart.min() / 2
    assert errors[::2].max() < 1e-5 < errors[1::2].max()


def test_its_size_is_the_public_one_and_is_stored():
    made = GroupConvolution(ImageGroup.rotations(4))
    assert sum(weight.numel() for weight in made.parameters()) == 11_160
    small = GroupConvolution(ImageGroup.dihedral(4), inputs=1, channels=4, layers=2, kernel=5, crop=1.0, resize=None)
    again = read_canonicalizer(small.to_dict(), small.group)
    assert again.to_dict() == small.to_dict()
    again.load_state_dict(small.state_dict())
    x = torch.randn(2, 1, 9, 9)
    assert torch.equal(again.eval().scores(x), small.eval().scores(x))
    assert read_canonicalizer({"type": "group_convolution"}, small.group, (1, 9, 9)).settings["inputs"] == 1


def test_it_sees_the_middle_alone():
    made, x = network(ImageGroup.rotations(4), crop=0.5), torch.randn(1, 3, 16, 16)
    other = torch.randn(1, 3, 16, 16)
    other[..., 4:12, 4:12] = x[..., 4:12, 4:12]
    assert torch.equal(made.scores(x), made.scores(other))


def test_a_cpu_that_evaluates_reads_few_images_at_once(monkeypatch):
    monkeypatch.setattr("hf_equi.canonicalization.group_convolution._NUMBERS_AT_ONCE", 2 * 40 * 12 * 12 + 1)
    made, x, read = network(ImageGroup.rotations(4), crop=1.0), torch.randn(5, 3, 12, 12), []
    made.layers[0].register_forward_pre_hook(lambda _, given: read.append(len(given[0])))
    whole = made.scores(x)
    with torch.no_grad():
        torch.testing.assert_close(made.scores(x), whole, rtol=0, atol=1e-6)
        assert_canonicalizer(made, x, PixelAction(made.group))
        assert read[:4] == [5, 2, 2, 1]
        read.clear()
        made.train().scores(x)  # a batch norm reads all of them
    assert read == [5]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kernel": 4}, "kernel=4 is even"),
        ({"kernel": 0}, "kernel=0 is not a size"),
        ({"crop": 1.5}, "crop=1.5 is out of range"),
        ({"layers": 0}, "layers=0 is not a size"),
        ({"resize": 0}, "resize=0 is not a number of pixels"),
    ],
)
def test_sizes_that_make_no_network_are_refused(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        GroupConvolution(ImageGroup.rotations(4), **settings)


@pytest.mark.parametrize("group", [SO2(), FiniteGroup.cyclic(4)], ids=repr)
def test_it_is_for_groups_of_the_image_plane(group):
    with pytest.raises(ConfigurationError, match=r"scores the elements of an ImageGroup, not of .*use a CircularHarm"):
        GroupConvolution(group)


def test_images_with_other_channels_are_refused():
    made = GroupConvolution(ImageGroup.rotations(4), inputs=1)
    with pytest.raises(ConfigurationError, match=r"\(1, H, W\), not \(3, 8, 8\): make one with inputs=3"):
        made.scores(torch.zeros(2, 3, 8, 8))
    with pytest.raises(ConfigurationError, match=r"\(1, H, W\), not \(8, 8\): pass a batch of images"):
        made.scores(torch.zeros(1, 8, 8))


def test_a_crop_that_leaves_no_pixel_is_refused():
    made = GroupConvolution(ImageGroup.rotations(4), crop=0.01)
    assert made.scores(torch.zeros(1, 3, 9, 9)).shape == (1, 4)  # the one in the middle
    with pytest.raises(ConfigurationError, match=r"crop=0.01 leaves no pixel of images of 8 × 8: .* larger crop"):
        made.scores(torch.zeros(1, 3, 8, 8))
