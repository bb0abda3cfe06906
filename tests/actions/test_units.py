"""Words of several tokens that move as one."""

from __future__ import annotations

import itertools
import json

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from token_actions import literal_member, literal_read, literal_word, unit_actions, units_of

from hf_equi import DemographicGroup, TokenAction
from hf_equi.actions import UnitAction, token_action
from hf_equi.actions.base import ColumnAction
from hf_equi.actions.token_maps import TokenMap
from hf_equi.errors import ActionError
from hf_equi.testing import assert_action

# One word begins another, words share beginnings, and rows have words of one, two and three tokens.
TOY = units_of(9, [[(2, 3), (4,)], [(2, 5), (6, 1, 3)], [(2, 3, 5), (6, 6)], [(7,), (0,)]])
GENDER = DemographicGroup([["grandson", "granddaughter"]])


def strings(vocab_size, most=6):
    return st.lists(st.integers(0, vocab_size - 1), max_size=most)


def text_of(action, units):
    return tuple(tuple(action.write([unit])) for unit in units)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_it_reads_moves_and_writes_as_the_literal_version(data):
    action = data.draw(unit_actions())
    text = data.draw(strings(action.vocab_size, 8))
    units = action.read(text)
    assert list(text_of(action, units)) == literal_read(action, text)
    assert action.write(units) == text
    for g in range(action.group.order):
        assert action.member(g, text) == literal_member(action, g, text)
    moved = [[literal_word(action, g, word) for word in literal_read(action, text)] for g in range(action.group.order)]
    back = [literal_read(action, [token for word in words for token in word]) == words for words in moved]
    assert action.reads_back(text) == all(back)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_the_equations_of_an_action_hold_for_texts_that_read_back(data):
    action = data.draw(unit_actions())
    text = data.draw(strings(action.vocab_size))
    assume(action.reads_back(text))
    group = action.group
    assert action.member(0, text) == text
    for g, h in itertools.product(range(group.order), repeat=2):
        assert action.member(g, action.member(h, text)) == action.member(group.compose(g, h), text)
    assert all(action.reads_back(action.member(g, text)) for g in range(group.order))


def test_all_short_texts_of_the_toy_are_read_longest_first():
    assert TOY.read([2, 3, 5, 2, 3, 2, 5, 6, 1, 6]) == [
        9 + TOY.forms.index(f) for f in ((2, 3, 5), (2, 3), (2, 5))
    ] + [
        6,
        1,
        6,
    ]
    assert TOY.begins.nonzero().flatten().tolist() == [2, 6]
    assert (TOY.trie[2].form, TOY.trie[2][3].form) == (None, 9 + TOY.forms.index((2, 3)))
    # 4 becomes (2, 3), which is read with the next 5 as another word.
    assert TOY.member(1, [4, 5]) == [2, 3, 5]
    assert not TOY.reads_back([4, 5])
    assert TOY.reads_back([4, 8, 5])
    texts = itertools.product(range(7), repeat=4)
    assert all(TOY.read(list(text)) == TOY.trie.read(text) for text in texts)


@settings(max_examples=50, deadline=None)
@given(unit_actions())
def test_units_are_permuted_as_columns(action):
    columns = ColumnAction(action.group, action.permutations)  # which checks that they multiply like the elements
    assert_action(columns, [torch.arange(action.units).expand(2, -1), torch.randn(2, action.units)])
    assert_action(action, [torch.randn(3, action.units)])
    assert action.moved.tolist() == columns.moved.tolist() == sorted(action.moving)
    assert torch.equal(action.places, columns.places)
    assert action.units == action.vocab_size + len(action.forms) == action.permutations.shape[1]
    assert action.forms == tuple(dict.fromkeys(action.forms))
    for unit, g in itertools.product(range(action.units), range(action.group.order)):
        image = int(action.permutations[g, unit])
        assert tuple(action.write([image])) == literal_word(action, g, tuple(action.write([unit])))


def test_texts_whose_members_have_one_length_are_tensors():
    action = units_of(7, [[(2, 3), (4, 5)], [(0,), (1,)]])
    ids = torch.tensor([[6, 2, 3, 0], [4, 5, 1, 6]])
    assert_action(action, [ids, ids[:1], ids.view(2, 1, 4), torch.tensor([[6, 6]])])
    assert action.apply(1, ids).tolist() == [[6, 4, 5, 1], [2, 3, 0, 6]]
    assert action.orbit(ids)[:, 1].tolist() == [[6, 4, 5, 1], [2, 3, 0, 6]]
    assert action.members(torch.tensor([[1, 0], [0, 1]]), ids)[1].tolist() == [[4, 5, 1, 6], [2, 3, 0, 6]]


@pytest.mark.parametrize(
    "call", [lambda ids: TOY.apply(1, ids), TOY.orbit, lambda ids: TOY.members(torch.tensor([[1]]), ids)]
)
def test_members_of_other_lengths_do_not_fit_into_a_tensor(call):
    with pytest.raises(ActionError, match=r"Use member\(element, tokens\) or members_of"):
        call(torch.tensor([[2, 3, 8]]))
    assert call(torch.tensor([[7, 1, 8]])).flatten().tolist()[-3:] == [0, 1, 8]  # no word of several tokens


def test_ids_outside_the_vocabulary_are_refused():
    for call in (TOY.orbit, lambda ids: TOY.apply(1, ids), TOY.canonical_element):
        with pytest.raises(ActionError, match="there are 9, numbered from 0"):
            call(torch.tensor([[10]]))  # the number of a unit, but not of a token


