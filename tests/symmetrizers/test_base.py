from __future__ import annotations

import pytest
import torch
from token_actions import action_of

from hf_equi.symmetrizers import Draws, Symmetrizer

ACTION = action_of(9, [[5, 1]], [[6, 3, 4]])


class First(Symmetrizer):
    """Keeps the first member it sees."""

    empty = 0.0

    def accumulate(self, total, scores, log_weight):
        return scores if total is None else total


def test_a_method_must_say_how_it_combines():
    with pytest.raises(TypeError, match="accumulate"):
        Symmetrizer()


def test_a_method_runs_the_whole_group_unless_it_says_otherwise():
    method, prompts = First(), torch.zeros(2, 3, dtype=torch.long)
    everyone = [[0, 1, 2, 3, 4, 5]] * 2
    assert method.draw(ACTION, prompts, None, Draws()).tolist() == everyone
    assert method.score_elements(ACTION, prompts, torch.ones(2, 3)).tolist() == everyone
    assert method.history_log_weights(torch.zeros(2, 3)) is None
    assert not any((method.one_row, method.relaxable, method.weighs_history))


def test_what_is_scored_is_what_is_drawn():
    class Second(First):
        def draw(self, action, prompt, mask, draws):
            return prompt[:, :1] + mask[:, :1]

    assert Second().score_elements(ACTION, torch.tensor([[1], [2]]), torch.tensor([[1], [0]])).tolist() == [[2], [2]]


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
