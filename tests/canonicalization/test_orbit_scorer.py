"""Any network as a canonicalizer, and the contrast of its vectors."""

from __future__ import annotations

import pytest
import torch
from small_vision import classifier, images
from torch import nn
from torch.nn.functional import cosine_similarity

from hf_equi import ImageGroup, PixelAction
from hf_equi.actions import PointAction
from hf_equi.canonicalization import ModelEnergy, OrbitScorer, read_canonicalizer
from hf_equi.canonicalization.orbit_scorer import contrast
from hf_equi.errors import ConfigurationError
from hf_equi.groups import SO2, MatrixGroup
from hf_equi.testing import assert_canonicalizer

SQUARE = ImageGroup.dihedral(4)


def flat(outputs):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, outputs), nn.Tanh())


@pytest.mark.parametrize("settings", [{}, {"size": 5}, {"size": 5, "learn_reference": True}])
def test_scores_are_those_of_the_members(settings):
    x, action = images(2, (8, 8)), PixelAction(SQUARE)
    network = flat(settings.get("size", 1))
    scorer = OrbitScorer(network, SQUARE, **settings)
    assert_canonicalizer(scorer, x, action)
    scores, loss = scorer(x)
    for h in range(SQUARE.order):
        member = network(action.invert(h, x))
        expected = 10 * cosine_similarity(member, scorer.reference[None]) if settings else member[:, 0]
        torch.testing.assert_close(scores[:, h], expected)
    assert (loss is not None) == bool(settings)
    assert ("reference" in dict(scorer.named_parameters())) == ("learn_reference" in settings)


def test_the_contrast_is_the_mean_over_pairs():
    vectors = nn.functional.normalize(torch.randn(2, 3, 4, dtype=torch.float64), dim=-1)
    for sample, found in zip(vectors, contrast(vectors), strict=True):
        pairs = [abs(float(sample[i] @ sample[j])) for i in range(3) for j in range(3) if i != j]
        assert float(found) == pytest.approx(sum(pairs) / 6)
    assert contrast(vectors[:, :1]).tolist() == [0, 0]


def test_a_model_of_transformers_is_stored_with_it():
    base = classifier("resnet-basic")
    scorer = OrbitScorer(base, PixelAction(ImageGroup.rotations(8), "circular"), size=4, contrast_weight=0.5)
    again = read_canonicalizer(scorer.to_dict(), scorer.group)
    assert again.action.padding == "circular"
    assert again.to_dict() == scorer.to_dict()
    again.load_state_dict(scorer.state_dict())
    x = images(1)
    assert torch.equal(again.eval().scores(x), scorer.eval().scores(x))


@pytest.mark.parametrize("action", [MatrixGroup.cube(), SO2(), PointAction(SO2()), None], ids=repr)
def test_actions_whose_members_cannot_be_listed_are_refused(action):
    for make in (lambda: OrbitScorer(flat(1), action), lambda: ModelEnergy(action)):
        with pytest.raises(ConfigurationError, match=r"scores all members of an orbit, .* CircularHarmonic\(group, "):
            make()
    with pytest.raises(ConfigurationError, match="is not a torch module"):
        OrbitScorer(torch.sum, SQUARE)


def test_networks_of_another_shape_are_refused():
    x = images(1, (8, 8))
    with pytest.raises(ConfigurationError, match=r"shape \(8, 5\) for 8 inputs, but it must be .*pass size="):
        OrbitScorer(flat(5), SQUARE).scores(x)
    with pytest.raises(ConfigurationError, match=r"must be \(8, 4\)"):
        OrbitScorer(flat(5), SQUARE, size=4).scores(x)
    for settings in ({"scale": 0}, {"size": 0}, {"contrast_weight": -1}):
        with pytest.raises(ConfigurationError, match=next(iter(settings))):
            OrbitScorer(flat(5), SQUARE, **settings)
