"""How canonicalizers are asked while they train: by turned copies, if turning resamples."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hf_equi import ImageGroup, PixelAction
from hf_equi.actions import PlaneAction
from hf_equi.canonicalization import (
    CircularHarmonic,
    FiniteCanonicalizer,
    FixedRule,
    GroupConvolution,
    LearnedMember,
)
from hf_equi.canonicalization.turned_copies import poses_of, scores_of
from hf_equi.errors import ActionError
from hf_equi.groups import O2, SO2
from hf_equi.symmetrizers import Asked

EIGHTHS = PixelAction(ImageGroup.rotations(8))


class Given(FiniteCanonicalizer):
    """Scores that are a linear map of the pixels, and a loss that is their mean."""

    group = EIGHTHS.group

    def __init__(self):
        super().__init__()
        self.map = nn.Linear(2 * 9 * 9, 8)

    def scores(self, x):
        return self.map(x.flatten(1))

    def forward(self, x, base=None):
        return self.scores(x), x.mean((1, 2, 3))


def asked(action=EIGHTHS):
    return Asked(action, torch.randn(6, 2, 9, 9, generator=torch.Generator().manual_seed(0)))


def test_scores_are_those_of_a_turned_copy_turned_back():
    made, given = Given().train(), asked()
    torch.manual_seed(3)
    scores, loss = scores_of(made, given)
    torch.manual_seed(3)
    drawn = torch.randint(8, (6,)).tolist()
    assert len(set(drawn)) > 3
    for row, g in enumerate(drawn):
        copy = EIGHTHS.apply(g, given.x[row : row + 1])
        expected = torch.stack([made.scores(copy)[0, (g + h) % 8] for h in range(8)])
        torch.testing.assert_close(scores[row], expected)
        torch.testing.assert_close(loss[row], copy.mean())


def test_nothing_is_turned_in_evaluation_by_rules_and_for_exact_groups():
    made, given = Given(), asked()
    assert torch.equal(scores_of(made.eval(), given)[0], made.scores(given.x))
    rule = FixedRule(lambda x: torch.zeros(len(x), dtype=torch.long), EIGHTHS.group).train()
    assert scores_of(rule, given)[0].argmax(1).eq(0).all()
    quarters = PixelAction(ImageGroup.rotations(4))
    network = GroupConvolution(quarters.group, inputs=2).train()
    torch.testing.assert_close(scores_of(network, asked(quarters))[0], network.scores(given.x))


@pytest.mark.parametrize("resamples", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_inputs_that_the_group_does_not_move_are_refused_before_anything_is_asked(resamples, training):
    oblong, quarters = torch.zeros(2, 2, 9, 6), PixelAction(ImageGroup.rotations(4))
    made, ran = CircularHarmonic(SO2(), GroupConvolution(EIGHTHS.group, inputs=2)).train(training), []
    made.scorer.layers[0].register_forward_pre_hook(lambda *_: ran.append(1))
    with pytest.raises(ActionError, match="must be square; received H = 9, W = 6"):
        scores_of(made.scorer, Asked(EIGHTHS if resamples else quarters, oblong))
    with pytest.raises(ActionError, match="must be square; received H = 9, W = 6"):
        poses_of(made, Asked(PlaneAction(SO2()), oblong))
    assert not ran


def test_what_tells_the_grid_of_pixels_from_turned_ones_does_not_lower_the_prior():
    """Scores that prefer multiples of 90 degrees whatever the image shows: as often wrong as right, once turned."""

    class Grid(Given):
        def forward(self, x, base=None):
            return 9 * torch.tensor([1.0, 0.0] * 4).expand(len(x), -1) + 0 * self.scores(x), None

    x = torch.randn(400, 2, 9, 9)
    part = LearnedMember().with_network(Grid())
    torch.manual_seed(0)
    trained = part(EIGHTHS, x).said["prior_loss"].mean()
    part.network.eval()
    assert part(EIGHTHS, x).said["prior_loss"].mean() < 1.5 < torch.tensor(8.0).log() < trained


def test_elements_are_those_of_a_moved_copy_moved_back():
    group = O2()  # elements do not commute
    made = CircularHarmonic(group, GroupConvolution(ImageGroup.dihedral(8), inputs=2, channels=2, layers=1)).train()
    given = asked(PlaneAction(group))
    torch.manual_seed(3)
    elements, _, _ = poses_of(made, given)
    torch.manual_seed(3)
    drawn = group.sample(6).float()
    copies = given.action.apply(drawn, given.x)
    expected = group.compose(group.inverse(drawn)[:, None], made.poses(copies)[0])
    torch.testing.assert_close(elements, expected, atol=1e-5, rtol=0)
    assert torch.equal(poses_of(made.eval(), given)[0], made.poses(given.x)[0])
