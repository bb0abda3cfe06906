from __future__ import annotations

import torch
from token_actions import action_of

from hf_equi.symmetrizers import Canonical, Draws

ACTION = action_of(9, [[5, 1], [2, 7]], [[6, 3, 4]])


def test_all_members_run_as_one_text():
    ids = torch.tensor([[5, 6, 7], [8, 4, 0]])
    texts = []
    for member in ACTION.orbit(ids).unbind(1):
        elements = Canonical().draw(ACTION, member, None, Draws())
        assert elements.shape == (2, 1)
        texts.append(ACTION.apply(elements[:, 0], member).tolist())
    # 1 is smaller than 5, and 3 smaller than 6 and 4.
    assert texts == [[[1, 3, 2], [8, 3, 0]]] * 6


def test_texts_that_name_nobody_run_as_they_are():
    assert Canonical().draw(ACTION, torch.tensor([[0, 8], [8, 8]]), None, Draws()).tolist() == [[0], [0]]


def test_padding_names_nobody():
    ids, mask = torch.tensor([[5, 6]]), torch.tensor([[0, 1]])
    (element,) = Canonical().draw(ACTION, ids, mask, Draws()).tolist()[0]
    assert ACTION.apply(element, ids).tolist() == [[5, 3]]
    assert Canonical().score_elements(ACTION, ids, mask).tolist() == [[element]]


def test_it_runs_one_row_and_has_no_relaxed_variant():
    assert Canonical.one_row
    assert not Canonical.relaxable
    assert not Canonical.weighs_history
    scores = torch.tensor([0.25, 0.75]).log()
    assert torch.equal(Canonical().accumulate(None, scores, 0.0), scores)
