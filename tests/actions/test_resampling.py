"""Angles between quarter turns: what is exact all the same, and how large the errors of the rest are."""

from __future__ import annotations

import itertools
import math
import sys

import pytest
import torch

from hf_equi.actions import PixelAction
from hf_equi.errors import ActionError
from hf_equi.groups import ImageGroup

C8 = PixelAction(ImageGroup.rotations(8))
D8 = PixelAction(ImageGroup.dihedral(8))


def smooth(side):
    """A sum of three waves of one to two periods, in [0, 1]."""
    place = (torch.arange(side) + 0.5) / side
    down, across = torch.meshgrid(place, place, indexing="ij")
    waves = ((1, 1, 0.3), (-1, 1.5, 1.0), (2, 0, 2.0))
    total = sum(torch.sin(2 * math.pi * (a * across + b * down) + phase) for a, b, phase in waves)
    return (total / 6 + 0.5).view(1, 1, side, side)


def noise(side):
    return torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))


def disc(side):
    place = torch.arange(side) - (side - 1) / 2
    return place[:, None] ** 2 + place[None, :] ** 2 <= ((side - 1) / 2) ** 2


def errors(action, x):
    """|g⁻¹gx - x|: the largest and the worst mean of all elements, in the disc and in the whole image."""
    apart = torch.stack([(action.invert(g, action.apply(g, x)) - x).abs() for g in range(action.group.order)])
    inside = apart[..., disc(x.shape[-1])]
    return [f(part) for part in (inside, apart) for f in (torch.max, lambda part: part.flatten(1).mean(1).max())]


def test_without_kornia_the_way_out_is_named(monkeypatch):
    for name in ("kornia", "kornia.geometry", "kornia.geometry.transform"):
        monkeypatch.setitem(sys.modules, name, None)
    x = torch.rand(1, 4, 4)
    with pytest.raises(
        ActionError,
        match=r"install kornia: pip install kornia \(in a clone of hf_equi: pip install -e '\.\[vision\]'\)",
    ):
        C8.apply(1, x)
    assert torch.equal(C8.apply(2, x), x.rot90(1, (-2, -1))), "quarter turns need no kornia"


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool])
def test_integers_are_not_resampled(dtype):
    with pytest.raises(ActionError, match=rf"needs floating numbers; received {dtype}"):
        C8.apply(1, torch.zeros(1, 4, 4, dtype=dtype))


def test_rectangles_are_refused():
    with pytest.raises(ActionError, match=r"rotations\(3\) turns .* H = 4, W = 5"):
        PixelAction(ImageGroup.rotations(3)).apply(1, torch.zeros(1, 4, 5))


# The table in the docstring of `PixelAction`.
@pytest.mark.parametrize(
    ("image", "side", "bounds"),
    [
        (smooth, 32, (0.012, 0.0036, 0.65, 0.042)),
        (smooth, 224, (0.00025, 0.000075, 0.67, 0.034)),
        (noise, 32, (0.52, 0.16, 0.82, 0.18)),
        (noise, 224, (0.65, 0.16, 0.90, 0.18)),
    ],
)
def test_errors_are_those_of_the_table(image, side, bounds):
    pytest.importorskip("kornia")
    for measured, bound in zip(errors(C8, image(side)), bounds, strict=True):
        assert 0.9 * bound < measured <= bound


def test_an_angle_turns_counter_clockwise_about_the_middle():
    """A blob moves to where the rotation sends its centre."""
    pytest.importorskip("kornia")
    place = torch.arange(33) - 16.0

    def blob(across, up):
        return torch.exp(-((place[None, :] - across) ** 2 + (-place[:, None] - up) ** 2) / 18).view(1, 33, 33)

    for group in (ImageGroup.rotations(8), ImageGroup.dihedral(3), ImageGroup.rotations(5)):
        for g in range(group.order):
            turn = math.radians(float(group.angles[g]))
            across, up = (-7.0 if group.mirrored[g] else 7.0), 3.0
            image = blob(across * math.cos(turn) - up * math.sin(turn), across * math.sin(turn) + up * math.cos(turn))
            received = PixelAction(group).apply(g, blob(7.0, 3.0))
            assert (received - image).abs()[..., disc(33)].max() < 0.03


@pytest.mark.parametrize("group", [ImageGroup.rotations(8), ImageGroup.dihedral(3)], ids=repr)
def test_it_is_an_approximate_action_on_smooth_images(group):
    pytest.importorskip("kornia")
    action, x, inside = PixelAction(group), smooth(64), disc(64)
    orbit = [action.apply(g, x) for g in range(group.order)]
    apart = torch.stack(
        [
            (action.apply(g, orbit[h]) - orbit[int(group.product[g, h])]).abs()
            for g, h in itertools.product(range(group.order), repeat=2)
        ]
    )
    assert apart[..., inside].max() < 0.004
    # The bound can fail: members are further from each other than that.
    assert min((a - b).abs()[..., inside].max() for a, b in itertools.combinations(orbit, 2)) > 0.2


