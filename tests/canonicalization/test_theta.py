"""Θ: how elements are named, stored and checked."""

from __future__ import annotations

import json
import math

import pytest
import torch

from hf_equi import ImageGroup
from hf_equi.canonicalization.theta import plain_theta, read_theta
from hf_equi.errors import ConfigurationError
from hf_equi.groups import O2, SE2, SO2, SO3, MatrixGroup

SQUARE = ImageGroup.dihedral(4)
TURN = [[0.0, -1.0], [1.0, 0.0]]


def test_elements_of_a_finite_group_are_named_or_numbered():
    assert read_theta(["90°", 0, "0° mirrored"], SQUARE).tolist() == [1, 0, 4]
    cube = MatrixGroup.cube()
    assert read_theta(("180° about (0, 0, 1)",), cube).tolist() == [cube.element("180° about (0, 0, 1)")]


def test_elements_of_a_continuous_group_are_matrices_and_in_the_plane_angles():
    found = read_theta(["-30°", TURN, "22.5°"], SO2())
    assert found.dtype == torch.float64
    torch.testing.assert_close(SO2().log(found)[:, 0], torch.tensor([-30, 90, 22.5]).double().deg2rad())
    mirror = torch.diag(torch.tensor([-1.0, 1.0]))
    assert torch.equal(read_theta([mirror], O2())[0], mirror.double())
    assert torch.equal(SE2().parts(read_theta(["90°"], SE2())[0])[1], torch.zeros(2).double())
    drawn = SO3().sample(3)
    assert torch.equal(read_theta(plain_theta(drawn), SO3()), drawn)


def test_what_a_config_stores_is_json_and_names_the_same_elements():
    for theta, group in ((("90°", 2), SQUARE), (torch.tensor([3, 1]), SQUARE), ([torch.tensor(TURN), "0°"], SO2())):
        stored = json.loads(json.dumps(plain_theta(theta)))
        assert stored == plain_theta(stored)
        assert torch.equal(read_theta(stored, group), read_theta(plain_theta(theta), group))
    assert [plain_theta(other) for other in (None, "90°", 3)] == [None, "90°", 3]


@pytest.mark.parametrize(
    ("theta", "group", "message"),
    [
        (None, SQUARE, r"theta=None is not a set of elements: .* theta=\['0°', '90°'\]"),
        ([], SQUARE, r"theta=\[\] is not a set"),
        ("90°", SQUARE, "theta='90°' is not a set"),
        ({"0°": 1}, SQUARE, "is not a set"),
        ({"0°", "90°"}, SQUARE, r"has no order, but group_weights .* a list, such as \['0°', '90°'\]"),
        ([], SO3(), r"such as theta=SO3\(\)\.sample\(2\)"),
        (["0°", "45°"], SQUARE, r"hold elements of the group\. No element '45°' in ImageGroup.dihedral\(4\)"),
        ([8], SQUARE, "No element 8 in"),
        ([-1], SQUARE, "No element -1 in"),
        ([True], SQUARE, "named or numbered; received True"),
        ([1.0], SQUARE, "named or numbered; received 1.0"),
        (["0°", "90°", 1], SQUARE, "names an element twice, as '90°' and 1"),
        (["0°", "360°"], SO2(), "names an element twice, as '0°' and '360°'"),
        ([[[2.0, 0.0], [0.0, 1.0]]], SO2(), r"hold elements of the group\. .* is not in SO2"),
        ([torch.diag(torch.tensor([-1.0, 1.0]))], SO2(), "is not in SO2"),
        (["ninety"], SO2(), "are matrices or angles such as '90°'; received 'ninety'"),
        ([math.pi], SO2(), "are matrices; received 3.14"),
        (["90°"], SO3(), r"Elements of SO3\(\) are matrices; received '90°'"),
        ([TURN], SO3(), r"are matrices, \(\.\.\., 3, 3\)"),
        ([[[math.nan, 0.0], [0.0, 1.0]]], SO2(), "is not in SO2"),
    ],
)
def test_what_is_no_set_of_elements_is_refused(theta, group, message):
    with pytest.raises(ConfigurationError, match=message):
        read_theta(plain_theta(theta), group)
