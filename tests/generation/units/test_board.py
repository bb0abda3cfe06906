"""The board between a forward and the processor of its call."""

from __future__ import annotations

import torch
from unit_models import PAIRS, padded, toy_lm

from hf_equi.generation.units.board import UnitBoard


@torch.no_grad()
def test_the_last_forward_notes_its_places_once():
    lm, board = toy_lm(PAIRS), UnitBoard()
    batch = padded([[2, 3, 9, 1], [9, 2]])
    for how in ({}, {"use_cache": True}):
        out = lm(**batch, board=board, **how)
        for columns in (3, 4):
            ids = batch["input_ids"][:, :columns]
            place = board.take(ids)
            torch.testing.assert_close(place.law.exp().sum(-1), torch.ones(2))
            assert board.take(ids) is None
            alone = out.logits[0, columns - 1]  # nothing is open there: the law of tokens is the marginal
            torch.testing.assert_close(place.law[0, 5], alone[5])
        assert not place.opened[0].forms
        assert set(place.opened[1].forms) == {
            (PAIRS.vocab_size + n, 1) for n, f in enumerate(PAIRS.forms) if f[0] == 2
        }
    lm(torch.tensor([[2, 3, 9]]), board=board)
    assert board.take(batch["input_ids"]) is None  # of the forward before
    assert board.take(batch["input_ids"][:, :3]) is None  # of another batch


@torch.no_grad()
def test_chunks_note_the_same():
    batch, laws = padded([[2, 3, 9], [9, 4, 9], [1, 9]]), []
    for settings in ({}, {"orbit_chunk_size": 1}):
        board = UnitBoard()
        toy_lm(PAIRS, **settings)(**batch, board=board)
        laws.append(board.take(batch["input_ids"]).law)
    torch.testing.assert_close(*laws)