@pytest.mark.parametrize("n", [8, 12, 28])
def test_quarter_turns_and_mirrors_of_the_input_are_exact(n):
    """g(r x) are the numbers of (gr) x for every r that is exact, so orbits are the same to the bit."""
    pytest.importorskip("kornia")
    action = PixelAction(ImageGroup.dihedral(n))
    group, x = action.group, noise(9)
    members, keys = action.orbit(x), action.keys(x)
    exact = (group.rests == 0).nonzero().flatten().tolist()
    assert len(exact) == 8
    for r in exact:
        moved = action.apply(r, x)
        assert torch.equal(moved, PixelAction(ImageGroup.dihedral(4)).apply(exact.index(r), x))
        assert torch.equal(action.orbit(moved), members[:, group.product[:, r]])
        assert torch.equal(action.keys(moved), keys[:, group.product[:, r]])
    assert len(keys.unique()) == group.order


@pytest.mark.parametrize("padding", ["reflect", "circular"])
@pytest.mark.parametrize("side", [1, 2, 3, 8])
def test_corners_are_filled_from_the_image(padding, side):
    pytest.importorskip("kornia")
    action = PixelAction(ImageGroup.rotations(8), padding)
    flat = torch.full((1, 1, side, side), 0.7)
    torch.testing.assert_close(action.orbit(flat), flat[:, None].expand(-1, 8, -1, -1, -1))
    assert action.orbit(noise(side)).min() >= 0


def test_paddings_differ_in_the_corners_alone():
    pytest.importorskip("kornia")
    x = noise(16)
    reflected, circular = (PixelAction(C8.group, padding).apply(1, x) for padding in ("reflect", "circular"))
    apart = (reflected - circular).abs().amax((0, 1))
    assert apart[~disc(16)].max() > 0.1
    assert apart[disc(16)].max() < 1e-5


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float16, 1e-3), (torch.bfloat16, 8e-3), (torch.float64, 1e-5)]
)
def test_other_precisions(dtype, tolerance):
    pytest.importorskip("kornia")
    x = noise(8)
    received = C8.apply(1, x.to(dtype))
    assert received.dtype == dtype
    torch.testing.assert_close(received.float(), C8.apply(1, x), atol=tolerance, rtol=0)


def test_each_sample_moves_by_its_own_element_with_gradients():
    pytest.importorskip("kornia")
    x = torch.rand(6, 2, 5, 5).transpose(-1, -2).requires_grad_()
    elements = torch.tensor([0, 3, 9, 3, 15, 8])
    received = D8.apply(elements, x)
    torch.testing.assert_close(
        received, torch.stack([D8.apply(g, image) for g, image in zip(elements.tolist(), x, strict=True)])
    )
    torch.testing.assert_close(
        D8.invert(elements, x), torch.stack([D8.invert(g, y) for g, y in zip(elements.tolist(), x, strict=True)])
    )
    # The map is linear, so its gradient against y is what it makes of any z against y.
    y, z = torch.rand(2, 6, 2, 5, 5)
    (received * y).sum().backward()
    torch.testing.assert_close((x.grad * z).sum(), (D8.apply(elements, z) * y).sum())
    assert received.is_contiguous()


def test_leading_axes_are_kept():
    pytest.importorskip("kornia")
    x = torch.rand(2, 3, 4, 6, 6)
    torch.testing.assert_close(C8.apply(3, x)[1, 2], C8.apply(3, x[1, 2]))
    assert C8.apply(3, x[0, 0]).shape == (4, 6, 6)
    assert C8.apply(torch.tensor([], dtype=torch.long), x[0][:0]).shape == (0, 4, 6, 6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autocast_moves_no_pixel_elsewhere(dtype):
    """Rounded to bfloat16 the points of a large image are up to a pixel away."""
    x = noise(96).to(dtype)
    plain, keys = C8.orbit(x), C8.keys(x)
    with torch.autocast("cpu", torch.bfloat16):
        received = C8.orbit(x)
        assert torch.equal(C8.keys(x), keys)
    assert received.dtype == dtype
    assert torch.equal(received, plain)


def test_devices_without_autocast_resample():
    assert C8.apply(1, torch.empty(1, 3, 8, 8, device="meta")).shape == (1, 3, 8, 8)
