"""The angle by the first circular harmonic: exact for the turns of the scorer, approximate between them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from hf_equi import ImageGroup, PixelAction
from hf_equi.actions import PlaneAction
from hf_equi.canonicalization import (
    CircularHarmonic,
    FiniteCanonicalizer,
    FixedRule,
    GroupConvolution,
    OrbitScorer,
    read_canonicalizer,
)
from hf_equi.canonicalization.base import is_complete
from hf_equi.errors import ConfigurationError
from hf_equi.groups import O2, SO2, SO3
from hf_equi.testing import assert_canonicalizer

GROUPS = (SO2(), O2())


def turns(group, n):
    return ImageGroup.dihedral(n) if group.mirrors else ImageGroup.rotations(n)


class Given(FiniteCanonicalizer):
    """Scores that are given."""

    def __init__(self, group, scores):
        super().__init__()
        self.group, self.given = group, scores

    def scores(self, x):
        return self.given


def waves(side, count=3):
    across = torch.linspace(-3, 3, side)
    each = [torch.sin(a * across[:, None] + b * across + a) for a, b in ((1, 0.5), (0.3, 2), (2, -1))]
    return torch.stack(each[:count])[:, None].expand(-1, 3, -1, -1)


def small(group, n=8):
    torch.manual_seed(0)
    return CircularHarmonic(group, GroupConvolution(turns(group, n), channels=5, layers=2)).eval()


@pytest.mark.parametrize("group", GROUPS, ids=repr)
@pytest.mark.parametrize("n", [3, 8])
def test_it_is_the_orthogonal_matrix_nearest_to_the_scores(group, n):
    finite = turns(group, n)
    scores = torch.randn(6, finite.order, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = CircularHarmonic(group, Given(finite, scores)).poses(torch.zeros(6, 1, 4, 4))[0][:, 0]
    mean = torch.einsum("bg,gij->bij", scores - scores.mean(1, keepdim=True), finite.matrices)
    left, _, right = torch.linalg.svd(mean)
    torch.testing.assert_close(found, left @ right)
    narrow = CircularHarmonic(group, Given(finite, scores.float()))
    with torch.autocast("cpu", torch.bfloat16):
        group.check(narrow.poses(torch.zeros(6, 1, 4, 4))[0])


@pytest.mark.parametrize("group", GROUPS, ids=repr)
def test_quarter_turns_and_mirrors_are_exact(group):
    made, exact = small(group), turns(group, 4)
    assert_canonicalizer(made, torch.randn(3, 3, 16, 16), PlaneAction(group), list(exact.matrices), tolerance=1e-3)


class Slope(nn.Module):
    """How much brighter images become in one direction, about the middle: turned, it is a cosine of the angle."""

    def forward(self, x):
        across = torch.linspace(-1, 1, x.shape[-1])
        window = (1 - across[:, None].square() - across.square()).clamp_min(0).square()
        return (x.mean(1) * (across + 0.5 * across[:, None]) * window).sum((1, 2))


def test_angles_between_the_turns_are_as_exact_as_the_scores():
    made = CircularHarmonic(SO2(), OrbitScorer(Slope(), ImageGroup.rotations(8)))
    x, action = waves(40), PlaneAction(SO2())
    pose = made.poses(x)[0][:, 0]
    for degrees in (5.0, 20.0, 45.0, 110.0, 200.0):
        g = SO2().exp(torch.tensor([math.radians(degrees)]))
        errors = SO2().distance(made.poses(action.apply(g, x))[0][:, 0], g @ pose).rad2deg()
        assert errors.max() < 0.2, degrees


@pytest.mark.parametrize("group", GROUPS, ids=repr)
def test_gradients_are_those_of_finite_differences(group):
    finite = turns(group, 8)
    scores = torch.randn(2, finite.order, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def angle(scores):
        found = CircularHarmonic(group, Given(finite, scores)).poses(torch.zeros(2, 1, 4, 4))[0]
        return found[..., 0, 0], found[..., 1, 0]

    if not group.mirrors:  # with mirrors, the choice between the two adds a gradient of its own
        assert torch.autograd.gradcheck(angle, scores.requires_grad_())
        return
    scores.requires_grad_()
    found = CircularHarmonic(group, Given(finite, scores)).poses(torch.zeros(2, 1, 4, 4))[0][:, 0]
    gradient = torch.autograd.grad(found[..., 0, 0].sum(), scores)[0]

    def pair(values):
        """The lengths of the two harmonics, and their directions."""
        parts = [torch.einsum("bg,gij->bij", values[:, k], finite.matrices[k]) for k in (slice(8), slice(8, 16))]
        lengths = torch.stack([part.flatten(1).norm(dim=1) / 2**0.5 for part in parts], 1)
        return lengths, torch.stack(parts, 1) / lengths[..., None, None]

    lengths, both = pair(scores.detach())
    best = lengths.argmax(1)
    step = 1e-6
    for row, element in ((0, 1), (1, 9)):
        nudge = torch.zeros_like(scores)
        nudge[row, element] = step
        values = []
        for sign in (1, -1):
            moved, now = pair(scores.detach() + sign * nudge)
            mixed = (moved.softmax(1)[..., None, None] * both).sum(1)  # the two elements stay, their shares change
            values.append((now[row, best[row]] + mixed[row])[0, 0])
        torch.testing.assert_close(gradient[row, element], (values[0] - values[1]) / (2 * step), atol=1e-7, rtol=1e-5)


def test_images_without_a_harmonic_take_the_best_turn():
    """An image that is the same after half a turn: either of the two best turns leads to the same canonical image."""
    made, action = small(SO2()), PixelAction(ImageGroup.rotations(4))
    half = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    half = half + half.rot90(2, (2, 3))
    read = []
    with torch.no_grad():
        for g in range(4):
            x = action.apply(g, half)
            read.append(PlaneAction(SO2()).invert(made.poses(x)[0][:, 0], x))
        for one in read[1:]:
            torch.testing.assert_close(one, read[0], atol=1e-3, rtol=0)
        flat = made.poses(torch.ones(1, 3, 16, 16))[0]
    assert SO2().check(flat).isfinite().all()


@pytest.mark.parametrize("group", GROUPS, ids=repr)
def test_it_is_stored_with_its_scorer(group):
    made, x = small(group, 5), torch.randn(2, 3, 16, 16)
    again = read_canonicalizer(made.to_dict(), group, (3, 16, 16)).eval()
    again.load_state_dict(made.state_dict())
    assert again.turns == 5
    assert torch.equal(again.poses(x)[0], made.poses(x)[0])
    default = read_canonicalizer({"type": "circular_harmonic"}, group, (1, 16, 16))
    assert default.scorer.group == turns(group, 8)
    assert default.scorer.settings["inputs"] == 1
    assert is_complete(made.to_dict())


def test_the_loss_of_the_scorer_is_passed_on():
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 4))
    scorer, x = OrbitScorer(network, ImageGroup.rotations(8), size=4), torch.randn(2, 3, 8, 8)
    made = CircularHarmonic(SO2(), scorer)
    torch.testing.assert_close(made(x)[2], scorer(x)[1])
    assert not is_complete(made.to_dict())


@pytest.mark.parametrize(
    ("group", "scorer", "message"),
    [
        (SO3(), None, r"elements of SO2\(\) or O2\(\), not of SO3"),
        (
            SO2(),
            GroupConvolution(ImageGroup.dihedral(4)),
            r"elements of ImageGroup.dihedral\(4\), but .*rotations\(8\)",
        ),
        (O2(), GroupConvolution(ImageGroup.rotations(8)), r"found by the scores of ImageGroup.dihedral\(8\)"),
        (SO2(), nn.Flatten(), "elements of None"),
        (SO2(), FixedRule(lambda x: x, ImageGroup.rotations(2)), "2 turns tell no angle from its opposite"),
    ],
)
def test_scorers_that_do_not_fit_are_refused(group, scorer, message):
    with pytest.raises(ConfigurationError, match=message):
        CircularHarmonic(group, scorer)
    with pytest.raises(ConfigurationError, match="The default canonicalizer of SO3"):
        read_canonicalizer({"type": "circular_harmonic"}, SO3())
    with pytest.raises(ConfigurationError, match=r"scores of the shape \(2, 3\); there must be 8"):
        CircularHarmonic(SO2(), Given(ImageGroup.rotations(8), torch.zeros(2, 3))).poses(torch.zeros(2, 1, 4, 4))
