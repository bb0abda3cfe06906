"""All turns of images: what is exact, what agrees with finite groups, gradients, and how large the errors are."""

from __future__ import annotations

import math
import sys

import pytest
import torch

from hf_equi.actions import PixelAction, PlaneAction
from hf_equi.errors import ActionError
from hf_equi.groups import O2, SO2, SO3, ImageGroup
from hf_equi.testing import assert_action

TURNS, ALL = PlaneAction(SO2()), PlaneAction(O2())
SQUARE = ImageGroup.dihedral(4).matrices


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def turn(*degrees: float) -> torch.Tensor:
    return SO2().exp(torch.tensor([[math.radians(angle)] for angle in degrees], dtype=torch.float64))


def smooth(side: int) -> torch.Tensor:
    """A sum of three waves of one to two periods, in [0, 1]."""
    place = (torch.arange(side) + 0.5) / side
    down, across = torch.meshgrid(place, place, indexing="ij")
    waves = ((1, 1, 0.3), (-1, 1.5, 1.0), (2, 0, 2.0))
    total = sum(torch.sin(2 * math.pi * (a * across + b * down) + phase) for a, b, phase in waves)
    return (total / 6 + 0.5).view(1, 1, side, side)


def blobs(side: int) -> torch.Tensor:
    """Two images that are smooth, and 0 in their corners."""
    place = (torch.arange(side) - (side - 1) / 2) / side
    spots = [(0.06, 0.02, 1.0), (-0.05, 0.06, 0.7), (0.0, -0.07, 0.4)]
    fields = [h * torch.exp(-((place[None] - a) ** 2 + (place[:, None] - b) ** 2) / 0.008) for a, b, h in spots]
    return torch.stack([sum(fields), fields[0] - fields[1]])[:, None]


def disc(side: int) -> torch.Tensor:
    place = torch.arange(side) - (side - 1) / 2
    return place[:, None] ** 2 + place[None, :] ** 2 <= ((side - 1) / 2) ** 2


@pytest.mark.parametrize("action", [TURNS, ALL], ids=repr)
def test_it_is_an_action_up_to_interpolation(action):
    pytest.importorskip("kornia")
    assert_action(action, [blobs(96)], tolerance=0.02)
    with pytest.raises(ActionError, match="Not an action"):
        assert_action(action, [blobs(96)])


def test_the_square_is_exact_in_either_precision():
    x, g = noise(8, 3, 5, 5), torch.arange(8)
    expected = PixelAction(ImageGroup.dihedral(4)).apply(g, x)
    for elements in (SQUARE, SQUARE.float(), O2().compose(SQUARE.float(), turn(1e-5).float())):
        received = ALL.apply(elements, x)
        assert torch.equal(received, expected)
        assert received.is_contiguous()
        assert torch.equal(ALL.invert(elements, received), x)
    quarter = SO2().exp(torch.tensor([[math.pi / 2]]))
    for _ in range(4):
        quarter = SO2().compose(quarter, turn(360.0).float())
    assert torch.equal(TURNS.apply(quarter[0], x), x.rot90(1, (-2, -1)))


@pytest.mark.parametrize("group", [ImageGroup.dihedral(8), ImageGroup.dihedral(3), ImageGroup.rotations(5)], ids=repr)
def test_finite_groups_agree(group):
    pytest.importorskip("kornia")
    x, g = noise(group.order, 2, 9, 9), torch.arange(group.order)
    torch.testing.assert_close(ALL.apply(group.matrices, x), PixelAction(group).apply(g, x), rtol=0, atol=2e-5)
    circular = PlaneAction(O2(), "circular").apply(group.matrices, x)
    torch.testing.assert_close(circular, PixelAction(group, "circular").apply(g, x), rtol=0, atol=2e-5)


def test_exact_motions_of_the_input_change_no_number():
    """g(r x) are the numbers of (gr) x, so an orbit by quarter turns and mirrors is the same to the bit."""
    pytest.importorskip("kornia")
    x, g = noise(1, 2, 8, 8), O2().sample(5, torch.Generator().manual_seed(0))
    for r in SQUARE:
        assert torch.equal(
            ALL.apply(g, ALL.apply(r, x).expand(5, -1, -1, -1)), ALL.apply(g @ r, x.expand(5, -1, -1, -1))
        )


# The table in the docstring of `PlaneAction`.
@pytest.mark.parametrize(
    ("image", "side", "bounds"),
    [
        (smooth, 32, (0.014, 0.0036, 0.79, 0.041)),
        (smooth, 224, (0.0003, 0.000073, 0.78, 0.033)),
        (lambda side: noise(1, 3, side, side), 32, (0.56, 0.16, 0.92, 0.18)),
        (lambda side: noise(1, 3, side, side), 224, (0.65, 0.15, 0.95, 0.17)),
    ],
    ids=["smooth", "smooth, larger", "noise", "noise, larger"],
)
def test_errors_are_those_of_the_table(image, side, bounds):
    pytest.importorskip("kornia")
    g = turn(*range(5, 90, 5))
    x = image(side).expand(len(g), -1, -1, -1)
    apart = (TURNS.invert(g, TURNS.apply(g, x)) - x).abs()
    parts = (apart[..., disc(side)], apart)
    measured = [f(part) for part in parts for f in (torch.max, lambda part: part.flatten(1).mean(1).max())]
    for error, bound in zip(measured, bounds, strict=True):
        assert 0.9 * bound < error <= bound


