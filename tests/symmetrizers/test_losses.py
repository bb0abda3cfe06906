"""The proxy losses, against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from token_actions import action_of

from hf_equi.errors import ConfigurationError
from hf_equi.models.seq2seq.configuration_equi_seq2seq import EquiSeq2SeqConfig
from hf_equi.symmetrizers import (
    Entropy,
    Equizero,
    MaxProbability,
    MaxSimilarity,
    Orbit,
    PublishedEntropy,
    PublishedLeastConfident,
    create_loss,
)
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
BY_HAND = {
    "max_probability": MAXIMA,
    "entropy": ENTROPIES,
    "published_least_confident": [[-step for step in steps] for steps in MAXIMA],
}


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


def test_the_surest_step_has_the_least_loss_of_all_but_one():
    sure, unsure = torch.tensor([[0.9, 0.05, 0.05]]).log(), torch.tensor([[0.4, 0.3, 0.3]]).log()
    wrong = [name for name in LOSSES if create_loss(name)(sure) >= create_loss(name)(unsure)]
    assert wrong == ["published_least_confident"]


def test_max_similarity_reads_logits():
    logits = torch.tensor([[[3.0, -1.0], [0.5, 2.0]], [[-4.0, -5.0], [7.0, 7.0]]], dtype=torch.float64)
    loss = MaxSimilarity()
    assert loss.of_steps(logits).tolist() == [[-3.0, -2.0], [4.0, -7.0]]
    assert loss(logits).tolist() == [-2.5, -1.5]
    assert [name for name in LOSSES if LOSSES[name].of_logits] == ["max_similarity"]


def test_similarity_and_probability_may_disagree():
    """A row of large logits that are close to each other, and one of small ones that are not."""
    logits = torch.tensor([[9.0, 8.9, 8.8], [2.0, -9.0, -9.0]])
    assert MaxSimilarity()(logits[:1]) < MaxSimilarity()(logits[1:])
    for loss in (MaxSimilarity(), MaxProbability()):  # of log-probabilities the two go by the same order
        assert loss(logits[:1].log_softmax(-1)) > loss(logits[1:].log_softmax(-1))


def test_each_loss_of_images_chooses_its_member():
    action, orbit = action_of(4, [[0, 1]]), Orbit.start(torch.tensor([[0, 1]]), shared=False)
    logits = torch.tensor([[[9.0, 8.9, 8.8, 8.7]], [[2.0, -9.0, -9.0, -9.0]]])
    chosen = {}
    for name in ("max_similarity", "max_probability", "published_least_confident"):
        loss = create_loss(name)
        fold = Equizero(loss).combine.fold(orbit, action)
        fold.add(0, logits if loss.of_logits else logits.log_softmax(-1))
        chosen[name] = fold.decision().chosen_element.tolist()
    assert chosen == {"max_similarity": [0], "max_probability": [1], "published_least_confident": [0]}


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_finite_differences(name):
    leaf = torch.randn(2, 3, 5, dtype=torch.float64, requires_grad=True)
    loss = create_loss(name)
    assert torch.autograd.gradcheck(lambda logits: loss(logits if loss.of_logits else logits.log_softmax(-1)), leaf)


def test_names_make_their_losses():
    kinds = (
        MaxProbability,
        Entropy,
        PublishedMaxProbability,
        PublishedEntropy,
        MaxSimilarity,
        PublishedLeastConfident,
    )
    names = ["max_probability", "entropy", "published_max_probability", "published_entropy"]
    assert list(LOSSES) == [*names, "max_similarity", "published_least_confident"]
    assert list(LOSSES.values()) == list(kinds)
    assert [type(create_loss(name)) for name in LOSSES] == list(kinds)
    assert [kind.adds_up for kind in kinds] == [False, False, True, True, False, False]


def test_unknown_loss_raises_and_lists_the_known():
    with pytest.raises(
        ConfigurationError,
        match="loss='regard' is not known: use one of 'max_probability', 'entropy', 'published_max_probability', 'pub",
    ):
        create_loss("regard")


def test_a_task_may_know_fewer_losses():
    known = ("entropy", "max_similarity")
    assert [type(create_loss(name, known=known)) for name in known] == [Entropy, MaxSimilarity]
    with pytest.raises(
        ConfigurationError, match=r"'max_probability' is not known: .*[Uu]se one of 'entropy', 'max_simila"
    ):
        create_loss("max_probability", known=known)


@pytest.mark.parametrize("name", ["max_similarity", "published_least_confident"])
@pytest.mark.parametrize("method", ["equizero", "equitune"])
def test_losses_of_images_are_refused_for_texts(method, name):
    message = rf"loss='{name}' is not known: .*Use one of .*'published_entropy'\.$"
    with pytest.raises(ConfigurationError, match=message):
        EquiSeq2SeqConfig(method=method, loss=name)
