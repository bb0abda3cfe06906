from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_equi.symmetrizers import Orbit
from hf_equi.symmetrizers import orbit as orbit_module
from hf_equi.symmetrizers.orbit import SeparateOrbit, distinct_rows


@st.composite
def token_tensors(draw: st.DrawFn) -> torch.Tensor:
    """`(B, K, tokens)` with few different tokens, so that members meet, fork and cross."""
    batch, members, length = draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(st.integers(0, 5))
    count = batch * members * length
    tokens = draw(st.lists(st.sampled_from([0, 1, 50_000]), min_size=count, max_size=count))
    return torch.tensor(tokens, dtype=torch.long).view(batch, members, length)


def start(tokens: torch.Tensor, shared: bool = True) -> Orbit:
    """Orbits of empty texts whose elements are numbered from 10."""
    return Orbit.start(10 + torch.arange(tokens.shape[1]).expand(tokens.shape[:2]), shared)


def literal(tokens: torch.Tensor) -> tuple[list[tuple[int, tuple[int, ...]]], dict[tuple[int, int], int]]:
    """The rows, (text, member) in order, and the row of each place of the batch and the orbit."""
    members = {(b, k): tuple(tokens[b, k].tolist()) for b in range(tokens.shape[0]) for k in range(tokens.shape[1])}
    rows = sorted({(b, text) for (b, _), text in members.items()})
    return rows, {place: rows.index((place[0], text)) for place, text in members.items()}


def check(orbit: Orbit, tokens: torch.Tensor) -> None:
    rows, row_of = literal(tokens)
    batch, members = tokens.shape[:2]
    counts = [sum(owner == b for owner, _ in rows) for b in range(batch)]
    assert orbit.rows == len(rows)
    assert orbit.counts.tolist() == counts
    assert orbit.most == max(counts)
    assert orbit.offsets.tolist() == [sum(counts[:b]) for b in range(batch)]
    assert orbit.row_of.tolist() == [[row_of[b, k] for k in range(members)] for b in range(batch)]
    assert orbit.batch_of_row.tolist() == [owner for owner, _ in rows]
    first = [min(k for k in range(members) if row_of[owner, k] == row) for row, (owner, _) in enumerate(rows)]
    assert orbit.slot_of_row.tolist() == first
    assert orbit.element_of_row.tolist() == [10 + k for k in first]
    assert orbit.rank_of_row.tolist() == [row - sum(counts[:owner]) for row, (owner, _) in enumerate(rows)]


@settings(max_examples=80, deadline=None)
@given(token_tensors())
def test_rows_are_the_distinct_members_in_lexicographic_order(tokens):
    orbit, parents = start(tokens).extend(tokens)
    check(orbit, tokens)
    assert parents.tolist() == orbit.batch_of_row.tolist()
    read = tokens[orbit.batch_of_row, orbit.slot_of_row]
    assert torch.equal(read[orbit.row_of], tokens)


@settings(max_examples=80, deadline=None)
@given(token_tensors(), st.data())
def test_several_steps_are_one(tokens, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, tokens.shape[2]), max_size=3)))
    orbit, texts = start(tokens), [()] * len(tokens)
    for begin, end in zip([0, *cuts], [*cuts, tokens.shape[2]], strict=True):
        before = orbit
        orbit, parents = before.extend(tokens[..., begin:end])
        read = tokens[orbit.batch_of_row, orbit.slot_of_row, begin:end].tolist()
        texts = [(*texts[parent], *new) for parent, new in zip(parents.tolist(), read, strict=True)]
        assert torch.equal(parents[orbit.row_of], before.row_of)
    check(orbit, tokens)
    assert list(enumerate(texts)) == [(row, text) for row, (_, text) in enumerate(literal(tokens)[0])]


@settings(max_examples=80, deadline=None)
@given(token_tensors(), st.data())
def test_forks_are_where_members_part(tokens, data):
    cut = data.draw(st.integers(0, tokens.shape[2]))
    before, _ = start(tokens).extend(tokens[..., :cut])
    forks = list(before.forks(tokens[..., cut:]))
    counts = [len(literal(tokens[..., :length])[0]) for length in range(cut, tokens.shape[2] + 1)]
    assert [place for place, _ in forks] == [p for p in range(len(counts) - 1) if counts[p + 1] > counts[p]]
    for place, fork in forks:
        check(fork, tokens[..., : cut + place + 1])


def test_members_that_are_all_apart_are_sorted_no_more(monkeypatch):
    tokens = torch.tensor([[[0, 2, 1], [1, 2, 0]], [[3, 0, 3], [2, 1, 3]]])
    orbit, uncounted = (start(tokens).after(tokens[..., :1]) for _ in range(2))
    assert orbit.rows == orbit.rank.numel()
    vars(uncounted).pop("rows")
    sorts, rank = [], orbit_module._dense_rank
    monkeypatch.setattr(orbit_module, "_dense_rank", lambda *given: sorts.append(1) or rank(*given))
    assert orbit.after(tokens) is orbit
    assert sorts == []
    assert uncounted.after(tokens) is uncounted
    assert sorts == [1]


