"""The selection of the canonical member: its gradient, its noise, its prior, its ties, and what it refuses."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hf_equi import ImageGroup, PixelAction
from hf_equi.bases.orbit_reader import OrbitReader
from hf_equi.canonicalization import FiniteCanonicalizer, GroupConvolution, LearnedMember
from hf_equi.errors import ConfigurationError

SQUARE = ImageGroup.dihedral(4)
ACTION = PixelAction(SQUARE)


class Given(FiniteCanonicalizer):
    """Scores that are weights: whatever the images are."""

    group = SQUARE

    def __init__(self, scores, loss=None):
        super().__init__()
        self.given = nn.Parameter(scores)
        self.loss = loss

    def scores(self, x):
        return self.given

    def forward(self, x, base=None):
        return self.given, self.loss


def select(scores, x, loss=None, **settings):
    part = LearnedMember(**settings).with_network(Given(scores, loss))
    return part, part(ACTION, x)


@pytest.fixture
def x():
    return torch.randn(3, 2, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def scores():
    return torch.randn(3, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_the_base_reads_the_canonical_member(x, scores):
    part, found = select(scores, x)
    pose = scores.argmax(1)
    assert torch.equal(found.said["canonical_element"], pose)
    assert torch.equal(found.elements[:, 0], SQUARE.inverse(pose))
    assert torch.equal(part.element(part_asked(x)), SQUARE.inverse(pose))
    best = scores.sort(1).values
    torch.testing.assert_close(found.said["margin"], best[:, -1] - best[:, -2])


def part_asked(x):
    from hf_equi.symmetrizers import Asked

    return Asked(ACTION, x)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_the_gradient_is_that_of_the_softmax_in_and_out(x, scores, temperature):
    """Of a base whose output map moves back, against a finite difference of the sum over all members.

    Values are those of the canonical member alone. Half of the gradient comes through what the base reads, the other
    half through what moves its output back.
    """

    def base(rows):
        return {"maps": rows["x"].sin() * torch.arange(1.0, 5.0, dtype=torch.float64)}

    probe = torch.randn(x.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    part, found = select(scores, x, temperature=temperature)
    rows = OrbitReader({"x": ACTION}, {"maps": ACTION}).read(nn.Identity(), base, {"x": x}, found)
    pose = scores.argmax(1)
    canonical = ACTION.invert(pose, x)
    assert torch.equal(rows.outputs["maps"], ACTION.apply(pose, base({"x": canonical})["maps"]))
    gradient = torch.autograd.grad((rows.outputs["maps"] * probe).sum(), part.network.given)[0]

    def soft(scores):
        """The value with the softmax of these scores instead of the choice, about the chosen member."""
        shares = (scores / temperature).softmax(1) - (part.network.given.detach() / temperature).softmax(1)
        read = canonical + sum(shares[:, h].view(-1, 1, 1, 1) * ACTION.invert(h, x) for h in range(8))
        out = base({"x": read})["maps"]
        moved = ACTION.apply(pose, out) + sum(shares[:, h].view(-1, 1, 1, 1) * ACTION.apply(h, out) for h in range(8))
        return (moved * probe).sum()

    step = 1e-6
    for row, element in ((0, 0), (1, 3), (2, 7)):
        nudge = torch.zeros_like(scores)
        nudge[row, element] = step
        slope = (soft(scores + nudge) - soft(scores - nudge)) / (2 * step)
        torch.testing.assert_close(gradient[row, element], slope, atol=1e-7, rtol=1e-6)


def test_nothing_is_passed_where_no_gradient_is_needed(x, scores):
    with torch.no_grad():
        assert select(scores, x)[1].passing is None
    part = LearnedMember().with_network(Given(scores).requires_grad_(False))
    found = part(ACTION, x)
    assert (found.passing, found.penalty) == (None, None)


def test_the_penalty_is_the_weighted_prior_and_what_the_canonicalizer_adds(x, scores):
    prior = -scores.log_softmax(1)[:, 0]
    found = select(scores, x, loss=torch.tensor([1.0, 2.0, 3.0]), prior_weight=7.0)[1]
    torch.testing.assert_close(found.said["prior_loss"], prior)
    torch.testing.assert_close(found.penalty, 7 * prior + torch.tensor([1.0, 2.0, 3.0]))
    assert not found.passing.any()


def test_gumbel_draws_in_training_alone_by_the_softmax():
    scores = torch.tensor([[0.0, 1.0, 2.0, -1.0, 0.5, 0.0, -2.0, 1.5]]).expand(4000, -1)
    x = torch.zeros(4000, 1, 1, 1)
    part = LearnedMember(relaxation="gumbel").with_network(Given(scores))
    part.network.eval()
    assert part(ACTION, x).said["canonical_element"].eq(2).all()
    part.network.train()
    torch.manual_seed(0)
    drawn = part(ACTION, x).said["canonical_element"].bincount(minlength=8) / 4000
    torch.testing.assert_close(drawn, scores[0].softmax(0), atol=0.03, rtol=0)
    part.network.requires_grad_(False)  # then nothing would learn by the noise
    assert part(ACTION, x).said["canonical_element"].eq(2).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": 0.0}, "temperature=0.0 is out of range"),
        ({"prior_weight": -1.0}, "prior_weight=-1.0 is not a weight"),
        ({"relaxation": "soft"}, "relaxation='soft' is not known"),
        ({"canonicalizer": {"type": "orbit"}}, "type='orbit' is not known"),
    ],
)
def test_settings_that_make_no_selection_are_refused(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        LearnedMember(**settings)


def test_it_makes_the_network_of_its_description():
    part = LearnedMember({"type": "group_convolution", "channels": 3, "layers": 1})
    made = part.create_network(SQUARE, (1, 8, 8))
    assert isinstance(made, GroupConvolution)
    assert made.to_dict() | {"channels": 3, "layers": 1, "inputs": 1} == made.to_dict()
    assert part.needs_training
    energy = {"type": "model_energy", "model": "base"}
    for description in (energy, {"type": "circular_harmonic", "scorer": energy}):
        assert not LearnedMember(description).needs_training
