from __future__ import annotations

import pytest

from hf_equi.canonicalization import read_canonicalizer
from hf_equi.errors import ConfigurationError
from hf_equi.groups import E3, O3, SE3, SO2Z, SO3, MatrixGroup
from hf_equi.models.point_clouds.groups import check_space, default_canonicalizer


@pytest.mark.parametrize("group", [SO3(), O3(), SO2Z(), SE3(), E3()], ids=repr)
def test_every_continuous_group_has_a_canonicalizer(group):
    found = read_canonicalizer(default_canonicalizer(group), group)
    assert found.group == group
    assert found.learns


def test_finite_groups_have_none_and_act_on_space():
    assert default_canonicalizer(MatrixGroup.cube()) is None
    with pytest.raises(ConfigurationError, match=r"MatrixGroup\.cyclic\(n, dimension=3\)"):
        check_space(MatrixGroup.dihedral(3))
