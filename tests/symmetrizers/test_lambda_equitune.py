"""λ-equitune through the fold, against its equation."""

from __future__ import annotations

import math

import pytest
import torch
from token_actions import action_of

from hf_equi.errors import ConfigurationError
from hf_equi.symmetrizers import Canonical, Equitune, Equizero, Identity, LambdaEquitune, Mixture, Orbit, OrbitFold
from hf_equi.symmetrizers.equitune import AVERAGES
from hf_equi.symmetrizers.lambda_equitune import normalise_log_weights

# Each: an action, and texts whose members meet in rows.
THREE = action_of(7, [[6, 3, 4]]), torch.tensor([[0, 1], [4, 0], [3, 6]])
PRODUCT = action_of(9, [[5, 1], [2, 7]], [[6, 3, 4]]), torch.tensor([[0, 8, 0], [0, 5, 0], [4, 0, 4], [1, 6, 2]])
CASES = pytest.mark.parametrize(("action", "ids"), [THREE, PRODUCT], ids=["three", "product"])


def orbit_of(action, ids, shared=True):
    elements = torch.arange(action.group.order).expand(len(ids), -1)
    return Orbit.start(elements, shared).extend(action.orbit(ids))[0]


def random_case(action, ids, shared=True):
    """Scores of the rows, and log λ of each: equal members have equal ones."""
    orbit = orbit_of(action, ids, shared)
    rows = torch.randn(orbit.rows, 2, action.token_map.vocab_size, dtype=torch.float64).log_softmax(-1)
    return orbit, rows, torch.randn(orbit.rows, dtype=torch.float64)


def folded(orbit, action, average, rows, log_lambda, size=None):
    """As a model folds: log λ normalised over whole orbits, rows in slices."""
    weights = normalise_log_weights(log_lambda[orbit.row_of])
    slots = orbit.slot_of_row
    by_row = weights[orbit.batch_of_row, slots].unsqueeze(-1).expand(-1, rows.shape[1])
    fold = LambdaEquitune(average).fold(orbit, action)
    size = size or len(rows)
    for begin in range(0, len(rows), size):
        fold.add(begin, rows[begin : begin + size], by_row[begin : begin + size])
    return fold.result()


def literal(orbit, action, average, rows, log_lambda):
    results = []
    for text in orbit.row_of.tolist():
        numerator, denominator = 0.0, 0.0
        for g, row in enumerate(text):
            score = action.pull_back(g, rows[row])
            numerator = numerator + log_lambda[row].exp() * (score if average == "logits" else score.exp())
            denominator = denominator + log_lambda[row].exp()
        mean = numerator / denominator
        results.append((mean if average == "logits" else mean.log()).log_softmax(-1))
    return torch.stack(results)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("average", AVERAGES)
@CASES
def test_weighted_mean_is_the_equation(action, ids, average, shared):
    orbit, rows, log_lambda = random_case(action, ids, shared)
    required = literal(orbit, action, average, rows, log_lambda)
    for size in range(1, orbit.rows + 1):
        received = folded(orbit, action, average, rows, log_lambda, size)
        torch.testing.assert_close(received, required, rtol=0, atol=1e-12)


@pytest.mark.parametrize("average", AVERAGES)
@CASES
def test_constant_weight_is_equitune(action, ids, average):
    orbit, rows, _ = random_case(action, ids)
    fold = OrbitFold(orbit, action, Equitune(average))
    fold.add(0, rows)
    received = folded(orbit, action, average, rows, torch.full((orbit.rows,), -7.0, dtype=torch.float64))
    torch.testing.assert_close(received, fold.result(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("average", AVERAGES)
@CASES
def test_weight_of_a_single_member_is_that_member(action, ids, average):
    orbit, rows, log_lambda = random_case(action, ids, shared=False)
    for g in range(action.group.order):
        one = log_lambda - 200.0
        one[orbit.element_of_row == g] = 0.0
        received = folded(orbit, action, average, rows, one)
        required = action.pull_back(g, rows[orbit.row_of[:, g]])
        torch.testing.assert_close(received, required, rtol=0, atol=1e-12)


@pytest.mark.parametrize("average", AVERAGES)
@CASES
def test_weighted_mean_is_equivariant(action, ids, average):
    orbit, rows, log_lambda = random_case(action, ids)
    scores = folded(orbit, action, average, rows, log_lambda)
    for g in range(action.group.order):
        moved = folded(orbit_of(action, action.apply(g, ids)), action, average, rows, log_lambda)
        torch.testing.assert_close(action.pull_back(g, moved), scores, rtol=0, atol=1e-12)


@pytest.mark.parametrize("average", AVERAGES)
def test_gradients_reach_scores_and_weights(average):
    action, ids = PRODUCT
    orbit, rows, log_lambda = random_case(action, ids)
    probe = torch.randn(len(ids), 2, 9, dtype=torch.float64)
    gradients = []
    for function in (folded, literal):
        leaves = rows.clone().requires_grad_(), log_lambda.clone().requires_grad_()
        gradients.append(torch.autograd.grad((function(orbit, action, average, *leaves) * probe).sum(), leaves))
    for received, required in zip(*gradients, strict=True):
        torch.testing.assert_close(received, required, rtol=0, atol=1e-10)
    assert gradients[0][1][orbit.counts[orbit.batch_of_row] > 1].abs().min() > 0


def test_weights_are_shifted_to_a_mean_of_one():
    log_weights = torch.tensor([[0.0, math.log(3.0)], [-5000.0, -5000.0], [900.0, 0.0]])
    shifted = normalise_log_weights(log_weights)
    torch.testing.assert_close(shifted.exp(), torch.tensor([[0.5, 1.5], [1.0, 1.0], [2.0, 0.0]]))
    torch.testing.assert_close(shifted.diff(dim=1), log_weights.diff(dim=1))


def test_it_alone_weighs_members():
    kinds = (Canonical, Equitune, Equizero, Identity, LambdaEquitune, Mixture)
    assert [kind for kind in kinds if kind.weighs_members] == [LambdaEquitune]
    assert not LambdaEquitune.relaxable
    assert [LambdaEquitune(average).average for average in AVERAGES] == list(AVERAGES)
    with pytest.raises(
        ConfigurationError, match="average='median' is not known: use one of 'logits', 'probabilities'"
    ):
        LambdaEquitune("median")
