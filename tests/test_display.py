"""How a text is shown that others wrote."""

from __future__ import annotations

import sys
from unicodedata import bidirectional, category, name

import pytest

from hf_equi.display import shown

REVERSING = ("LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI")


@pytest.mark.parametrize(
    "text",
    ["plain [red] é", "\u0645\u06cc\u200c\u062e", "👩\u200d🔬", "שלום 0.299", "a\u0301", "\u0601\u06dd", "\xa0"],
)
def test_what_a_reader_sees_stays(text):
    assert shown(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\tb\r\n", "a\\tb\\r\\n"),
        ("\x1b[2J\x85\u2028", "\\x1b[2J\\x85\\u2028"),
        ("0.\u202e299\u202c", "0.\\u202e299\\u202c"),
        ("\ufeff\u200b\xad\U000e0041", "\\ufeff\\u200b\\xad\\U000e0041"),
        ("\udcff", "\\udcff"),
    ],
)
def test_what_acts_on_a_display_is_written_out(text, expected):
    assert shown(text) == expected


def test_no_character_controls_or_reverses():
    letters = shown("".join(map(chr, range(sys.maxunicode + 1))))
    assert not {category(letter) for letter in letters} & {"Cc", "Cs", "Zl", "Zp"}
    assert not {bidirectional(letter) for letter in letters} & {*REVERSING}
    assert not {"\u061c", "\u200e", "\u200f"} & {*letters}
    assert {name(letter) for letter in letters if category(letter) == "Cf"} >= {
        "ZERO WIDTH JOINER",
        "ZERO WIDTH NON-JOINER",
    }


def test_what_is_kept_stays():
    assert shown("a\nb\tc\x1b", "\n") == "a\nb\\tc\\x1b"
