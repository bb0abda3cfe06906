import re
import unicodedata

import pytest

from hf_equi.groups.matching import compile_words, letters


@pytest.mark.parametrize("character", ["a", "Ω", "é", "́", "ी", "中", "𐐀", "1", "²", "_", "'", "-", " ", "Ⅷ"])
def test_letters_and_their_marks(character):
    assert bool(re.fullmatch(letters(), character)) == (unicodedata.category(character)[0] in "LM")


def test_whole_words_and_longest_phrases():
    pattern = compile_words(["new man", "new man of war", "man"])
    assert pattern.findall("A new man of war, newman; the man's new  man-3") == [
        "A",
        "new man of war",
        "newman",
        "the",
        "man",
        "s",
        "new",
        "man",
    ]


def test_accents_that_stand_apart_belong_to_their_word():
    assert compile_words(["man"]).findall("mañana") == ["mañana"]
