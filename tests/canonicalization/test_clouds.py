"""What holds for all canonicalizers of points and vectors: on generic clouds, on degenerate ones, and with padding."""

from __future__ import annotations

import pytest
import torch
from small_clouds import clouds, draw, means

from hf_equi.actions import PointAction
from hf_equi.canonicalization import (
    Composed,
    GramSchmidt,
    PrincipalFrames,
    VectorNeurons,
    WeightedFrames,
    read_canonicalizer,
)
from hf_equi.errors import ConfigurationError
from hf_equi.groups import E2, O2, O3, SE3, SO2, SO3
from hf_equi.testing import assert_canonicalizer

GROUPS = (SO2(), O2(), SO3(), O3(), SE3(), E2())
LINEAR = {SE3(): SO3(), E2(): O2()}
KINDS = {
    "neurons": lambda group, count: VectorNeurons(group, channels=6, neighbours=4),
    "deep neurons": lambda group, count: VectorNeurons(group, channels=6, layers=4, neighbours=20),
    "neurons of vectors": lambda group, count: VectorNeurons(group, count, channels=6),
    "principal": lambda group, count: PrincipalFrames(group),
    "weighted": lambda group, count: WeightedFrames(group),
    "gram_schmidt": lambda group, count: GramSchmidt(group),
}
UNORDERED = ("neurons", "deep neurons", "principal", "weighted")
TOLERANCES = {torch.float32: 1e-3, torch.float64: 1e-9}


def make(kind, group, count=6, dtype=torch.float64):
    torch.manual_seed(0)
    linear = LINEAR.get(group, group)
    made = KINDS[kind](linear, count)
    return (made if linear is group else Composed(group, made)).to(dtype).eval()


def moved(group, x, seed=0):
    """The same clouds, each moved by an element of its own."""
    return PointAction(group).apply(group.sample(len(x), torch.Generator().manual_seed(seed)), x)


@pytest.mark.parametrize("group", GROUPS, ids=repr)
@pytest.mark.parametrize("kind", KINDS)
def test_it_follows_generic_clouds_in_either_mode(kind, group):
    x = draw(4, 6, group.dimension)
    for dtype, tolerance in TOLERANCES.items():
        made = make(kind, group, dtype=dtype)
        assert_canonicalizer(made, x.to(dtype), PointAction(group), tolerance=tolerance)
        assert_canonicalizer(made.train(), x.to(dtype), PointAction(group), tolerance=tolerance)


@pytest.mark.parametrize("group", GROUPS, ids=repr)
@pytest.mark.parametrize("kind", KINDS)
def test_it_computes_in_full_precision_under_autocast(kind, group):
    made, x = make(kind, group, dtype=torch.float32), draw(4, 6, group.dimension).float().requires_grad_()
    expected, weights = made.poses(x)
    with torch.autocast("cpu", torch.bfloat16):
        found, others = made.poses(x)
    assert torch.equal(found, expected)
    assert weights is others or torch.equal(weights, others)
    probe = torch.randn_like(found)
    torch.testing.assert_close(*(torch.autograd.grad((one * probe).sum(), x)[0] for one in (found, expected)))


@pytest.mark.parametrize("group", GROUPS, ids=repr)
@pytest.mark.parametrize("kind", KINDS)
def test_every_cloud_has_canonical_members_that_do_not_move(kind, group):
    """Also those with a symmetry, where h is not unique: a base then reads the same clouds. No gradient is lost."""
    for dtype in TOLERANCES if group == SO3() else [torch.float32]:
        for name, cloud in clouds(group.dimension, dtype):
            made = make(kind, group, len(cloud), dtype)
            x = torch.cat([cloud[None], moved(group, cloud[None])]).requires_grad_()
            found = means(made, x)
            torch.testing.assert_close(
                found[0], found[1], atol=TOLERANCES[dtype], rtol=0, msg=lambda said, name=name: name + said
            )
            elements = made.poses(x)[0]
            assert torch.autograd.grad(found.sum() + elements.sum(), x)[0].isfinite().all(), name
            group.check(elements.detach())


class Given:
    """Poses that are given."""

    def __init__(self, group, elements, log_weights):
        self.group, self.found = group, (elements, log_weights)

    def poses(self, x):
        return self.found


@pytest.mark.parametrize("group", [O2(), SO3(), SE3()], ids=repr)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "neurons of vectors"])  # they are all there
def test_padding_counts_for_nothing(kind, group):
    x, mask = draw(2, 6, group.dimension), torch.ones(2, 6)
    mask[0, 4:] = 0
    made, padded = make(kind, group), torch.where(mask[..., None] > 0, x, torch.nan)
    elements, log_weights = made.poses(padded, mask)
    for row, count in ((0, 4), (1, 6)):
        cloud = x[row : row + 1, :count]
        own = None if log_weights is None else log_weights[row : row + 1]
        found = means(Given(group, elements[row : row + 1], own), cloud)
        torch.testing.assert_close(found, means(made, cloud))
    made.train()
    assert torch.equal(made.poses(padded, mask)[0], made.poses(x, mask)[0])


@pytest.mark.parametrize("group", [SO2(), O3()], ids=repr)
@pytest.mark.parametrize("kind", UNORDERED)
def test_the_order_of_points_does_not_count(kind, group):
    made, x, order = make(kind, group), draw(3, 6, group.dimension), torch.randperm(6)
    torch.testing.assert_close(means(Given(group, *made.poses(x[:, order])), x), means(made, x))


@pytest.mark.parametrize("group", [SO2(), O2(), SO3(), O3()], ids=repr)
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_finite_differences(kind, group):
    x = draw(1, 4, group.dimension, seed=9).requires_grad_()
    made = make(kind, group, 4)
    assert torch.autograd.gradcheck(lambda x: tuple(one for one in made.poses(x) if one is not None), x, atol=1e-6)


@pytest.mark.parametrize("group", [SO2(), SE3()], ids=repr)
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_made_again_from_its_description(kind, group):
    made, x = make(kind, group), draw(2, 6, group.dimension)
    again = read_canonicalizer(made.to_dict(), group).double().eval()
    again.load_state_dict(made.state_dict())
    assert again.to_dict() == made.to_dict()
    assert torch.equal(again.poses(x)[0], made.poses(x)[0])
    assert again.learns == made.learns == ("neurons" in kind)
    assert again.equivariant


@pytest.mark.parametrize("kind", KINDS)
def test_bad_clouds_are_refused_by_name(kind):
    made, x = make(kind, SO3()), draw(3, 6, 3)
    lost = x.clone()
    lost[1, 2, 0] = torch.nan
    for given, message in (
        ((lost,), "Sample 1 holds NaN or infinity, so it has no canonical member"),
        ((x[..., :2],), r"\(batch, (points|vectors), 3\) floating numbers; received .* of the shape \(3, 6, 2\)"),
        ((x.long(),), "received torch.int64"),
        ((x, torch.ones(3, 5)), r"\(3, 6\); received the shape \(3, 5\)"),
        ((x, torch.tensor([1, 1, 0])[:, None].expand(3, 6)), "Sample 2 has no (points|vectors)"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            made.poses(*given)
