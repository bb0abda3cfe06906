"""The class-wise maximum through the fold, against a maximum over all members."""

from __future__ import annotations

import pytest
import torch
from token_actions import action_of, group_of

from hf_equi import TokenAction
from hf_equi.actions.token_maps import TokenMap
from hf_equi.symmetrizers import ClassMaximum, Equizero, MaxProbability, Orbit

# Classes that move, and classes that stay where they are while the input is moved.
MOVING = action_of(9, [[5, 1], [2, 7]], [[6, 3, 4]])
RAGGED = torch.tensor([[0, 8, 0], [0, 5, 0], [4, 0, 4], [1, 6, 2]])
STILL = TokenAction(group_of((4,)), TokenMap(9, ((),), (None,), (None,)))
ACTIONS = pytest.mark.parametrize("action", [MOVING, STILL], ids=["moving", "still"])


def orbit_of(action, shared=True):
    """Ragged orbits of texts, or four views each of three images."""
    texts = RAGGED if action is MOVING else torch.zeros(3, 0, dtype=torch.long)
    elements = torch.arange(action.group.order).expand(len(texts), -1)
    orbit = Orbit.start(elements, shared and action is MOVING)
    return orbit.extend(action.orbit(texts))[0] if action is MOVING else orbit


def random_rows(orbit, *shape):
    return (3 * torch.randn(orbit.rows, *shape, 9, dtype=torch.float64)).log_softmax(-1)


def folded(orbit, action, rows, size=None, log_weights=None, normalised=False):
    fold = ClassMaximum().combine.fold(orbit, action, normalised)
    size = size or len(rows)
    for begin in range(0, len(rows), size):
        part = slice(begin, begin + size)
        fold.add(begin, rows[part], None if log_weights is None else log_weights[part])
    return fold.result()


def literal(orbit, action, rows):
    texts = orbit.row_of.tolist()
    return torch.stack(
        [torch.stack([action.pull_back(g, rows[row]) for g, row in enumerate(text)]).amax(0) for text in texts]
    )


@pytest.mark.parametrize("shared", [True, False])
@ACTIONS
def test_scores_are_the_maximum_in_slices_of_any_size(action, shared):
    orbit = orbit_of(action, shared)
    for shape in ((), (2,)):
        rows = random_rows(orbit, *shape)
        given, required = rows.clone(), literal(orbit, action, rows)
        for size in range(1, orbit.rows + 1):
            assert torch.equal(folded(orbit, action, rows, size), required)
        assert torch.equal(rows, given)


@ACTIONS
def test_weights_of_members_are_not_read(action):
    orbit = orbit_of(action)
    rows = random_rows(orbit, 2)
    weights = 5 * torch.randn(orbit.rows, 2, dtype=torch.float64)
    assert torch.equal(folded(orbit, action, rows, log_weights=weights), literal(orbit, action, rows))


@ACTIONS
def test_best_class_is_that_of_the_most_confident_member(action):
    orbit = orbit_of(action)
    followed = []
    for _ in range(20):
        rows = random_rows(orbit, 1)
        choice = Equizero(MaxProbability()).combine.fold(orbit, action)
        choice.add(0, rows)
        maxima, chosen = folded(orbit, action, rows), choice.result()
        best = chosen.argmax(-1, keepdim=True)
        assert torch.equal(maxima.gather(-1, best), maxima.amax(-1, keepdim=True))
        assert torch.equal(maxima.amax(-1), chosen.amax(-1))
        # Elements that fix a text move its best class, if it moves at all, to others as good.
        assert action is MOVING or torch.equal(maxima.argmax(-1, keepdim=True), best)
        top = [scores.topk(5).indices.sort().values for scores in (maxima, chosen)]
        followed.append(torch.equal(*top))
    assert not any(followed)


@ACTIONS
def test_it_is_no_law_until_it_is_normalised(action):
    orbit = orbit_of(action)
    rows = random_rows(orbit)
    sums = folded(orbit, action, rows).exp().sum(-1)
    assert sums.min() > 1.05
    scores, law = folded(orbit, action, rows), folded(orbit, action, rows, normalised=True)
    torch.testing.assert_close(law, scores - sums.log().unsqueeze(-1), rtol=0, atol=1e-12)


def test_maximum_is_equivariant():
    ids = RAGGED[3:]
    elements = torch.arange(6)[None]
    rows = random_rows(Orbit.start(elements).extend(MOVING.orbit(ids))[0])
    scores = folded(Orbit.start(elements).extend(MOVING.orbit(ids))[0], MOVING, rows)
    for g in range(6):
        moved = folded(Orbit.start(elements).extend(MOVING.orbit(MOVING.apply(g, ids)))[0], MOVING, rows)
        assert torch.equal(MOVING.pull_back(g, moved), scores)


@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("size", [1, 3, None])
@ACTIONS
def test_gradients_are_finite_differences(action, size, normalised):
    orbit = orbit_of(action)
    leaf = random_rows(orbit).requires_grad_()
    assert torch.autograd.gradcheck(lambda rows: folded(orbit, action, rows, size, normalised=normalised), leaf)


@ACTIONS
def test_gradient_goes_to_the_members_that_have_the_maximum(action):
    orbit = orbit_of(action)
    leaf = random_rows(orbit).requires_grad_()
    probe = torch.randn(len(orbit.counts), 9, dtype=torch.float64)
    gradients = [
        torch.autograd.grad((function(orbit, action, leaf) * probe).sum(), leaf)[0] for function in (folded, literal)
    ]
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-12)
    # One place of a row for each class; of classes that an element moves and a text that it fixes, one for several.
    places = (gradients[0] != 0).sum()
    assert places == 9 * len(orbit.counts) if action is STILL else places < 9 * len(orbit.counts)


def test_two_members_with_the_maximum_share_its_gradient():
    leaf = torch.full((4, 9), 1 / 9).log().requires_grad_()
    orbit = Orbit.start(torch.arange(4)[None], shared=False)
    folded(orbit, STILL, leaf).sum().backward()
    assert leaf.grad[:, 0].tolist() == [0.125, 0.125, 0.25, 0.5]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_maximum_keeps_the_precision_of_its_scores(dtype):
    orbit = orbit_of(MOVING)
    rows = random_rows(orbit).to(dtype)
    received = folded(orbit, MOVING, rows, 2)
    assert received.dtype == dtype
    assert torch.equal(received, literal(orbit, MOVING, rows))


def test_what_it_says_of_itself():
    method = ClassMaximum()
    assert r"\max_{g \in G} \log p_g(c)" in method.text.equation
    assert (method.name, method.takes_best, method.loss) == ("equizero", True, None)
    scores = torch.randn(3, 4)
    empty = torch.full((3, 4), method.combine.empty)
    assert torch.equal(method.combine.accumulate(empty, scores, 0.0), method.combine.accumulate(None, scores, 1.0))
    assert not ClassMaximum().combine.fold(orbit_of(STILL), STILL).takes_logits
