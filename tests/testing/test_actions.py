import pytest
import torch

from hf_equi.actions import Action, PointAction, VectorAction
from hf_equi.actions.words import WordAction
from hf_equi.errors import ActionError
from hf_equi.groups import SE3, SO3, DemographicGroup, FiniteGroup
from hf_equi.testing import assert_action


class Points(Action):
    """The left action on functions of the points, broken in a way that a test names."""

    def __init__(self, group, fault=None):
        self.group = group
        self.fault = fault

    def apply(self, g, x):
        if self.fault == "identity" and isinstance(g, int) and g == 0:
            return x + 1
        if self.fault == "each" and isinstance(g, torch.Tensor):
            g = g.flip(0)
        places = self.group.permutations[g if self.fault == "right" else self.group.inverse(g)]
        return x.gather(1, places.expand_as(x))

    def invert(self, g, x):
        return self.apply(g if self.fault == "inverse" else self.group.inverse(g), x)


SAMPLES = [torch.arange(3)[None], torch.tensor([[0.5, -1.0, 2.0], [3.0, 7.0, 8.0]])]
S3 = FiniteGroup.symmetric(3)


def test_actions_pass():
    assert_action(Points(S3), SAMPLES)
    assert_action(WordAction(DemographicGroup([["a", "b", "c"]])), [["a b, C", ""], "a b, C", ""])


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("identity", "the identity 0 must not move"),
        ("right", r"apply\(\d, apply\(\d, x\)\) must be apply\(\d, x\)"),
        ("inverse", r"invert\(\d, apply\(\d, x\)\) must be x"),
        ("each", r"with elements = \[\d, \d\], row \d of apply\(elements, x\) must be apply\(\d, x\[\d\]\)"),
    ],
)
def test_broken_actions_fail(fault, message):
    with pytest.raises(ActionError, match=message):
        assert_action(Points(S3, fault), SAMPLES)


def test_an_action_on_words_that_forgets_one_fails():
    action = WordAction(DemographicGroup([["a", "b", "c"]]))
    del action._rows["c"]
    with pytest.raises(ActionError, match="Not an action"):
        assert_action(action, ["a b c"])


def test_no_sample_is_no_check():
    with pytest.raises(ActionError, match="at least one sample"):
        assert_action(Points(S3), [])


class Turns(Action):
    """Quarter turns of the plane by floating matrices, on dictionaries and tuples of points."""

    group = FiniteGroup.cyclic(4)

    def __init__(self, angle=torch.pi / 2):
        self.angle = torch.tensor(angle, dtype=torch.float64)

    def apply(self, g, x):
        c, s = torch.cos(g * self.angle), torch.sin(g * self.angle)
        matrix = torch.stack([torch.stack([c, -s], -1), torch.stack([s, c], -1)], -2)
        return {name: ((matrix @ points.unsqueeze(-1)).squeeze(-1),) for name, (points,) in x.items()}

    def invert(self, g, x):
        return self.apply(-g, x)


def test_floats_are_compared_up_to_rounding():
    sample = {"points": (torch.tensor([[1.0, 2.0]], dtype=torch.float64),)}
    assert_action(Turns(), [sample])
    with pytest.raises(ActionError, match="must be apply"):
        assert_action(Turns(angle=torch.pi / 2 + 1e-6), [sample])


class Reshaping(Points):
    def apply(self, g, x):
        return x.double() if g else x


def test_a_changed_dtype_fails():
    with pytest.raises(ActionError, match="must be x"):
        assert_action(Reshaping(S3), [torch.zeros(1, 3)])


class Transposed(VectorAction):
    """A right action: the points are multiplied from the other side."""

    def apply(self, g, x):
        return super().apply(g.mT, x)


class Unmoved(PointAction):
    """Points whose inverse forgets the translation."""

    def invert(self, g, x):
        return VectorAction(self.group).invert(g, x)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (Transposed(SO3()), r"apply\(\[\[.*\]\], apply\(\[\[.*\]\], x\)\) must be apply"),
        (Unmoved(SE3()), r"invert\(\[\[.*\]\], apply\(\[\[.*\]\], x\)\) must be x"),
    ],
)
def test_broken_actions_of_continuous_groups_fail(action, message):
    with pytest.raises(ActionError, match=message):
        assert_action(action, [torch.tensor([[1.0, 2.0, 3.0]])])


def test_a_tolerance_is_for_floats_alone():
    assert_action(Turns(angle=torch.pi / 2 + 1e-6), [{"points": (torch.ones(1, 2).double(),)}], tolerance=1e-4)
    with pytest.raises(ActionError, match="must not move"):
        assert_action(Points(S3, "identity"), SAMPLES[:1], tolerance=2.0)
