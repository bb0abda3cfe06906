"""Texts in pieces."""

from __future__ import annotations

import pytest
from small_models import BOTH

from hf_equi import DemographicGroup
from hf_equi.fairness.auditing import moved_words


def test_pieces_make_up_the_text_and_whole_words_are_marked() -> None:
    text = "The man's manhood: a Black WOMAN, and she <b>\n"
    pieces = moved_words(BOTH)(text)
    assert "".join(piece for piece, _ in pieces) == text
    assert [piece for piece, moved in pieces if moved] == ["man", "Black", "WOMAN", "she"]


@pytest.mark.parametrize("text", ["Jose\u0301 left", "José left"])
def test_words_are_marked_as_they_are_written(text: str) -> None:
    pieces = moved_words(DemographicGroup([["josé", "maría"]]))
    assert pieces(text) == [(text.removesuffix(" left"), True), (" left", False)]


def test_a_word_of_which_one_accent_stands_apart_is_marked() -> None:
    assert moved_words(DemographicGroup([["médé", "maría"]]))("me\u0301dé") == [("me\u0301dé", True)]


def test_a_text_without_such_words_is_one_piece() -> None:
    assert moved_words(BOTH)("nothing") == [("nothing", False)]
    assert moved_words(BOTH)("") == []