def test_rank_of_an_earlier_token_comes_first():
    tokens = torch.tensor([[[2, 0], [1, 9], [2, 7], [1, 9]]])
    orbit, _ = start(tokens).extend(tokens)
    assert orbit.row_of.tolist() == [[1, 0, 2, 0]]
    assert orbit.slot_of_row.tolist() == [1, 0, 2]


@settings(max_examples=80, deadline=None)
@given(token_tensors(), st.data())
def test_selected_texts_keep_their_rows(tokens, data):
    indices = torch.tensor(data.draw(st.lists(st.integers(0, len(tokens) - 1), min_size=1, max_size=5)))
    orbit, _ = start(tokens).extend(tokens)
    rows = [text for _, text in literal(tokens)[0]]
    selected, parents = orbit.select(indices)
    check(selected, tokens[indices])
    assert [rows[parent] for parent in parents] == [text for _, text in literal(tokens[indices])[0]]
    assert orbit.batch_of_row[parents].tolist() == indices[selected.batch_of_row].tolist()
    assert selected.shared


def test_selected_elements_move_along():
    orbit = Orbit(torch.tensor([[0, 1], [1, 0]]), torch.tensor([[0, 1], [0, 0]]))
    selected, parents = orbit.select(torch.tensor([1, 0, 1]))
    assert selected.elements.tolist() == [[1, 0], [0, 1], [1, 0]]
    assert parents.tolist() == [2, 0, 1, 2]
    assert selected.element_of_row.tolist() == [1, 0, 1, 1]


def test_empty_texts_share_one_row():
    orbit = start(torch.zeros(2, 3, 0))
    assert orbit.rows == 2
    assert orbit.row_of.tolist() == [[0, 0, 0], [1, 1, 1]]


@settings(max_examples=40, deadline=None)
@given(token_tensors(), st.data())
def test_unshared_rows_stay_one_a_member(tokens, data):
    batch, members = tokens.shape[:2]
    orbit = start(tokens, shared=False)
    assert list(orbit.forks(tokens)) == []
    extended, parents = orbit.extend(tokens)
    assert parents.tolist() == list(range(batch * members))
    indices = torch.tensor(data.draw(st.lists(st.integers(0, batch - 1), min_size=1, max_size=4)))
    selected, copied = extended.select(indices)
    for each, size in ((extended, batch), (selected, len(indices))):
        assert not each.shared
        assert each.row_of.tolist() == torch.arange(size * members).view(size, members).tolist()
        assert each.slot_of_row.tolist() == list(range(members)) * size
        assert each.rank_of_row.tolist() == list(range(members)) * size
    assert copied.tolist() == [b * members + k for b in indices.tolist() for k in range(members)]


@settings(max_examples=60, deadline=None)
@given(token_tensors())
def test_orbits_of_keys_are_those_of_texts_of_one_token(tokens):
    keys = tokens.sum(-1) * (1 << 40) - 7  # large and below zero, as checksums are
    elements = 10 + torch.arange(tokens.shape[1]).expand(tokens.shape[:2])
    check(Orbit.of_keys(elements, keys), keys.unsqueeze(-1))


@settings(max_examples=60, deadline=None)
@given(token_tensors())
def test_unshared_rows_lie_in_the_order_of_their_keys(tokens):
    keys = tokens.sum(-1)
    batch, members = keys.shape
    elements = torch.arange(members).expand(batch, -1)
    orbit = Orbit.of_keys(elements, keys, shared=False)
    assert not orbit.shared
    assert orbit.counts.tolist() == [members] * batch
    for text in range(batch):
        # Equal ones in the order of their slots.
        order = sorted(range(members), key=lambda slot: (keys[text, slot].item(), slot))
        assert orbit.slot_of_row.view(batch, members)[text].tolist() == order
        assert orbit.element_of_row.view(batch, members)[text].tolist() == order
    assert orbit.batch_of_row.tolist() == [text for text in range(batch) for _ in range(members)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(-2, 2), min_size=2, max_size=2), min_size=1, max_size=6))
def test_distinct_rows_are_the_first_of_each(rows):
    kept, place = distinct_rows(torch.tensor(rows))
    assert kept.tolist() == [row for row in range(len(rows)) if rows[row] not in rows[:row]]
    assert [rows[kept[found]] for found in place.tolist()] == rows


def test_keys_of_the_whole_range():
    smallest, largest = torch.iinfo(torch.int64).min, torch.iinfo(torch.int64).max
    keys = torch.tensor([[largest, smallest, 0, largest]])
    assert Orbit.of_keys(torch.arange(4)[None], keys).row_of.tolist() == [[2, 0, 1, 2]]
    assert Orbit.of_keys(torch.arange(4)[None], keys, shared=False).row_of.tolist() == [[2, 0, 1, 3]]


def test_members_with_rows_of_their_own_lie_in_the_order_in_which_they_are_asked_for() -> None:
    tokens = torch.tensor([[[2], [1], [2]], [[0], [0], [0]]])
    separate = start(tokens, shared=False)
    assert isinstance(separate, SeparateOrbit)
    plain = Orbit(separate.elements, separate.rank, False)
    for name in ("row_of", "batch_of_row", "slot_of_row", "element_of_row", "rank_of_row", "offsets", "counts"):
        assert torch.equal(getattr(separate, name), getattr(plain, name)), name
    assert (separate.rows, separate.most) == (6, 3)
    assert separate.extend(tokens)[0] is separate
