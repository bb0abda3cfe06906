"""Which canonicalizers fit a model."""

from __future__ import annotations

import pytest
import torch
from small_rules import brightest_corner, clockwise
from torch import nn

from hf_equi import ImageGroup, PixelAction
from hf_equi.actions import PlaneAction, PointAction
from hf_equi.canonicalization import (
    CircularHarmonic,
    Composed,
    FiniteCanonicalizer,
    FixedPose,
    FixedRule,
    GramSchmidt,
    GroupConvolution,
    ModelEnergy,
    OrbitScorer,
    VectorNeurons,
)
from hf_equi.canonicalization.fitting import check_settings, fitted
from hf_equi.errors import ConfigurationError
from hf_equi.groups import SE3, SO2, SO3

TURNS = ImageGroup.rotations(4)
ACTION, SHAPE = PixelAction(TURNS), (3, 8, 8)


class Lopsided(FiniteCanonicalizer):
    """Scores that a linear layer reads off the image itself, with a dropout that the check has to switch off."""

    group = TURNS

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(192, 4))

    def scores(self, x):
        return self.layers(x)


class FixedScores(FiniteCanonicalizer):
    """The brightness of the corners, of any size, to about the precision of float32."""

    group = TURNS

    def __init__(self, size, wrong=False):
        super().__init__()
        self.size, self.wrong = size, wrong

    def scores(self, x):
        corners = torch.stack([x[:, 0, 0, 0], x[:, 0, -1, 0], x[:, 0, -1, -1], x[:, 0, 0, -1]], 1)
        first = self.size * torch.tensor([1 + 1e-6, 1, 1, 1.1 if self.wrong else 1])
        return corners * first


def test_a_function_becomes_a_rule_and_a_canonicalizer_stays():
    rule = fitted(brightest_corner, ACTION, SHAPE)
    assert isinstance(rule, FixedRule)
    assert rule.rule is brightest_corner
    network = GroupConvolution(TURNS)
    assert fitted(network, ACTION, SHAPE) is network


def test_one_that_does_not_follow_is_refused_with_the_element_and_the_error():
    made = Lopsided().train()
    with pytest.raises(ConfigurationError, match=r"for element [123] \(\d+°\), scores.* differ by up to [\d.]+, but"):
        fitted(made, ACTION, SHAPE)
    assert made.training
    with pytest.raises(ConfigurationError, match=r"for element [13] \(\d+°\), h\(gx\) is not g h\(x\) for 100%"):
        fitted(clockwise, ACTION, SHAPE)
    loud = FixedScores(1e4)  # of which rounding is far above 1e-5
    assert fitted(loud, ACTION, SHAPE) is loud
    with pytest.raises(ConfigurationError, match=r"differ by up to"):
        fitted(FixedScores(1e4, wrong=True), ACTION, SHAPE)
    # Turns by 45° are resampled, so there the exact elements alone are tried.
    eighths = ImageGroup.rotations(8)
    assert fitted(FixedRule(lambda x: 2 * brightest_corner(x), eighths), PixelAction(eighths), SHAPE).group == eighths


@pytest.mark.parametrize(
    "rule",
    [
        lambda x: nn.functional.one_hot(brightest_corner(x), 4).float(),  # scores, which follow their input
        lambda x: brightest_corner(x) + 4,
        lambda x: brightest_corner(x).float(),
        lambda x: brightest_corner(x).tolist(),
    ],
)
def test_a_rule_that_names_no_elements_is_refused_before_a_model_calls_it(rule):
    with pytest.raises(ConfigurationError, match=r"element of each input, \(2,\) integers from 0 to 3; received"):
        fitted(rule, ACTION, SHAPE)
    pair = FixedPose(lambda x: (SO2().identity.expand(len(x), 1, 2, 2), None), SO2())
    with pytest.raises(ConfigurationError, match=r"element of each input, \(2, 2, 2\) floating .* received tuple"):
        fitted(pair, PlaneAction(SO2()), SHAPE)


