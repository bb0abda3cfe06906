"""Words that are explained once."""

from __future__ import annotations

from hf_equi.fairness.report.words import WORDS, Words


def test_each_word_is_marked_and_explained_where_it_first_stands() -> None:
    words = Words()
    said = words.marked("Parity gap <b>: p = 0.1; the parity gap")
    assert said == "<dfn>Parity gap</dfn> &lt;b&gt;: <dfn>p</dfn> = 0.1; the parity gap"
    assert words.met() == [("parity gap", WORDS["parity gap"]), ("p", WORDS["p = "])]
    words.meet(["Noise floor", "Parity gap, words hidden"])
    assert [word for word, _ in words.met()] == ["noise floor", "words hidden"]
    assert words.met() == []
