from __future__ import annotations

import torch
from token_actions import action_of

from hf_equi.symmetrizers import (
    DrawnMember,
    Draws,
    IdentityMember,
    OneMember,
    Select,
    Selection,
    SmallestMember,
    WholeGroup,
)

ACTION = action_of(9, [[5, 1], [2, 7]], [[6, 3, 4]])
EVERYONE = [[0, 1, 2, 3, 4, 5]] * 2


class Masked(Select):
    """The element that the first token and its mask name, and a penalty."""

    def members(self, asked):
        first = asked.x[:, 0].float()
        return Selection(asked.x[:, :1] + asked.mask[:, :1], first if self.network is None else self.network(first))


def test_the_whole_group():
    prompts = torch.zeros(2, 3, dtype=torch.long)
    assert WholeGroup()(ACTION, prompts).elements.tolist() == EVERYONE
    assert WholeGroup()(ACTION, prompts, torch.ones(2, 3), to_score=True).elements.tolist() == EVERYONE
    assert not isinstance(WholeGroup(), OneMember)


def test_one_element_may_come_with_a_penalty():
    class First(OneMember):
        def element(self, asked):
            return asked.x[:, 0], 2.0 * asked.x[:, 1]

    selection = First()(ACTION, torch.tensor([[3, 1], [4, 2]]), to_score=True)
    assert selection.elements.tolist() == [[3], [4]]
    assert selection.only.tolist() == [3, 4]
    assert selection.penalty.tolist() == [2.0, 4.0]


def test_what_is_scored_is_what_is_selected_and_the_network_reaches_it():
    x, mask = torch.tensor([[1], [2]]), torch.tensor([[1], [0]])
    selected = Masked().with_network(lambda numbers: 10 * numbers)(ACTION, x, mask, to_score=True)
    assert selected.elements.tolist() == [[2], [2]]
    assert selected.penalty.tolist() == [10.0, 20.0]
    assert Masked().create_network(ACTION.group, (3, 4, 4)) is None


def test_the_identity_of_every_member():
    for member in ACTION.orbit(torch.tensor([[5, 6, 7], [8, 4, 0]])).unbind(1):
        for selection in (IdentityMember()(ACTION, member), IdentityMember()(ACTION, member, to_score=True)):
            assert selection.elements.tolist() == [[0], [0]]


def test_one_element_a_prompt_is_drawn_and_all_are_scored_with():
    class Fixed(Draws):
        def elements(self, action, x, mask):
            assert mask is None
            return x[:, 0] % action.group.order

    drawn = DrawnMember()(ACTION, torch.tensor([[8, 0], [3, 0]]), None, Fixed())
    assert drawn.elements.tolist() == [[2], [3]]
    assert drawn.penalty is None
    assert DrawnMember()(ACTION, torch.zeros(2, 1), to_score=True).elements.tolist() == EVERYONE


def test_the_smallest_member_is_one_text():
    ids = torch.tensor([[5, 6, 7], [8, 4, 0]])
    texts = []
    for member in ACTION.orbit(ids).unbind(1):
        elements = SmallestMember()(ACTION, member).elements
        assert elements.shape == (2, 1)
        texts.append(ACTION.apply(elements[:, 0], member).tolist())
    # 1 is smaller than 5, and 3 smaller than 6 and 4.
    assert texts == [[[1, 3, 2], [8, 3, 0]]] * 6
    assert SmallestMember()(ACTION, torch.tensor([[0, 8], [8, 8]])).elements.tolist() == [[0], [0]]


def test_padding_names_nobody():
    ids, mask = torch.tensor([[5, 6]]), torch.tensor([[0, 1]])
    (element,) = SmallestMember()(ACTION, ids, mask).elements.tolist()[0]
    assert ACTION.apply(element, ids).tolist() == [[5, 3]]
    assert SmallestMember()(ACTION, ids, mask, to_score=True).elements.tolist() == [[element]]


def test_draws_are_uniform_elements_one_a_prompt():
    prompts = torch.zeros(6000, 2, dtype=torch.long)
    counts = Draws().elements(ACTION, prompts, None).bincount(minlength=6)
    assert counts.shape == (6,)
    # Chi-square with 5 degrees of freedom: 25.7 is passed once in ten thousand seeds.
    assert ((counts - 1000.0) ** 2 / 1000).sum() < 25.7


def test_draws_come_from_the_global_generator():
    prompts = torch.zeros(50, 2, dtype=torch.long)
    first = Draws().elements(ACTION, prompts, None)
    assert not torch.equal(Draws().elements(ACTION, prompts, None), first)
    torch.manual_seed(0)
    assert torch.equal(Draws().elements(ACTION, prompts, None), first)