def test_members_come_without_padding():
    ids = torch.tensor([[8, 8, 4], [2, 3, 7]])
    mask = torch.tensor([[0, 1, 1], [1, 1, 1]])
    members = TOY.members_of(torch.tensor([[0, 1], [1, 0]]), ids, mask)
    assert members == [[[8, 4], [8, 2, 3]], [[4, 0], [2, 3, 7]]]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_canonical_elements_and_keys_tell_members_apart(data):
    action = data.draw(unit_actions())
    length = data.draw(st.integers(1, 5))
    row = st.lists(st.integers(0, action.vocab_size - 1), min_size=length, max_size=length)
    texts = data.draw(st.lists(row, min_size=1, max_size=3))
    masks = data.draw(st.lists(st.lists(st.integers(0, 1), min_size=length, max_size=length), min_size=3, max_size=3))
    order, ids = action.group.order, torch.tensor(texts)
    masks = masks[: len(texts)]
    for mask in (None, torch.tensor(masks)):
        kept = [[t for t, m in zip(*each, strict=True) if m] for each in zip(texts, masks, strict=True)]
        kept = texts if mask is None else kept
        moved = [[action.move(g, action.read(text)) for g in range(order)] for text in kept]
        assert action.canonical_element(ids, mask).tolist() == [each.index(min(each)) for each in moved]
    members = [tuple(action.member(g, text)) for text in texts for g in range(order)]
    keys = action.keys(ids).flatten().tolist()
    assert all((a == b) == (k == m) for (a, k), (b, m) in itertools.combinations(zip(members, keys, strict=True), 2))


def test_listed_words_of_several_tokens_are_units_that_stay():
    group = DemographicGroup([["man", "woman"]]).relax(neutral=["accountant"])
    token_map = TokenMap(8, (((1, 2),),), ((3,),), (None,), composed_neutral=(((4, 5),),))
    action = token_action(group, token_map)
    assert isinstance(action, UnitAction)
    assert action.general_columns.tolist() == [0, 4, 5, 6, 7]  # its pieces alone are general
    listed = TokenMap(8, (((1, 2),),), (None,), ((3,),), composed_general=(((4, 5),),))
    action = token_action(DemographicGroup([["man", "woman"]]).relax(general=["beard"]), listed)
    assert action.general_columns.tolist() == [3, 8]
    assert action.read([1, 4, 5]) == [1, 8]
    assert action.member(1, [1, 4, 5]) == [2, 4, 5]


def test_the_factory_makes_what_the_map_needs():
    assert type(token_action(GENDER, TokenMap(4, (((0, 1),),)))) is TokenAction
    token_map = TokenMap(4, ((),), composed=((((0,), (1, 2)),),))
    action = token_action(GENDER, token_map)
    assert repr(action) == f"UnitAction({GENDER!r}, 1 of 4 tokens and 1 of 1 words moved)"
    assert action.to("meta").forms == action.forms
    assert action.same_as(token_action(GENDER, token_map))
    assert not action.same_as(token_action(GENDER, TokenMap(4, (((0, 1),),))))
    with pytest.raises(ActionError, match=r"make the action with hf_equi.actions.token_action"):
        TokenAction(GENDER, token_map)
    plain = token_action(GENDER, TokenMap(4, (((0, 1),),)))
    assert (plain.units, plain.forms, plain.read([0, 3]), plain.write([0, 3])) == (4, (), [0, 3], [0, 3])


def test_a_map_of_words_survives_json_and_leaves_out_what_it_has_not():
    token_map = TokenMap(9, ((), ((7, 8),)), ((1,), None), (None, None), ((((2, 3), (4,)),), ()), (((5, 6),), None))
    stored = json.loads(json.dumps(token_map.to_dict()))
    assert TokenMap.from_dict(stored) == token_map
    assert set(stored) == {"vocab_size", "sets", "neutral", "general", "composed", "composed_neutral"}
    assert token_map.forms == ((2, 3), (5, 6))
    assert token_map.moved == (4, 7, 8)
    with pytest.raises(ActionError, match="damaged"):
        TokenMap.from_dict({**stored, "composed": 3})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"composed": ((((2, 3), (4,)), ((5,), (2, 3))),)}, r"tokens \[2, 3\] stand for two words"),
        ({"composed": ((((2, 3), (2, 3)),),)}, r"tokens \[2, 3\] stand for two words"),
        ({"composed": ((((2, 3), (0,)),),)}, r"tokens \[0\] stand for two words"),
        ({"composed": ((((2, 3), (9,)),),)}, r"composed word \[9\] is empty or has a token outside"),
        ({"composed": ((((2, 3), ()),),)}, r"composed word \[\] is empty"),
        ({"composed": ((((2,), (3,)),),)}, r"composed set \[\[2\], \[3\]\] has only words of one token"),
        ({"composed": ((((2, 3), (4,)),),), "composed_neutral": (((2, 3),),)}, r"\[2, 3\] stand for two words"),
        ({"composed_general": (((2,),),)}, r"tokens \[2\] stand for two words"),
    ],
)
def test_words_that_make_no_permutation_raise(changes, message):
    with pytest.raises(ActionError, match=message):
        TokenMap(9, (((0, 1),),), **changes)


def test_a_map_of_words_for_another_group_raises():
    rows = ((((2, 3), (4,), (5,)),),)
    with pytest.raises(ActionError, match=r"sets of \[3\] tokens, but the group has factors of \[2\] words"):
        token_action(GENDER, TokenMap(9, ((),), composed=rows))
