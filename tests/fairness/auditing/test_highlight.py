"""Texts in pieces."""

from __future__ import annotations

from small_models import BOTH

from hf_equi import DemographicGroup
from hf_equi.fairness.auditing import moved_words


def test_pieces_make_up_the_text_and_whole_words_are_marked() -> None:
    text = "The man's manhood: a Black WOMAN, and she <b>\n"
    pieces = moved_words(BOTH)(text)
    assert "".join(piece for piece, _ in pieces) == text
    assert [piece for piece, moved in pieces if moved] == ["man", "Black", "WOMAN", "she"]


def test_words_in_decomposed_unicode_are_marked() -> None:
    pieces = moved_words(DemographicGroup([["josé", "maría"]]))
    assert pieces("Jose\u0301 left") == pieces("José left") == [("José", True), (" left", False)]


def test_a_text_without_such_words_is_one_piece() -> None:
    assert moved_words(BOTH)("nothing") == [("nothing", False)]
    assert moved_words(BOTH)("") == []