def test_gradients_flow_to_images_and_elements():
    pytest.importorskip("kornia")
    angle = torch.tensor([[0.3], [2.0]], dtype=torch.float64, requires_grad=True)
    x = blobs(5).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda angle, x: TURNS.apply(SO2().exp(angle), x), (angle, x), fast_mode=True)


@pytest.mark.parametrize("start", [0.0, math.pi / 2])
def test_exact_elements_have_gradients_too(start):
    """A network that begins at the identity learns from there, and its images are still exact."""
    pytest.importorskip("kornia")
    x = blobs(32).double()
    target = TURNS.apply(turn(math.degrees(start) + 3), x[:1])
    angle = torch.tensor([[start]], dtype=torch.float64, requires_grad=True)
    moved = TURNS.apply(SO2().exp(angle), x[:1].requires_grad_())
    assert torch.equal(moved.detach(), x[:1].detach().rot90(round(start / math.pi * 2), (-2, -1)))
    ((moved - target) ** 2).sum().backward()
    assert float(angle.grad) < -0.1
    assert x.grad is None
    nearby = torch.tensor([[start + 1e-3]], dtype=torch.float64, requires_grad=True)
    ((TURNS.apply(SO2().exp(nearby), x[:1]) - target) ** 2).sum().backward()
    # Between pixels the image is linear in pieces. On pixels, where pieces meet, the slope is that of one of them.
    assert 0.6 < float(angle.grad / nearby.grad) < 1.4


def test_one_element_moves_images_of_any_leading_axes():
    pytest.importorskip("kornia")
    x, g = noise(2, 3, 4, 6, 6), turn(30.0)[0]
    torch.testing.assert_close(TURNS.apply(g, x)[1, 2], TURNS.apply(g, x[1, 2]))
    assert TURNS.apply(turn(30.0)[:0], x[0, :0]).shape == (0, 4, 6, 6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_and_autocast_move_no_pixel_elsewhere(dtype):
    pytest.importorskip("kornia")
    x = noise(2, 1, 96, 96)
    plain = TURNS.apply(turn(30.0, 90.0), x)
    torch.testing.assert_close(TURNS.apply(turn(30.0, 90.0), x.to(dtype)).float(), plain, rtol=0, atol=8e-3)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(TURNS.apply(turn(30.0, 90.0), x), plain)


def test_it_is_exported():
    pytest.importorskip("kornia")

    class Turned(torch.nn.Module):
        def forward(self, g, x):
            return ALL.apply(g, x)

    g, x = torch.cat([SQUARE, turn(30.0, 100.0)]).float(), noise(10, 1, 8, 8)
    program = torch.export.export(Turned(), (g, x)).module()
    torch.testing.assert_close(program(g.flip(0), x), ALL.apply(g.flip(0), x), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("elements", "x", "message"),
    [
        (turn(30.0), torch.zeros(1, 3, 4, 5), r"SO2\(\) turns images onto their sides.* received H = 4, W = 5"),
        (turn(30.0), torch.zeros(1, 4, 4), r"need four axes, \(R, C, S, S\); received shape \(1, 4, 4\)"),
        (turn(30.0)[0], torch.zeros(4, 4), "need at least three axes"),
        (turn(30.0), torch.zeros(1, 3, 4, 4, dtype=torch.uint8), "needs floating numbers; received torch.uint8"),
        (turn(30.0), torch.zeros(2, 3, 4, 4), r"One element per sample is needed, of shape \(2, 2, 2\)"),
        (SQUARE[4], torch.zeros(2, 3, 4, 4), "mirrors. Use a group with mirrors"),
    ],
)
def test_what_does_not_fit_is_refused(elements, x, message):
    for act in (TURNS.apply, TURNS.invert):
        with pytest.raises(ActionError, match=message):
            act(elements, x)


def test_other_groups_and_paddings_are_refused():
    for group in (SO3(), ImageGroup.rotations(4)):
        with pytest.raises(ActionError, match=r"does not act on images by any angle: use SO2\(\) or O2\(\)"):
            PlaneAction(group)
    with pytest.raises(ActionError, match="padding='zeros' is not known"):
        PlaneAction(SO2(), "zeros")


def test_without_kornia_quarter_turns_still_work(monkeypatch):
    for name in ("kornia", "kornia.geometry", "kornia.geometry.transform"):
        monkeypatch.setitem(sys.modules, name, None)
    x = noise(1, 2, 4, 4)
    assert torch.equal(TURNS.apply(turn(90.0), x), x.rot90(1, (-2, -1)))
    with pytest.raises(ActionError, match="install kornia"):
        TURNS.apply(turn(30.0), x)