def test_another_group_and_bare_networks_are_refused():
    with pytest.raises(ConfigurationError, match=r"is of ImageGroup.dihedral\(4\), but the model is of .*rotations"):
        fitted(GroupConvolution(ImageGroup.dihedral(4)), ACTION, SHAPE)
    with pytest.raises(ConfigurationError, match=r"is a Flatten, which does not say .*OrbitScorer\(network, group\)"):
        fitted(nn.Flatten(), ACTION, SHAPE)
    with pytest.raises(ConfigurationError, match=r"GroupConvolution is a class: make one, such as GroupConvolution\("):
        fitted(GroupConvolution, ACTION, SHAPE)
    nameless = Lopsided()
    nameless.group = None
    with pytest.raises(ConfigurationError, match="is of None, but the model is of"):
        fitted(nameless, ACTION, SHAPE)


def test_images_with_other_channels_are_refused():
    grey = GroupConvolution(ImageGroup.rotations(8), inputs=1)
    with pytest.raises(ConfigurationError, match="make one with inputs=3"):
        fitted(GroupConvolution(TURNS, inputs=1), ACTION, SHAPE)
    with pytest.raises(ConfigurationError, match="make one with inputs=3"):
        fitted(CircularHarmonic(SO2(), grey), PlaneAction(SO2()), SHAPE)


def test_nothing_is_tried_while_a_checkpoint_is_loaded():
    with torch.device("meta"):
        assert isinstance(fitted(clockwise, ACTION, SHAPE), FixedRule)


def energy():
    return ModelEnergy(TURNS)


def angle():
    return CircularHarmonic(SO2(), ModelEnergy(ImageGroup.rotations(8)))


@pytest.mark.parametrize("made", [energy, angle, lambda: FixedRule(brightest_corner, TURNS)])
def test_settings_of_training_are_refused_for_what_is_not_trained(made):
    name = type(made()).__name__
    for setting in ({"temperature": 3.0}, {"relaxation": "gumbel"}, {"prior_weight": 5.0}):
        with pytest.raises(ConfigurationError, match=f"{next(iter(setting))}: a {name} is not trained"):
            check_settings(made(), setting)
    with pytest.raises(ConfigurationError, match=f"trains the canonicalizer alone, but a {name} is not"):
        check_settings(made(), {"task_weight": 0.0})
    check_settings(made(), {"task_weight": 0.5, "temperature": 1.0})


def test_two_weights_of_0_need_a_loss_of_the_canonicalizers_own():
    none = {"task_weight": 0.0, "prior_weight": 0.0}
    network, eighths = nn.Flatten(), ImageGroup.rotations(8)
    for made in (None, GroupConvolution(TURNS), OrbitScorer(network, TURNS, size=4, contrast_weight=0.0)):
        with pytest.raises(ConfigurationError, match="leave no loss to train by"):
            check_settings(made, none)
    for made in (OrbitScorer(network, TURNS, size=4), CircularHarmonic(SO2(), OrbitScorer(network, eighths, size=4))):
        check_settings(made, none)


def test_rules_of_continuous_groups_are_tried_on_exact_turns():
    def brighter(x):
        half = x.shape[-1] // 2
        right = x[..., -half:].mean((1, 2, 3)) - x[..., :half].mean((1, 2, 3))
        above = x[..., :half, :].mean((1, 2, 3)) - x[..., -half:, :].mean((1, 2, 3))
        return SO2().exp(torch.atan2(above, right).unsqueeze(-1))

    pixels, points = PlaneAction(SO2()), PointAction(SO3())
    assert isinstance(fitted(brighter, pixels, SHAPE), FixedPose)
    with pytest.raises(ConfigurationError, match=r"for element g = \[\[.*h\(gx\) and g h\(x\) differ by up to"):
        fitted(lambda x: brighter(x).mT, pixels, SHAPE)
    with pytest.raises(ConfigurationError, match=r"does not fit. .* returns other matrices. Element 0 of 2 is not in"):
        fitted(lambda x: 1.5 * brighter(x), pixels, SHAPE)
    network = VectorNeurons(SO3())
    assert fitted(network, points, (6, 3)) is network
    with pytest.raises(ConfigurationError, match=r"is of SO3\(\), but the model is of SO2\(\)"):
        fitted(network, pixels, SHAPE)
    own = Composed(SE3(), GramSchmidt(SO3()), lambda x: x[:, 0] + 1)  # which a rotation does not move along
    with pytest.raises(ConfigurationError, match="canonicalizer= does not fit"):
        fitted(own, PointAction(SE3()), (6, 3))
