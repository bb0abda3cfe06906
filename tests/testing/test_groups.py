import pytest
import torch

from hf_equi.errors import GroupError
from hf_equi.groups import SE2, FiniteGroup
from hf_equi.testing import assert_group


def broken(**attributes):
    group = FiniteGroup.symmetric(3)
    for name, value in attributes.items():
        setattr(group, f"_{name}", value)
    return group


def with_entry(table, index, value):
    table = table.clone()
    table[index] = value
    return table


S3 = FiniteGroup.symmetric(3)
# Swapping two products keeps identity and inverses.
SWAPPED = with_entry(with_entry(S3.product, (1, 2), int(S3.product[1, 3])), (1, 3), int(S3.product[1, 2]))


@pytest.mark.parametrize("group", [FiniteGroup.trivial(), S3, FiniteGroup.dihedral(4), FiniteGroup.cyclic(100)])
def test_groups_pass(group):
    assert_group(group)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"product": S3.product[:, :4]}, r"needs a product of shape \(6, 6\)"),
        ({"inverses": S3.inverses[:3]}, r"an inverse of shape \(6,\)"),
        ({"product": with_entry(S3.product, (2, 3), 6)}, r"Closure fails: product\[2, 3\] is 6"),
        ({"names": ("e",) * 6}, "distinct names"),
        (
            {"product": with_entry(S3.product, (0, 3), 2)},
            r"Element 0 is not the identity: 0 \* 3 is 2 and 3 \* 0 is 3",
        ),
        ({"inverses": torch.zeros(6, dtype=torch.long)}, r"inverse\[1\] is 0"),
        ({"product": SWAPPED}, "Associativity fails"),
        ({"permutations": torch.zeros(6, 3, dtype=torch.long)}, r"permutations\[0\] is not a permutation"),
        ({"permutations": S3.permutations[S3.inverses]}, "a left action is required"),
    ],
)
def test_broken_groups_fail(attributes, message):
    with pytest.raises(GroupError, match=message):
        assert_group(broken(**attributes))


class Moves(SE2):
    """The motions of the plane, with a fault."""

    def __init__(self, fault=None):
        self.fault = fault

    def compose(self, g, h):
        product = super().compose(g, h)
        if self.fault == "unit":
            return product + 1e-6
        if self.fault == "associativity":
            away = [self.distance(one, self.identity) for one in (g, h, product)]  # 0 for units and for inverses
            return product @ self.exp(1e-3 * torch.stack(away, -1).prod(-1, keepdim=True).expand(*g.shape[:-2], 3))
        if self.fault == "batch" and g.dim() > 2:
            return product.flip(0)
        return product

    def inverse(self, g):
        return g.mT if self.fault == "inverse" else super().inverse(g)


def test_continuous_groups_are_tried_on_random_elements():
    assert_group(Moves())


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("unit", r"Not a group: e g must be g. For \[\[1.0, 0.0"),
        ("inverse", "g⁻¹g must be e"),
        ("associativity", r"\(gh\) k must be g \(hk\)"),
        ("batch", "a product must be the same in a batch as alone"),
    ],
)
def test_broken_continuous_groups_fail(fault, message):
    with pytest.raises(GroupError, match=message):
        assert_group(Moves(fault))
