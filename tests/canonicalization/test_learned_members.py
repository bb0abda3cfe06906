"""The members that Θ selects around the canonical one, their gradient, and several poses with weights."""

from __future__ import annotations

import pytest
import torch
from small_rules import brightest_corner
from torch import nn

from hf_equi import ImageGroup, PixelAction
from hf_equi.actions import VectorAction
from hf_equi.bases.orbit_reader import OrbitReader
from hf_equi.canonicalization import (
    ContinuousCanonicalizer,
    FiniteCanonicalizer,
    FixedRule,
    LearnedMember,
    LearnedMembers,
)
from hf_equi.errors import ConfigurationError
from hf_equi.groups import SO2

SQUARE = ImageGroup.dihedral(4)
ACTION = PixelAction(SQUARE)
THETA = ["0°", "90° mirrored", "270°"]


class Given(FiniteCanonicalizer):
    """Scores that are weights."""

    group = SQUARE

    def __init__(self, scores):
        super().__init__()
        self.given = nn.Parameter(scores)

    def scores(self, x):
        return self.given


class Poses(ContinuousCanonicalizer):
    """Poses that are given."""

    group = SO2()

    def __init__(self, elements, log_weights):
        super().__init__()
        self.elements, self.log_weights = elements, log_weights

    def poses(self, x, mask=None):
        return self.elements, self.log_weights


@pytest.fixture
def x():
    return torch.randn(3, 2, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def scores():
    return torch.randn(3, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_the_base_reads_the_canonical_member_moved_by_each_theta(x):
    turns = ImageGroup.rotations(4)
    action, part = PixelAction(turns), LearnedMembers([2, "90°"]).with_network(FixedRule(brightest_corner, turns))
    canonical = action.invert(brightest_corner(x), x)
    for g in range(4):
        moved = action.apply(g, x)
        for slot, theta in enumerate((2, 1)):
            read = action.apply(part(action, moved).elements[:, slot], moved)
            assert torch.equal(read, action.apply(theta, canonical))


def test_the_identity_alone_selects_what_a_learned_member_selects(x, scores):
    one, other = (part.with_network(Given(scores)) for part in (LearnedMembers(["0°"]), LearnedMember()))
    for name in ("elements", "penalty", "passing"):
        assert torch.equal(*(getattr(part(ACTION, x), name) for part in (one, other)))
    assert not one.selects_one


def test_the_gradient_of_every_member_is_that_of_the_softmax(x, scores):
    """Against a finite difference, where each member and its output get the sum over all poses added."""

    def base(rows):
        return {"maps": rows["x"].sin() * torch.arange(1.0, 5.0, dtype=torch.float64)}

    probe = torch.randn(3, *x.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    part = LearnedMembers(THETA).with_network(Given(scores))
    rows = OrbitReader({"x": ACTION}, {"maps": ACTION}).read(nn.Identity(), base, {"x": x}, part(ACTION, x))
    values = rows.by_member("maps").transpose(0, 1)  # (T, B, ...)
    gradient = torch.autograd.grad((values * probe).sum(), part.network.given)[0]
    theta, pose = [SQUARE.element(name) for name in THETA], scores.argmax(1)

    def soft(scores):
        shares = scores.softmax(1) - part.network.given.detach().softmax(1)
        total = 0.0
        for place, turn in enumerate(theta):
            read = ACTION.apply(turn, ACTION.invert(pose, x))
            poses = [SQUARE.product[turn, SQUARE.inverse(h)].item() for h in range(8)]  # θh⁻¹
            read = read + sum(shares[:, h].view(-1, 1, 1, 1) * ACTION.apply(poses[h], x) for h in range(8))
            out = base({"x": read})["maps"]
            moved = ACTION.apply(pose, ACTION.invert(turn, out))
            moved = moved + sum(shares[:, h].view(-1, 1, 1, 1) * ACTION.invert(poses[h], out) for h in range(8))
            total = total + (moved * probe[place]).sum()
        return total

    torch.testing.assert_close(soft(scores), (values * probe).sum())
    for row, element in ((0, 0), (1, 3), (2, 7)):
        nudge = torch.zeros_like(scores)
        nudge[row, element] = 1e-6
        slope = (soft(scores + nudge) - soft(scores - nudge)) / 2e-6
        torch.testing.assert_close(gradient[row, element], slope, atol=1e-7, rtol=1e-6)


def test_each_of_several_poses_is_moved_by_each_theta_and_keeps_its_weight():
    poses = SO2().sample(4, torch.Generator().manual_seed(0)).view(2, 2, 2, 2)
    log_weights = torch.tensor([[0.2, 0.8], [0.5, 0.5]]).log()
    part = LearnedMembers(["0°", "90°", "100°"]).with_network(Poses(poses, log_weights))
    found = part(VectorAction(SO2()), torch.zeros(2, 3, 2, dtype=torch.float64))
    for slot in range(6):
        theta = SO2().exp(torch.tensor([[0.0, 90.0, 100.0][slot // 2]], dtype=torch.float64).deg2rad())
        torch.testing.assert_close(found.elements[:, slot], theta @ poses[:, slot % 2].mT)
        assert torch.equal(found.log_weights[:, slot], log_weights[:, slot % 2])


def test_a_theta_that_does_not_fit_the_group_is_refused_before_a_network_is_made(x, scores):
    part = LearnedMembers(["45°"])
    for use in (lambda: part.create_network(SQUARE, (3, 8, 8)), lambda: part.with_network(Given(scores))(ACTION, x)):
        with pytest.raises(ConfigurationError, match="No element '45°'"):
            use()
