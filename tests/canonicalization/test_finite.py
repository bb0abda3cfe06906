"""Scores of a finite group: the best element, ties, the prior, and what is refused."""

from __future__ import annotations

import pytest
import torch

from hf_equi import ImageGroup, PixelAction
from hf_equi.canonicalization import FiniteCanonicalizer, Relaxation, identity_prior
from hf_equi.canonicalization.finite import best_element
from hf_equi.errors import ConfigurationError
from hf_equi.symmetrizers import Asked

SQUARE = ImageGroup.dihedral(4)
ACTION = PixelAction(SQUARE)


class Given(FiniteCanonicalizer):
    """Scores that are given."""

    group = SQUARE

    def __init__(self, scores):
        super().__init__()
        self.given = scores

    def scores(self, x):
        return self.given


def find(scores):
    return Given(scores).find(Asked(ACTION, torch.zeros(3, 1, 4, 4)), Relaxation(temperature=2.0))


def test_the_best_element_and_the_prior_are_those_of_the_scores():
    scores = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    scores[2, 0] = 9
    pose = find(scores)
    assert torch.equal(pose.elements, scores.argmax(1, keepdim=True))
    torch.testing.assert_close(pose.shares, (scores / 2).softmax(1))
    torch.testing.assert_close(pose.prior, -scores.log_softmax(1)[:, 0])
    assert torch.equal(pose.prior, identity_prior(scores))
    assert pose.said["identity_share"].tolist() == (scores.argmax(1) == 0).float().tolist()
    assert pose.log_weights is None


def test_ties_go_to_one_image_whichever_member_came_in():
    """With equal scores, and for images that have a symmetry of their own."""
    image = torch.randn(1, 1, 4, 4)
    x = torch.cat([image, image + image.flip(-1), torch.ones(1, 1, 4, 4)])
    scores = torch.zeros(3, 8)
    expected = ACTION.invert(best_element(scores, ACTION, x), x)
    for g in range(8):
        moved = ACTION.apply(g, x)
        assert torch.equal(ACTION.invert(best_element(scores, ACTION, moved), moved), expected)
    # Of two that lead, the others do not count.
    two = torch.zeros(3, 8)
    two[:, 2:4] = 1
    assert set(best_element(two, ACTION, x).tolist()) <= {2, 3}


def test_scores_that_name_no_element_are_refused():
    for lost in (torch.nan, torch.inf, torch.tensor([-torch.inf] * 8)):
        scores = torch.zeros(3, 8)
        scores[1, 2 if isinstance(lost, float) else slice(None)] = lost
        with pytest.raises(ConfigurationError, match="scores of sample 1 are NaN or infinite"):
            find(scores)
    scores[1, 3] = 0  # one that is never chosen has -inf
    assert find(scores).elements[1] == 3
    with pytest.raises(ConfigurationError, match=r"of the shape \(3, 4\); they must .* \(3, 8\)"):
        find(torch.zeros(3, 4))
