from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from token_actions import action_of, image, texts, token_actions

from hf_equi import DemographicGroup, TokenAction, TokenPairAction
from hf_equi.actions.token_maps import TokenMap
from hf_equi.errors import ActionError
from hf_equi.testing import assert_action

GENDER = DemographicGroup([["man", "woman"], ["he", "she"]])
RACE = DemographicGroup([["Black", "White", "Asian"]])
# Places in the sets are not in the order of the ids, and ids 0 and 8 never move.
PRODUCT = TokenAction(GENDER * RACE, TokenMap(9, (((5, 1), (2, 7)), ((6, 3, 4),)), (None, None), (None, None)))


@pytest.mark.parametrize("sets", [(), (((1, 2, 3),),), (((1, 2),), ((3, 4),))])
def test_map_of_another_group_raises(sets):
    with pytest.raises(ActionError, match=r"factors of \[2\] words\. Resolve the tokens again"):
        TokenAction(GENDER, TokenMap(9, sets))


def test_factor_without_sets_moves_nothing():
    action = TokenAction(GENDER * RACE, TokenMap(5, (((1, 2),), ())))
    assert action.permutations.tolist() == [[0, 1, 2, 3, 4]] * 3 + [[0, 2, 1, 3, 4]] * 3


def test_tables_say_where_tokens_go():
    assert PRODUCT.permutations.tolist() == [[image(PRODUCT, g, v) for v in range(9)] for g in range(6)]
    assert PRODUCT.permutations[PRODUCT.group.element("woman Asian")].tolist() == [0, 5, 7, 6, 3, 1, 4, 2, 8]
    assert PRODUCT.moved.tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert PRODUCT.is_moved.nonzero().flatten().tolist() == PRODUCT.moved.tolist()
    assert torch.equal(PRODUCT.images, PRODUCT.permutations[:, PRODUCT.moved])
    assert PRODUCT.general is None


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_it_is_a_left_action(data):
    action = data.draw(token_actions())
    product, tables = action.group.product.tolist(), action.permutations
    for g, row in enumerate(product):
        for h, gh in enumerate(row):
            assert torch.equal(tables[gh], tables[g][tables[h]])
    assert_action(action, [data.draw(texts(action.token_map.vocab_size))])


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_orbit_and_pull_back_undo_each_other(data):
    action = data.draw(token_actions())
    vocab = action.token_map.vocab_size
    ids = data.draw(texts(vocab))
    orbit = action.orbit(ids)
    order = action.group.order
    assert orbit.tolist() == [[[image(action, g, v) for v in text] for g in range(order)] for text in ids.tolist()]
    scores = torch.arange(vocab).double()
    for g in range(order):
        assert torch.equal(action.invert(g, orbit[:, g]), ids)
        seen = torch.nn.functional.one_hot(orbit[:, g], vocab)
        assert torch.equal(action.pull_back(g, seen), torch.nn.functional.one_hot(ids, vocab))
        assert torch.equal(action.pull_back(g, scores)[ids], scores[orbit[:, g]])
        moved = torch.empty_like(scores)
        moved[action.permutations[g]] = scores
        assert torch.equal(action.pull_back(g, moved), scores)


def test_pull_back_is_no_push():
    scores = torch.arange(9.0)
    g = PRODUCT.group.element("man White")
    assert PRODUCT.pull_back(g, scores)[[6, 3, 4]].tolist() == [3.0, 4.0, 6.0]


def test_each_sample_has_its_own_element():
    ids = torch.tensor([[5, 6, 0], [5, 6, 0], [7, 4, 3]])
    g = torch.tensor([0, 4, 2])
    expected = [[image(PRODUCT, k, v) for v in row] for k, row in zip(g.tolist(), ids.tolist(), strict=True)]
    assert PRODUCT.apply(g, ids).tolist() == expected
    assert torch.equal(PRODUCT.invert(g, PRODUCT.apply(g, ids)), ids)
    assert PRODUCT.apply(torch.tensor(4), ids).tolist() == PRODUCT.apply(4, ids).tolist()
    assert PRODUCT.invert(torch.tensor(4), PRODUCT.apply(4, ids)).tolist() == ids.tolist()


