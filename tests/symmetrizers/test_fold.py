from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from token_actions import action_of, texts, token_actions

from hf_equi import DemographicGroup, TokenAction
from hf_equi.actions import TrivialAction
from hf_equi.actions.token_maps import TokenMap
from hf_equi.symmetrizers import Mean, Orbit, OrbitFold
from hf_equi.symmetrizers.combine import AVERAGES

# Order 6; the ids of a set are not in their order, and 0 and 8 never move.
SETS = ([[5, 1], [2, 7]], [[6, 3, 4]])
ACTION = action_of(9, *SETS)
RELAXED = TokenAction(
    DemographicGroup([["a", "b"], ["c", "d"]], general=["x"]) * DemographicGroup([["e", "f", "g"]]),
    TokenMap(9, ACTION.token_map.sets, (None, None), ((8,), None)),
)
# 1, 2, 3 and 6 distinct members in one batch.
RAGGED = torch.tensor([[0, 8, 0], [0, 5, 0], [4, 0, 4], [0, 7, 3], [1, 6, 2]])


def orbit_of(action: TokenAction, ids: torch.Tensor, shared: bool = True) -> Orbit:
    elements = torch.arange(action.group.order).expand(len(ids), -1)
    return Orbit.start(elements, shared).extend(action.orbit(ids))[0]


def random_rows(orbit: Orbit, *shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(orbit.rows, *shape, dtype=dtype).log_softmax(-1)


def folded(orbit, action, method, rows, weights=None, size=None):
    fold = OrbitFold(orbit, action, method)
    size = size or len(rows)
    for begin in range(0, len(rows), size):
        fold.add(begin, rows[begin : begin + size], None if weights is None else weights[begin : begin + size])
    return fold.result()


def dense(orbit, action, average, rows, weights=None):
    """Pull back every member, combine them all, renormalise; one text and one element after the other."""
    results = []
    for text in orbit.row_of.tolist():
        members = torch.stack([rows[row][..., action.permutations[g]] for g, row in enumerate(text)])
        if average == "logits":
            combined = members.mean(0)
        elif weights is None:
            combined = members.exp().mean(0).log()
        else:
            combined = (members + weights[text].unsqueeze(-1)).logsumexp(0)
        if action.general is not None:
            combined = torch.where(action.general, members[0], combined)
        results.append(combined.log_softmax(-1))
    return torch.stack(results)


def close(received: torch.Tensor, required: torch.Tensor) -> bool:
    return received.shape == required.shape and torch.allclose(received, required, rtol=0, atol=1e-12)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("action", [ACTION, RELAXED], ids=["plain", "relaxed"])
@pytest.mark.parametrize("average", AVERAGES)
def test_ragged_orbits_in_slices_of_any_size(average, action, shared):
    orbit = orbit_of(action, RAGGED, shared)
    assert orbit.counts.tolist() == ([1, 2, 3, 6, 6] if shared else [6] * 5)
    for shape in ((9,), (4, 9)):
        rows = random_rows(orbit, *shape)
        required = dense(orbit, action, average, rows)
        for size in range(1, orbit.rows + 1):
            assert close(folded(orbit, action, Mean(average), rows, size=size), required)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from(AVERAGES))
def test_any_group_is_the_dense_formula(data, average):
    action = data.draw(token_actions())
    orbit = orbit_of(action, data.draw(texts(action.token_map.vocab_size)))
    rows = random_rows(orbit, action.token_map.vocab_size)
    size = data.draw(st.integers(1, orbit.rows))
    assert close(folded(orbit, action, Mean(average), rows, size=size), dense(orbit, action, average, rows))


@pytest.mark.parametrize("shape", [(9,), (3, 9)])
def test_members_weigh_by_their_history(shape):
    orbit = orbit_of(ACTION, RAGGED)
    rows = random_rows(orbit, *shape)
    weights = -40 * torch.rand(orbit.rows, *shape[:-1], dtype=torch.float64)
    required = dense(orbit, ACTION, "probabilities", rows, weights)
    for size in range(1, orbit.rows + 1):
        assert close(folded(orbit, ACTION, Mean("probabilities"), rows, weights, size), required)


