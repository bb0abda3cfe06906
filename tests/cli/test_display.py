"""What is printed, to terminals and to pipes."""

from __future__ import annotations

import ast
import json
import re
import shutil
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest
from rich.text import Text

from hf_equi.cli.display import (
    MOVED,
    cell,
    note,
    progress,
    styled,
    terminal,
    write_json,
    write_line,
    write_text,
)
from hf_equi.display import plain

PIECES = (("The", False), (" man", True), (" said\n", False))
EVIL = "\x1b]0;x\x07\x9b2J\u202e\u2066\x7f"


def test_a_text_stays_in_one_line(capsys) -> None:
    write_line("a\tb", "c\r\nd")
    note("one\n  two\u2028")
    assert capsys.readouterr() == ("a\\tb\tc\\r\\nd\n", "hf-equi: note: one two\\u2028\n")


def test_moved_words_alone_are_styled() -> None:
    text = styled(PIECES)
    assert text.plain == "The man said\\n"
    assert [(text.plain[span.start : span.end], span.style) for span in text.spans if span.style] == [(" man", MOVED)]
    assert plain(PIECES) == "The man said\n"


def test_a_captured_stdout_is_no_terminal() -> None:
    assert terminal() is None


def test_nothing_that_is_printed_acts_on_a_terminal(capsys, monkeypatch) -> None:
    """Whatever a command hands over: a line, a text, a cell, a title, the name of a task."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    write_line(EVIL)
    write_text(f"{EVIL}\n")
    note(EVIL)
    console = terminal()
    assert console is not None
    for one in (EVIL, Text(EVIL), cell(EVIL, MOVED), styled([(EVIL, True)])):
        console.print(one, markup=False, highlight=False)
    with progress() as bar:
        bar.add_task(EVIL)
        bar.refresh()
    out, err = capsys.readouterr()
    assert out.count("\\x1b]0;x") == out.count("\\x9b2J\\u202e\\u2066\\x7f") == 6  # rich itself leaves out the bell
    assert err.count("\\x1b]0") > 1
    assert not {"\x07", "\x9b", "\u202e", "\u2066", "\x7f"} & {*out, *err}
    assert "\x1b]" not in out + err


def test_a_note_comes_after_what_it_is_about(monkeypatch) -> None:
    """Also if both streams go into one pipe, where stdout is written late."""
    pipe = BytesIO()
    monkeypatch.setattr("sys.stdout", TextIOWrapper(pipe, "utf-8", write_through=False))
    monkeypatch.setattr("sys.stderr", TextIOWrapper(pipe, "utf-8", write_through=True))
    write_text("the card\n")
    note("nothing was uploaded")
    assert pipe.getvalue() == b"the card\nhf-equi: note: nothing was uploaded\n"


def test_json_is_the_content_however_it_is_written(capsys) -> None:
    write_json({EVIL: ["é\n", EVIL]})
    out = capsys.readouterr().out
    assert json.loads(out) == {EVIL: ["é\n", EVIL]}
    assert all(letter.isprintable() or letter == "\n" for letter in out)
    assert "é\\n" in out


@pytest.mark.parametrize(("encoding", "kept"), [("ascii", ""), ("latin-1", "é"), ("cp1252", "é–"), ("utf-8", "é–😀")])
def test_json_is_the_content_in_every_encoding(monkeypatch, encoding, kept) -> None:
    stdout = TextIOWrapper(BytesIO(), encoding, "backslashreplace")
    monkeypatch.setattr("sys.stdout", stdout)
    write_json({"é–😀": [EVIL, "\udcff"]})
    stdout.flush()
    out = stdout.buffer.getvalue().decode(encoding)
    assert json.loads(out) == {"é–😀": [EVIL, "\udcff"]}
    assert {letter for letter in out if not letter.isascii()} == set(kept)


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "hf_equi" / "cli").glob("*.py")), ids=lambda path: path.name
)
def test_no_command_has_a_way_out_of_its_own(path) -> None:
    """Help and version are this package's own words, which typer writes."""
    calls = [ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    own = [name for name in calls if name in {"print", "Console", "Progress", "sys.stdout.write", "sys.stderr.write"}]
    assert not own or path.name == "display.py"


def acts(text: str) -> set[str]:
    """What is left of a text that acts on a terminal, except for the colours of this library."""
    return {letter for letter in re.sub(r"\x1b\[[\d;]*m", "", text) if not (letter.isprintable() or letter in "\n\t")}


@pytest.mark.parametrize("command", ["generate", "inspect", "audit", "convert", "publish"])
@pytest.mark.parametrize("place", ["model_type", "architectures", "group"])
def test_what_others_wrote_does_not_act_through_any_command(
    run, equi_folder, folder, tmp_path, command, place
) -> None:
    path = tmp_path / "model"
    shutil.copytree(equi_folder if place == "group" or command == "publish" else folder, path)
    config = json.loads((path / "config.json").read_text())
    if place == "group":
        config["group"]["factors"][0]["equality"][0][0] += EVIL
    else:
        config[place] = EVIL if place == "model_type" else [EVIL]
    (path / "config.json").write_text(json.dumps(config))
    group = tmp_path / "group.json"
    group.write_text(json.dumps({"equality": [["man", f"man{EVIL}"], ["he", "she"]]}))
    given = {
        "generate": ("-m", path, "-g", group, "-p", f"the man {EVIL}", "--max-new-tokens", "2"),
        "inspect": ("-m", path, "-t", f"the man {EVIL}"),
        "audit": ("-m", path, "-p", f"the man {EVIL}", "--max-new-tokens", "999", "--out", tmp_path / "audit"),
        "convert": (path, tmp_path / "out", "-g", group),
        "publish": (path, f"me/equi{EVIL}", "--dry-run", "--license", EVIL),
    }
    result = run(command, *given[command])
    assert result.err or result.out
    assert not acts(result.out) | acts(result.err)
