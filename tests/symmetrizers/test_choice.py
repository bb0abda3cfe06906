"""The choice of equizero, against an argmin over all members and the gradient of the mean."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from token_actions import action_of, texts, token_actions

from hf_equi.actions import TrivialAction
from hf_equi.groups import ImageGroup
from hf_equi.symmetrizers import Entropy, Equitune, Equizero, MaxProbability, Mean, Orbit, OrbitFold, create_loss
from hf_equi.symmetrizers.choice import decide, only_largest
from hf_equi.symmetrizers.losses import LOSSES
from hf_equi.symmetrizers.orbit import SeparateOrbit

ACTION = action_of(9, [[5, 1], [2, 7]], [[6, 3, 4]])
# 1, 2, 3 and 6 distinct members in one batch.
RAGGED = torch.tensor([[0, 8, 0], [0, 5, 0], [4, 0, 4], [0, 7, 3], [1, 6, 2]])


def orbit_of(action, ids, shared=True):
    elements = torch.arange(action.group.order).expand(len(ids), -1)
    return Orbit.start(elements, shared).extend(action.orbit(ids))[0]


def random_rows(orbit, *shape):
    return torch.randn(orbit.rows, *shape, dtype=torch.float64).log_softmax(-1)


def chosen(orbit, action, loss, rows, counted=None, size=None):
    """The fold, fed in slices of a size."""
    fold = Equizero(loss).combine.fold(orbit, action)
    size = size or len(rows)
    for begin in range(0, len(rows), size):
        part = slice(begin, begin + size)
        fold.add(begin, rows[part], counted=None if counted is None else counted[orbit.batch_of_row[part]])
    return fold


def literal(orbit, action, loss, rows, counted=None):
    """Every member of every text: its own loss, the least of all, pulled back."""
    results, elements, margins = [], [], []
    for text, members in enumerate(orbit.row_of.tolist()):
        losses = [float(loss(rows[row], None if counted is None else counted[text])) for row in members]
        g = losses.index(min(losses))
        results.append(action.pull_back(g, rows[members[g]]))
        elements.append(g)
        others = [value for value, row in zip(losses, members, strict=True) if row != members[g]]
        margins.append(min(others) - min(losses) if others else float("inf"))
    return torch.stack(results), elements, margins


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("name", LOSSES)
def test_ragged_orbits_in_slices_of_any_size(name, shared):
    loss, orbit = create_loss(name), orbit_of(ACTION, RAGGED, shared)
    assert orbit.counts.tolist() == ([1, 2, 3, 6, 6] if shared else [6] * 5)
    rows = random_rows(orbit, 4, 9)
    counted = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 1], [1, 1, 1, 0]]).bool()
    for mask in (None, counted):
        required, elements, margins = literal(orbit, ACTION, loss, rows, mask)
        assert len(set(elements)) > 1
        for size in range(1, orbit.rows + 1):
            fold = chosen(orbit, ACTION, loss, rows, mask, size)
            assert torch.equal(fold.result(), required)
            assert fold.decision().chosen_element.tolist() == elements
            torch.testing.assert_close(fold.decision().margin.tolist(), margins, rtol=0, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_group_is_the_literal_argmin(data):
    action = data.draw(token_actions())
    orbit = orbit_of(action, data.draw(texts(action.token_map.vocab_size)))
    rows = random_rows(orbit, 2, action.token_map.vocab_size)
    fold = chosen(orbit, action, MaxProbability(), rows, size=data.draw(st.integers(1, orbit.rows)))
    required, elements, _ = literal(orbit, action, MaxProbability(), rows)
    assert torch.equal(fold.result(), required)
    assert fold.decision().chosen_element.tolist() == elements


def test_ties_go_to_the_smallest_member_whichever_came_in():
    """All members are as sure, of different tokens: g M(x) and M(gx) are to be one text all the same."""
    ids = torch.tensor([[5, 6]])
    row_of_text, rows = {}, []
    orbit = orbit_of(ACTION, ids)
    members = ACTION.orbit(ids)[0]
    for row, slot in enumerate(orbit.slot_of_row.tolist()):
        row_of_text[tuple(members[slot].tolist())] = row
        rows.append(torch.full((9,), 0.05).index_fill(0, torch.tensor(row), 0.6).log())
    smallest = min(row_of_text)
    for h in range(6):
        moved = ACTION.apply(h, ids)
        fold = chosen(orbit_of(ACTION, moved), ACTION, MaxProbability(), torch.stack(rows)[:, None])
        (g,) = fold.decision().chosen_element.tolist()
        assert tuple(ACTION.apply(g, moved)[0].tolist()) == smallest
        assert fold.decision().margin.tolist() == [0.0]
        expected = ACTION.pull_back(g, rows[row_of_text[smallest]])
        assert torch.equal(fold.result()[0, 0], expected)


@pytest.mark.parametrize("loss", [MaxProbability(), Entropy()])
def test_choice_is_equivariant(loss):
    ids = torch.tensor([[5, 6]])
    rows = random_rows(orbit_of(ACTION, ids), 3, 9)
    scores = chosen(orbit_of(ACTION, ids), ACTION, loss, rows).result()
    for g in range(6):
        moved = chosen(orbit_of(ACTION, ACTION.apply(g, ids)), ACTION, loss, rows).result()
        assert torch.equal(ACTION.pull_back(g, moved), scores)


def test_decide_gives_the_rows():
    orbit = orbit_of(ACTION, RAGGED[:3])
    rows, decision = decide(orbit, torch.tensor([3.0, 2.0, -1.0, 4.0, 0.5, 0.5]))
    assert rows.tolist() == [0, 2, 4]
    assert decision.chosen_element.tolist() == orbit.element_of_row[rows].tolist()
    assert decision.margin.tolist() == [float("inf"), 3.0, 0.0]


def test_orbits_of_one_member_have_no_other():
    orbit = orbit_of(ACTION, RAGGED[:1])
    rows = random_rows(orbit, 2, 9)
    fold = chosen(orbit, ACTION, MaxProbability(), rows)
    assert torch.equal(fold.result(), rows)
    assert fold.decision().chosen_element.tolist() == [0]
    assert fold.decision().margin.tolist() == [float("inf")]


@pytest.mark.parametrize("size", [1, 4, None])
def test_gradients_are_those_of_the_mean(size):
    orbit = orbit_of(ACTION, RAGGED)
    rows = random_rows(orbit, 2, 9)
    probe = torch.randn(5, 2, 9, dtype=torch.float64)
    leaf = rows.clone().requires_grad_()
    result = chosen(orbit, ACTION, MaxProbability(), leaf, size=size).result()
    required, _, _ = literal(orbit, ACTION, MaxProbability(), rows)
    torch.testing.assert_close(result.detach(), required, rtol=0, atol=1e-12)
    (received,) = torch.autograd.grad((result * probe).sum(), leaf)
    mean = OrbitFold(orbit, ACTION, Mean())
    leaf = rows.clone().requires_grad_()
    mean.add(0, leaf)
    (expected,) = torch.autograd.grad((mean.result() * probe).sum(), leaf)
    torch.testing.assert_close(received, expected, rtol=0, atol=1e-12)
    assert received[orbit.batch_of_row == 4].abs().amax((1, 2)).min() > 0  # of all members, not of the chosen alone


def test_gradient_by_hand():
    r"""Two members of two tokens that change places: M_G = log softmax of the mean of (a, b) and (d, c).

    With y = log softmax(((a + d) / 2, (b + c) / 2)) and the gradient of −y[0]: (p − 1, 1 − p) / 2 for (a, b), where
    p = softmax(...)[0], and in the other's frame the same for (d, c).
    """
    action = action_of(2, [[0, 1]])
    orbit = Orbit.start(torch.tensor([[0, 1]]), shared=False)
    leaf = torch.tensor([[[0.6, 0.4]], [[0.1, 0.9]]], dtype=torch.float64).log().requires_grad_()
    result = chosen(orbit, action, MaxProbability(), leaf).result()
    assert result.exp().flatten().tolist() == pytest.approx([0.9, 0.1])
    (-result[0, 0, 0]).backward()
    odds = (0.6 * 0.9 / (0.4 * 0.1)) ** 0.5
    p = odds / (1 + odds)
    by_hand = [[(p - 1) / 2, (1 - p) / 2], [(1 - p) / 2, (p - 1) / 2]]
    torch.testing.assert_close(leaf.grad[:, 0], torch.tensor(by_hand, dtype=torch.float64))


def test_no_gradient_is_kept_where_none_is_wanted():
    orbit = orbit_of(ACTION, RAGGED)
    fold = chosen(orbit, ACTION, MaxProbability(), random_rows(orbit, 2, 9))
    assert not fold.result().requires_grad
    assert fold.mean.total is None


def test_no_rows_raise():
    with pytest.raises(RuntimeError, match="no rows were added"):
        Equizero().combine.fold(orbit_of(ACTION, RAGGED), ACTION).result()


def features_of_images(dtype=torch.float64):
    """Rows that are not scores, `(R, F)`, of orbits of 2, 4 and 1 members, with what a choice goes by."""
    group = ImageGroup.rotations(4)
    keys = torch.tensor([[5, 3, 5, 3], [9, 1, 4, 2], [8, 8, 8, 8]])
    orbit = Orbit.of_keys(torch.arange(4).expand(3, -1), keys)
    losses = torch.tensor([0.5, 0.25, 3.0, -1.0, 2.0, -1.0, 7.0], dtype=dtype)
    return orbit, TrivialAction(group), torch.randn(7, 5, dtype=dtype), losses


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_choices_by_losses_that_are_given(size):
    orbit, action, rows, losses = features_of_images()
    fold = Equizero(Entropy()).combine.fold(orbit, action, normalised=False)
    for begin in range(0, 7, size):
        part = slice(begin, begin + size)
        fold.add(begin, rows[part], losses=losses[part])
    # Rows by their keys: of 3 and 5; of 1, 2, 4 and 9, where a tie goes to the smaller; of 8.
    assert torch.equal(fold.result(), rows[[1, 3, 6]])
    assert fold.decision().chosen_element.tolist() == [0, 3, 0]
    assert fold.decision().margin.tolist() == [0.25, 0.0, float("inf")]


def test_given_losses_are_not_trained_and_rows_are_by_the_mean():
    orbit, action, rows, losses = features_of_images()
    rows, losses = rows.requires_grad_(), losses.requires_grad_()
    fold = Equizero(Entropy()).combine.fold(orbit, action, normalised=False)
    fold.add(0, rows, losses=losses)
    result = fold.result()
    torch.testing.assert_close(result, rows[[1, 3, 6]])
    result.sum().backward()
    assert losses.grad is None
    share = torch.tensor([1 / 2] * 2 + [1 / 4] * 4 + [1.0], dtype=torch.float64)
    torch.testing.assert_close(rows.grad, share[:, None].expand(7, 5))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_values_are_those_of_the_chosen_to_the_bit_where_they_are_trained(dtype):
    orbit, action, rows, losses = features_of_images(dtype)
    rows = (rows * torch.tensor([1e-3, 1e3] * 3 + [1.0], dtype=dtype)[:, None]).requires_grad_()
    fold = Equizero(Entropy()).combine.fold(orbit, action, normalised=False)
    fold.add(0, rows, losses=losses)
    result = fold.result()
    assert result.requires_grad
    assert torch.equal(result, rows[[1, 3, 6]])


@pytest.mark.parametrize("average", ["logits", "probabilities"])
def test_gradients_are_those_of_the_mean_that_was_asked_for(average):
    orbit = orbit_of(ACTION, RAGGED)
    leaf, probe = random_rows(orbit, 2, 9).requires_grad_(), torch.randn(5, 2, 9, dtype=torch.float64)
    received = []
    for method in (Equizero(Entropy(), average), Equitune(average)):
        fold = method.combine.fold(orbit, ACTION)
        fold.add(0, leaf)
        received += torch.autograd.grad((fold.result() * probe).sum(), leaf)
    torch.testing.assert_close(*received, rtol=0, atol=1e-12)


def test_members_are_looked_at_only_where_they_tie():
    elements, looked = torch.arange(3).expand(2, -1), []

    def keys():
        looked.append(True)
        return torch.tensor([[5, 3, 4], [1, 1, 0]])

    orbit = SeparateOrbit(elements, elements, False, keys)
    rows, decision = decide(orbit, torch.tensor([1.0, 2.0, 3.0, 0.5, 0.25, 1.0]))
    assert (rows.tolist(), decision.chosen_element.tolist(), looked) == ([0, 4], [0, 1], [])
    rows, decision = decide(orbit, torch.tensor([1.0, 1.0, 3.0, 0.5, 0.5, 1.0]))
    assert (rows.tolist(), decision.chosen_element.tolist(), looked) == ([1, 3], [1, 0], [True])
    assert decision.margin.tolist() == [0.0, 0.0]


def test_the_only_largest_number_is_none_where_two_tie_by_themselves_or_by_their_loss():
    for row in ([1.0, 3.0, 3.0], [1.0, float("nan"), 3.0], [float("inf"), 2.0, float("inf")]):
        assert only_largest(torch.tensor([[1.0, 2.0, 3.0], row])) is None
    scores = torch.tensor([[1.0, 3.0, 2.0], [4.0, 0.5, 2.0]])
    assert only_largest(scores).tolist() == only_largest(scores, torch.neg).tolist() == [1, 0]
    assert only_largest(scores, lambda numbers: -numbers.clamp(max=2.0)) is None


@pytest.mark.parametrize("places", [(1, 2, 3), (4, 1, 1)])
def test_losses_with_more_axes_choose_at_each_place(places):
    group = ImageGroup.rotations(4)
    orbit = Orbit.of_keys(torch.arange(4).expand(2, 4), torch.tensor([[3, 1, 2, 0], [0, 1, 3, 2]]), shared=False)
    maps = torch.randn(8, 4, 2, 3, dtype=torch.float64, requires_grad=True)
    losses = torch.randint(3, (8, *places)).double()  # with ties
    fold = Equizero().combine.fold(orbit, TrivialAction(group), normalised=False)
    fold.add(0, maps, losses=losses)
    result, decision = fold.result(), fold.decision()
    wide = losses.expand_as(maps).detach()
    for text, members in enumerate(orbit.row_of):
        rows = members[orbit.rank[text].argsort()].tolist()  # in the order of the keys, so that the first one wins
        for place in torch.cartesian_prod(torch.arange(4), torch.arange(2), torch.arange(3)).tolist():
            at = (slice(None), *place)
            least = min(rows, key=lambda row: float(wide[row][tuple(place)]))
            assert result[text][tuple(place)] == maps[least][tuple(place)]
            chosen = decision.chosen_element.expand(2, *maps.shape[1:])[text][tuple(place)]
            assert chosen == orbit.element_of_row[least]
            ordered = wide[rows][at].sort().values
            assert decision.margin.expand(2, *maps.shape[1:])[text][tuple(place)] == ordered[1] - ordered[0]
    gradient = torch.autograd.grad(result.square().sum() / 2, maps)[0]  # that of the mean, straight through
    torch.testing.assert_close(gradient, result.detach().repeat_interleave(4, 0) / 4)


def test_a_choice_at_each_place_needs_rows_that_are_pulled_back():
    orbit = orbit_of(ACTION, RAGGED)
    with pytest.raises(RuntimeError, match="needs all members at once, pulled back, each in its own row"):
        Equizero().combine.fold(orbit, ACTION).add(0, random_rows(orbit, 4, 9), losses=torch.zeros(orbit.rows, 4, 9))
