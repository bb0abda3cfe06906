"""The proxy losses, against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from hf_equi.errors import ConfigurationError
from hf_equi.symmetrizers import Entropy, MaxProbability, PublishedEntropy, create_loss
from hf_equi.symmetrizers.losses import LOSSES, PublishedMaxProbability

# Two sequences of three steps over four classes.
PROBABILITIES = torch.tensor(
    [
        [[0.5, 0.25, 0.125, 0.125], [0.25, 0.25, 0.25, 0.25], [0.7, 0.1, 0.1, 0.1]],
        [[1.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.25, 0.75]],
    ],
    dtype=torch.float64,
)
LN2 = math.log(2)
ENTROPIES = [
    [1.75 * LN2, 2 * LN2, -0.7 * math.log(0.7) - 0.3 * math.log(0.1)],
    [0.0, LN2, 0.5 * LN2 - 0.75 * math.log(0.75)],
]
# −Σ log p log₂ p: in units of ln 2, each p = 2^−k gives −k².
PUBLISHED = [
    -LN2 * (1 + 4 + 9 + 9),
    -LN2 * (4 * 4),
    -(math.log(0.7) ** 2 + 3 * math.log(0.1) ** 2) / LN2,
]
MAXIMA = [[-0.5, -0.25, -0.7], [-1.0, -0.5, -0.75]]
BY_HAND = {"max_probability": MAXIMA, "entropy": ENTROPIES}


@pytest.mark.parametrize("name", BY_HAND)
def test_steps_and_their_mean_are_those_by_hand(name):
    loss, required = create_loss(name), torch.tensor(BY_HAND[name], dtype=torch.float64)
    torch.testing.assert_close(loss.of_steps(PROBABILITIES.log()), required, rtol=0, atol=1e-12)
    torch.testing.assert_close(loss(PROBABILITIES.log()), required.mean(-1), rtol=0, atol=1e-12)


def test_published_entropy_takes_logarithms_twice_and_adds_up():
    loss, scores = PublishedEntropy(), PROBABILITIES[:1].log()
    required = torch.tensor([PUBLISHED], dtype=torch.float64)
    torch.testing.assert_close(loss.of_steps(scores), required, rtol=0, atol=1e-12)
    torch.testing.assert_close(loss(scores), required.sum(-1), rtol=0, atol=1e-12)


def test_published_max_probability_counts_from_a_uniform_guess_and_adds_up():
    loss, required = PublishedMaxProbability(), torch.tensor(MAXIMA, dtype=torch.float64) + 0.25
    torch.testing.assert_close(loss.of_steps(PROBABILITIES.log()), required, rtol=0, atol=1e-12)
    torch.testing.assert_close(loss(PROBABILITIES.log()), required.sum(-1), rtol=0, atol=1e-12)
    assert float(loss(torch.full((3, 5), 0.2).log())) == pytest.approx(0.0, abs=1e-6)


def test_published_entropy_prefers_the_longer_text():
    short, long = PROBABILITIES[0, 2:].log(), PROBABILITIES[0, 1:].log()
    assert PublishedEntropy()(long) < PublishedEntropy()(short)
    assert Entropy()(long) > Entropy()(short)


@pytest.mark.parametrize("name", LOSSES)
def test_steps_that_do_not_count_are_left_out(name):
    loss, scores = create_loss(name), PROBABILITIES[:1].log()
    counted = torch.tensor([[True, False, True]])
    required = loss(scores[:, [0, 2]])
    torch.testing.assert_close(loss(scores, counted), required)
    scores[:, 1] = torch.nan
    torch.testing.assert_close(loss(scores, counted), required)


def test_each_text_counts_its_own_steps():
    counted = torch.tensor([[True, True, False], [True, False, False]])
    received = MaxProbability()(PROBABILITIES.log(), counted)
    assert received.tolist() == pytest.approx([-0.375, -1.0])


@pytest.mark.parametrize("name", LOSSES)
def test_texts_without_a_step_have_no_loss(name):
    loss = create_loss(name)
    assert loss(PROBABILITIES.log(), torch.zeros(2, 3, dtype=torch.bool)).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("name", LOSSES)
def test_leading_axes_stay(name):
    scores = torch.randn(2, 3, 5, 7).log_softmax(-1)
    loss = create_loss(name)
    assert loss.of_steps(scores).shape == (2, 3, 5)
    assert loss(scores).shape == (2, 3)
    torch.testing.assert_close(loss(scores)[1, 2], loss(scores[1, 2]))


def test_the_surest_step_has_the_least_loss():
    sure, unsure = torch.tensor([[0.9, 0.05, 0.05]]).log(), torch.tensor([[0.4, 0.3, 0.3]]).log()
    assert all(create_loss(name)(sure) < create_loss(name)(unsure) for name in LOSSES)


def test_names_make_their_losses():
    kinds = (MaxProbability, Entropy, PublishedMaxProbability, PublishedEntropy)
    assert list(LOSSES) == ["max_probability", "entropy", "published_max_probability", "published_entropy"]
    assert list(LOSSES.values()) == list(kinds)
    assert [type(create_loss(name)) for name in LOSSES] == list(kinds)
    assert [kind.adds_up for kind in kinds] == [False, False, True, True]


def test_unknown_loss_raises_and_lists_the_known():
    with pytest.raises(
        ConfigurationError,
        match="loss='regard' is not known: use one of 'max_probability', 'entropy', 'published_max_probability', 'pub",
    ):
        create_loss("regard")