def test_history_of_improbable_texts_does_not_underflow():
    orbit = orbit_of(ACTION, RAGGED)
    rows = random_rows(orbit, 9)
    weights = torch.randn(orbit.rows, dtype=torch.float64)
    required = folded(orbit, ACTION, Mean("probabilities"), rows, weights)
    assert torch.allclose(folded(orbit, ACTION, Mean("probabilities"), rows, weights - 5000), required, atol=1e-9)


def test_texts_of_one_row_weigh_as_before():
    orbit = orbit_of(ACTION, RAGGED[:1])
    rows = random_rows(orbit, 9)
    weights = torch.tensor([-3.0], dtype=torch.float64)
    assert close(
        folded(orbit, ACTION, Mean("probabilities"), rows, weights), dense(orbit, ACTION, "probabilities", rows)
    )


def test_general_tokens_keep_the_odds_of_the_identity():
    # The text's own row comes last in lexicographic order.
    ids = torch.tensor([[5, 6]])
    orbit = orbit_of(RELAXED, ids)
    assert orbit.row_of[0, 0] == 5
    rows = random_rows(orbit, 9)
    general = TokenAction(RELAXED.group, TokenMap(9, RELAXED.token_map.sets, (None, None), ((8, 0), None)))
    scores = folded(orbit, general, Mean(), rows, size=2)
    assert torch.isclose(scores[0, 8] - scores[0, 0], rows[5, 8] - rows[5, 0])


@pytest.mark.parametrize("average", AVERAGES)
def test_ties_of_a_moved_orbit_are_equal_to_the_bit(average):
    vocab = 400
    sets = torch.randperm(vocab)[:390].view(130, 3)
    action = action_of(vocab, sets.tolist())
    fixed = next(token for token in range(vocab) if token not in action.token_map.moved)
    orbit = orbit_of(action, torch.tensor([[fixed], [sets[0, 0]]]))
    rows = random_rows(orbit, vocab, dtype=torch.float32)
    tied = folded(orbit, action, Mean(average), rows)[0][sets]
    assert torch.equal(tied, tied[:, :1].expand(-1, 3))
    assert len(tied[:, 0].unique()) > 100


@pytest.mark.parametrize("average", AVERAGES)
def test_sums_do_not_depend_on_the_member_that_came_in(average):
    scores: dict[tuple[int, ...], torch.Tensor] = {}
    totals = []
    for member in ACTION.orbit(torch.tensor([[5, 6]]))[0]:
        orbit = orbit_of(ACTION, member[None])
        read = ACTION.permutations[orbit.element_of_row][:, member].tolist()
        rows = torch.stack([scores.setdefault(tuple(text), torch.randn(9)) for text in read])
        fold = OrbitFold(orbit, ACTION, Mean(average))
        fold.add(0, rows)
        totals.append(fold.total)
    assert len(scores) == 6
    assert all(torch.equal(total, totals[0]) for total in totals)


@pytest.mark.parametrize("average", AVERAGES)
def test_symmetrised_scores_are_equivariant(average):
    ids = torch.tensor([[5, 6]])
    orbit = orbit_of(ACTION, ids)
    rows = random_rows(orbit, 9)
    scores = folded(orbit, ACTION, Mean(average), rows)
    for g in range(6):
        moved = folded(orbit_of(ACTION, ACTION.apply(g, ids)), ACTION, Mean(average), rows)
        assert close(ACTION.pull_back(g, moved), scores)


def gradients(function, *inputs):
    probe = torch.linspace(-1, 1, 9, dtype=torch.float64)
    return torch.autograd.grad((function(*inputs) * probe).sum(), inputs)


