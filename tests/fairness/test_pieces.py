"""Tokens as a text in pieces that a group moves or does not."""

from __future__ import annotations

from small_models import GENDER, base_model, tokenizer

from hf_equi import symmetrize
from hf_equi.fairness.pieces import text_pieces


def test_pieces_add_up_to_the_text_and_moved_words_stand_alone() -> None:
    lm = symmetrize(base_model(), GENDER, tokenizer=tokenizer())
    ids = tokenizer()(" the man said he was — é", add_special_tokens=False)["input_ids"]
    for before in ([], ids[:3]):
        pieces = text_pieces(lm.tokenizer, lm.action, ids, before)
        assert (
            "".join(piece for piece, _ in pieces)
            == lm.tokenizer.decode(before + ids)[len(lm.tokenizer.decode(before)) :]
        )
        assert [piece.strip() for piece, moves in pieces if moves] == ["man", "he"]
    assert text_pieces(lm.tokenizer, lm.action, []) == ()
