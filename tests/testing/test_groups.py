import pytest
import torch

from hf_equi.errors import GroupError
from hf_equi.groups import FiniteGroup
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
        ({"product": with_entry(S3.product, (0, 3), 2)}, r"Element 0 is not an identity: 0 \* 3 is 2 and 3 \* 0 is 3"),
        ({"inverses": torch.zeros(6, dtype=torch.long)}, r"inverse\[1\] is 0"),
        ({"product": SWAPPED}, "Associativity fails"),
        ({"permutations": torch.zeros(6, 3, dtype=torch.long)}, r"permutations\[0\] is not a permutation"),
        ({"permutations": S3.permutations[S3.inverses]}, "a left action is required"),
    ],
)
def test_broken_groups_fail(attributes, message):
    with pytest.raises(GroupError, match=message):
        assert_group(broken(**attributes))