@pytest.mark.parametrize("size", [1, 4, None])
@pytest.mark.parametrize("action", [ACTION, RELAXED], ids=["plain", "relaxed"])
@pytest.mark.parametrize("average", AVERAGES)
def test_gradients_are_those_of_the_dense_formula(average, action, size):
    orbit = orbit_of(action, RAGGED)
    rows = random_rows(orbit, 2, 9).requires_grad_()
    (received,) = gradients(lambda rows: folded(orbit, action, Mean(average), rows, size=size), rows)
    (required,) = gradients(lambda rows: dense(orbit, action, average, rows), rows)
    assert close(received, required)


def test_gradients_reach_the_history():
    orbit = orbit_of(ACTION, RAGGED)
    inputs = random_rows(orbit, 2, 9).requires_grad_(), torch.randn(orbit.rows, 2).double().requires_grad_()
    received = gradients(
        lambda rows, weights: folded(orbit, ACTION, Mean("probabilities"), rows, weights, size=4), *inputs
    )
    required = gradients(lambda rows, weights: dense(orbit, ACTION, "probabilities", rows, weights), *inputs)
    assert all(map(close, received, required))


def test_impossible_tokens_stay_impossible():
    orbit = orbit_of(ACTION, RAGGED)
    rows = torch.randn(orbit.rows, 9).index_fill(1, torch.tensor([0, 1, 5]), -math.inf).log_softmax(-1)
    for average in AVERAGES:
        scores = folded(orbit, ACTION, Mean(average), rows, size=2)
        assert (scores[:, [0, 1, 5]] == -math.inf).all()
        assert torch.allclose(scores.exp().sum(-1), torch.ones(5))


def test_one_member_alone_is_pulled_back():
    ids, g = torch.tensor([[5, 6], [0, 8]]), torch.tensor([[4], [1]])
    orbit, _ = Orbit.start(g).extend(ACTION.apply(g[:, 0], ids)[:, None])
    rows = random_rows(orbit, 9)
    required = torch.stack([ACTION.pull_back(4, rows[0]), ACTION.pull_back(1, rows[1])])
    assert close(folded(orbit, ACTION, Mean(), rows), required)


def test_group_that_moves_nothing_changes_nothing():
    action = TokenAction(DemographicGroup([["a", "b"]]), TokenMap(9, ((),)))
    orbit = orbit_of(action, RAGGED)
    rows = random_rows(orbit, 9)
    assert close(folded(orbit, action, Mean(), rows), rows)


def test_no_rows_raise():
    with pytest.raises(RuntimeError, match="no rows were added"):
        OrbitFold(orbit_of(ACTION, RAGGED), ACTION, Mean()).result()


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("average", AVERAGES)
def test_outputs_that_a_group_leaves_as_they_are(average, shared):
    """Rows of any shape, neither moved nor renormalised: the plain mean over the elements."""
    orbit = orbit_of(ACTION, RAGGED, shared)
    for shape in ((4,), (4, 2), (3, 2, 2)):
        rows = torch.randn(orbit.rows, *shape, dtype=torch.float64)
        weights = torch.randn(orbit.rows, *shape[:-1], dtype=torch.float64)
        kept = rows.clone()
        for log_weights in (None, weights):
            members = rows[orbit.row_of]
            extra = 0 if log_weights is None else log_weights[orbit.row_of].unsqueeze(-1)
            if average == "logits":
                required = (members * (extra.exp() if log_weights is not None else 1)).mean(1)
            else:
                required = (members + extra).logsumexp(1) - math.log(6)
            for size in (1, 3, orbit.rows):
                fold = Mean(average).fold(orbit, TrivialAction(ACTION.group), normalised=False)
                for begin in range(0, orbit.rows, size):
                    part = slice(begin, begin + size)
                    fold.add(begin, rows[part], None if log_weights is None else log_weights[part])
                assert close(fold.result(), required)
        assert torch.equal(rows, kept)


def test_the_result_of_one_member_is_not_what_came_in():
    orbit = orbit_of(ACTION, RAGGED[:1])
    rows = torch.randn(1, 4)
    fold = Mean().fold(orbit, TrivialAction(ACTION.group), normalised=False)
    fold.add(0, rows)
    assert torch.equal(fold.result(), rows)
    assert fold.result().data_ptr() != rows.data_ptr()