def literal_canonical(action: TokenAction, text: list[int], mask: list[int]) -> int:
    """The first element with the smallest member, of the tokens that the mask keeps."""
    kept = [token for token, keep in zip(text, mask, strict=True) if keep]
    members = [[image(action, g, token) for token in kept] for g in range(action.group.order)]
    return members.index(min(members))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_canonical_element_finds_the_smallest_member(data):
    action = data.draw(token_actions())
    ids = data.draw(texts(action.token_map.vocab_size))
    row = st.lists(st.integers(0, 1), min_size=ids.shape[1], max_size=ids.shape[1])
    mask = torch.tensor(data.draw(st.lists(row, min_size=len(ids), max_size=len(ids))))
    for given_mask, used in ((mask, mask), (mask.bool(), mask), (None, torch.ones_like(ids))):
        expected = [literal_canonical(action, *pair) for pair in zip(ids.tolist(), used.tolist(), strict=True)]
        assert action.canonical_element(ids, given_mask).tolist() == expected


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_members_share_their_canonical_text(data):
    action = data.draw(token_actions())
    ids = data.draw(texts(action.token_map.vocab_size))
    canonical = action.apply(action.canonical_element(ids), ids)
    for member in action.orbit(ids).unbind(1):
        assert torch.equal(action.apply(action.canonical_element(member), member), canonical)


def test_canonical_element_of_fixed_texts_is_the_first():
    # 1 is the smaller of (5, 1) and 3 of (6, 3, 4); a text without words of a factor has the identity there.
    ids = torch.tensor([[0, 8], [5, 0], [0, 4], [1, 8], [4, 5]])
    names = ["man Black", "woman Black", "man Asian", "man Black", "woman Asian"]
    assert [PRODUCT.group.names[g] for g in PRODUCT.canonical_element(ids)] == names
    padded = torch.tensor([[5, 4], [5, 4]])
    mask = torch.tensor([[0, 1], [0, 0]])
    assert [PRODUCT.group.names[g] for g in PRODUCT.canonical_element(padded, mask)] == ["man Asian", "man Black"]


@pytest.mark.parametrize(
    ("first", "second", "neutral", "general", "expected"),
    [
        # One factor lists neutral words: what it does not list is general, except for words that some factor moves.
        ({"neutral": ["x"]}, {}, ((0,), None), (None, None), [8]),
        ({"general": ["x"]}, {}, (None, None), ((0,), None), [0]),
        # General in either factor is enough; a token that the other factor moves is never general.
        ({"general": ["x"]}, {"general": ["y"]}, (None, None), ((0, 6), (8, 5)), [0, 8]),
        ({"neutral": ["x"]}, {"neutral": ["y"]}, ((0,), (8,)), (None, None), [0, 8]),
        ({"neutral": ["x"]}, {"general": ["x"]}, ((0, 8), None), (None, (8,)), [8]),
        # An empty list is a list: of general words it leaves none, of neutral ones it makes all others general.
        ({"general": []}, {}, (None, None), ((), None), []),
        ({"neutral": []}, {}, ((), None), (None, None), [0, 8]),
    ],
)
def test_general_is_general_in_some_factor_and_moved_by_none(first, second, neutral, general, expected):
    group = DemographicGroup([["a", "b"]], **first) * DemographicGroup([["c", "d", "e"]], **second)
    action = TokenAction(group, TokenMap(9, (((5, 1), (2, 7)), ((6, 3, 4),)), neutral, general))
    assert action.general.nonzero().flatten().tolist() == expected


def test_same_device_is_the_same_action():
    assert PRODUCT.to("cpu") is PRODUCT
    assert "7 of 9 tokens moved" in repr(action_of(9, [[5, 1], [2, 7]], [[6, 3, 4]]))


@pytest.mark.parametrize(
    ("neutral", "general", "message"),
    [
        ((), (), "does not list the neutral or general tokens"),
        ((None, None), (None, (3,)), "does not list the neutral or general tokens"),
        ((None,), ((9,),), "lie between 9 and 9, but the vocabulary has 5"),
    ],
)
def test_relaxed_map_has_to_fit_the_group(neutral, general, message):
    group = DemographicGroup([["man", "woman"]], general=["x"])
    with pytest.raises(ActionError, match=message):
        TokenAction(group, TokenMap(5, (((1, 2),),), neutral=neutral, general=general))


@pytest.mark.parametrize("token", [-1, -100, 9])
def test_ids_outside_of_the_vocabulary_are_refused(token):
    ids, pair = torch.tensor([[0, token]]), TokenPairAction(PRODUCT, PRODUCT)
    calls = [
        lambda: PRODUCT.apply(1, ids),
        lambda: PRODUCT.orbit(ids),
        lambda: PRODUCT.members(torch.tensor([[0, 1]]), ids),
        lambda: PRODUCT.canonical_element(ids),
        lambda: pair.join(ids, ids[:, :1]),
        lambda: pair.join(ids[:, :1], ids),
    ]
    for call in calls:
        with pytest.raises(ActionError, match=r"The token ids lie between .*; there are 9, numbered from 0"):
            call()


def test_unknown_element_is_refused():
    action = TokenAction(DemographicGroup([["man", "woman"]]), TokenMap(5, (((1, 2),),)))
    with pytest.raises(ActionError, match="No element 99"):
        action.apply(99, torch.tensor([1]))
