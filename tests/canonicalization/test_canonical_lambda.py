"""The method itself, on vectors, beside equation 5 written out: with θ⁻¹, and as it is printed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hf_equi.actions import VectorAction
from hf_equi.bases.orbit_reader import OrbitReader
from hf_equi.canonicalization import ContinuousCanonicalizer, LearnedCanonical, LearnedCanonicalLambda, LearnedMembers
from hf_equi.groups import SO2
from hf_equi.symmetrizers import Mean, NetworkWeights
from hf_equi.symmetrizers.lambda_networks import LambdaNetwork

GROUP = SO2()
ACTION = VectorAction(GROUP)
THETA = ["0°", "75°", "-160°"]
ANGLES = [0.0, 75.0, -160.0]


class FirstVector(ContinuousCanonicalizer):
    """Turns the first vector onto the first axis."""

    group = GROUP

    def poses(self, x, mask=None):
        a, b = (x[:, 0] / x[:, 0].norm(dim=-1, keepdim=True)).unbind(-1)
        return torch.stack([a, -b, b, a], -1).view(-1, 1, 2, 2), None


def turn(degrees):
    return GROUP.exp(torch.tensor([degrees], dtype=torch.float64).deg2rad())


def networks():
    """A base and λ, at random."""
    torch.manual_seed(0)
    base = nn.Sequential(nn.Flatten(), nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2)).double()
    return base, LambdaNetwork(6, units=5).double()


def symmetrised(base, weigh, x, method=None):
    """What the parts of the method make of the base, and the selection."""
    method = method or LearnedCanonicalLambda(theta=THETA, prior_weight=0.5)
    select = method.select.with_network(FirstVector())
    selection = select(ACTION, x)

    def run(rows):
        return {"y": base(rows["x"]), "features": rows["x"].flatten(1)}

    rows = OrbitReader({"x": ACTION}, {"y": ACTION}).read(nn.Identity(), run, {"x": x}, selection)
    weights = method.weigh.with_network(weigh).log_weights(rows.by_member("features")) if weigh else None
    if weights is not None:
        weights = weights.log_softmax(1) + torch.tensor(float(weights.shape[1])).log()
    return rows.combine("y", method.combine, weights)[0], selection


def literal(base, weigh, x, printed=False):
    """Equation 5, one sample and one θ at a time."""
    outputs = []
    for one in x:
        h = FirstVector().poses(one[None])[0][0, 0]
        total, weight = torch.zeros(2, dtype=torch.float64), 0.0
        for degrees in ANGLES:
            theta = turn(degrees)
            member = one @ (theta @ h.mT).mT
            share = weigh(member.flatten()).exp() if weigh else 1.0
            back = h if printed else h @ theta.mT
            total, weight = total + share * (back @ base(member[None])[0]), weight + share
        outputs.append(total / weight)
    return torch.stack(outputs)


@pytest.fixture
def x():
    return torch.randn(5, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_it_is_equation_5_with_the_inverse_of_each_theta(x):
    base, weigh = networks()
    found, selection = symmetrised(base, weigh, x)
    assert selection.elements.shape == (5, 3, 2, 2)
    torch.testing.assert_close(found, literal(base, weigh, x))
    assert (found - literal(base, weigh, x, printed=True)).abs().max() > 0.01
    torch.testing.assert_close(selection.said["prior_loss"], (4 - 4 * x[:, 0, 0] / x[:, 0].norm(dim=-1)))


def test_it_is_equivariant_for_a_theta_that_is_no_subgroup(x):
    base, weigh = networks()
    g = GROUP.sample(5, torch.Generator().manual_seed(2))
    moved = symmetrised(base, weigh, ACTION.apply(g, x))[0]
    torch.testing.assert_close(moved, ACTION.apply(g, symmetrised(base, weigh, x)[0]))


def test_a_base_that_is_equivariant_already_is_reproduced_but_not_by_the_printed_equation(x):
    weigh = networks()[1]

    def base(x):
        return x[:, 1] * x[:, 0].norm(dim=-1, keepdim=True) + x[:, 2].flip(-1) * torch.tensor([-1.0, 1.0]).double()

    torch.testing.assert_close(symmetrised(base, weigh, x)[0], base(x))
    torch.testing.assert_close(literal(base, weigh, x), base(x))
    torch.testing.assert_close(
        literal(base, None, x, printed=True), base(x) @ (sum(turn(degrees) for degrees in ANGLES) / 3).mT
    )


def test_the_identity_alone_gives_canonicalization_whatever_the_weights(x):
    base, weigh = networks()
    expected, _ = symmetrised(base, None, x, LearnedCanonical())
    torch.testing.assert_close(symmetrised(base, weigh, x, LearnedCanonicalLambda(theta=["0°"]))[0], expected)


def test_gradients_reach_the_input_the_base_and_the_weights(x):
    base, weigh = networks()
    parts = [*base.parameters(), *weigh.parameters()]

    def value(x, *_):
        return symmetrised(base, weigh, x)[0]

    assert torch.autograd.gradcheck(value, (x[:2].requires_grad_(), *parts))


def test_its_parts():
    method = LearnedCanonicalLambda("probabilities", THETA, temperature=2.0)
    assert [type(part) for part in method.parts] == [LearnedMembers, NetworkWeights, Mean]
    assert (method.select.theta, method.select.temperature, method.combine.average) == (THETA, 2.0, "probabilities")
    assert method.feature_weights is method.weigh
    assert method.needs_training
    assert not method.selects_one
    assert LearnedCanonical().selects_one
