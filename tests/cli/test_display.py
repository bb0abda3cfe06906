"""What is printed, to terminals and to pipes."""

from __future__ import annotations

from hf_equi.cli.display import MOVED, escape, plain, styled, terminal, write_line

PIECES = (("The", False), (" man", True), (" said\n", False))


def test_a_text_stays_in_one_line(capsys) -> None:
    write_line("a\tb", "c\r\nd")
    assert capsys.readouterr().out == "a\\tb\tc\\r\\nd\n"
    assert escape("plain [red] é") == "plain [red] é"
    assert escape("\x1b[2J\x85\u2028") == "\\x1b[2J\\x85\\u2028"


def test_moved_words_alone_are_styled() -> None:
    text = styled(PIECES)
    assert text.plain == "The man said\\n"
    assert [(text.plain[span.start : span.end], span.style) for span in text.spans if span.style] == [(" man", MOVED)]
    assert plain(PIECES) == "The man said\n"


def test_a_captured_stdout_is_no_terminal() -> None:
    assert terminal() is None


def test_a_forced_terminal_is_one(monkeypatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert terminal() is not None
