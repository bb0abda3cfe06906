"""Canonicalizers of continuous groups: what they select, its gradient, its prior, and what is refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hf_equi.actions import PointAction, VectorAction
from hf_equi.bases.orbit_reader import OrbitReader
from hf_equi.canonicalization import ContinuousCanonicalizer, LearnedMember, distance_prior
from hf_equi.errors import ConfigurationError
from hf_equi.groups import SE2, SO2
from hf_equi.symmetrizers import Mean

DOUBLE = torch.float64


class Given(ContinuousCanonicalizer):
    """Poses that are given: whatever the inputs are."""

    def __init__(self, elements, log_weights=None, group=None):
        super().__init__()
        self.elements, self.log_weights, self.group = elements, log_weights, group or SO2()

    def poses(self, x):
        return self.elements, self.log_weights


def draw(*shape, seed=0):
    return torch.randn(*shape, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))


def base(rows):
    """The base says a vector, which turns with its input, and a number for each input, which does not."""
    bent = rows["x"].square().cumsum(-1).sin()
    return {"turned": bent[:, 0], "still": bent.sum((1, 2))}


def read(canonicalizer, x, **settings):
    """Return the two outputs of a method that averages what the canonicalizer selects, and the selection."""
    action = PointAction(canonicalizer.group)
    selection = LearnedMember(**settings).with_network(canonicalizer)(action, x)
    reader = OrbitReader({"x": action}, {"turned": VectorAction(canonicalizer.group)})
    rows = reader.read(nn.Identity(), base, {"x": x}, selection)
    return rows, [rows.combine(name, Mean())[0] for name in ("turned", "still")], selection


@pytest.mark.parametrize("group", [SO2(), SE2()], ids=repr)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_base_reads_each_canonical_member_and_the_mean_is_weighted(group, weighted):
    poses, x = group.sample(6, torch.Generator().manual_seed(0)).view(2, 3, group.side, group.side), draw(2, 4, 2)
    log_weights = torch.tensor([[0.1, 0.7, 0.2], [2.0, 0.0, 2.0]], dtype=DOUBLE).log() if weighted else None
    rows, found, selection = read(Given(poses, log_weights, group), x)
    shares = torch.full((2, 3), 1 / 3, dtype=DOUBLE) if log_weights is None else log_weights.softmax(1)
    expected = torch.zeros(2, 2, dtype=DOUBLE), torch.zeros(2, dtype=DOUBLE)
    for b in range(2):
        for k in range(3):
            linear, translation = group.parts(poses[b, k])
            said = base({"x": ((x[b] - translation) @ linear)[None]})
            expected[0][b] += shares[b, k] * (linear @ said["turned"][0])
            expected[1][b] += shares[b, k] * said["still"][0]
    for value, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(value, wanted)
    assert rows.orbit.rows == 6
    assert torch.equal(selection.said["canonical_element"], poses)


def test_gradients_flow_through_poses_and_weights():
    def value(angles, log_weights):
        poses = SO2().exp(angles.unsqueeze(-1))
        _, found, selection = read(Given(poses, log_weights), draw(2, 4, 2), prior_weight=0.5)
        penalty = selection.penalty
        return *found, *([] if penalty is None else [penalty])

    angles, log_weights = draw(2, 2, seed=1).requires_grad_(), draw(2, 2, seed=2).requires_grad_()
    assert len(value(angles, log_weights)) == 3
    assert torch.autograd.gradcheck(value, (angles, log_weights))
    with torch.no_grad():
        assert len(value(angles, log_weights)) == 2


def test_the_prior_is_the_squared_distance_to_the_identity():
    poses = SO2().exp(torch.tensor([[[0.5], [2.0]]], dtype=DOUBLE))
    one, two = distance_prior(poses)[0].tolist()
    assert one == pytest.approx(float(4 - 4 * torch.tensor(0.5, dtype=DOUBLE).cos()))
    said = read(Given(poses, torch.tensor([[0.25, 0.75]], dtype=DOUBLE).log()), draw(1, 4, 2))[2].said
    assert float(said["prior_loss"]) == pytest.approx(0.25 * one + 0.75 * two)
    assert said.keys() == {"canonical_element", "prior_loss", "penalty"}  # no margin, and the identity has no share
    single = read(Given(poses[:, :1]), draw(1, 4, 2))[2]
    assert torch.equal(single.said["canonical_element"], poses[:, 0])
    assert torch.equal(single.only, poses[:, 0].mT)


def test_what_names_no_elements_is_refused():
    x, poses = draw(2, 4, 2), SO2().sample(2).view(2, 1, 2, 2)
    lost = poses.clone()
    lost[1, 0, 0, 0] = torch.nan
    for given, message in (
        ((poses[:, 0],), r"of the shape \(2, 2, 2\); for 2 inputs and SO2\(\) they must be \(2, K, 2, 2\)"),
        ((poses[:1],), r"of the shape \(1, 1, 2, 2\)"),
        ((poses, torch.zeros(2, 2)), r"log-weights of the shape \(2, 2\); there must be one .*, \(2, 1\)"),
        ((lost,), "pose of sample 1 is NaN"),
        ((poses, torch.tensor([[0.0], [-torch.inf]])), "pose of sample 1 is NaN or infinite"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            read(Given(*given), x)
