"""Prompts from options and from files."""

from __future__ import annotations

import json

import pytest

from hf_equi.cli.options import Asked
from hf_equi.cli.prompts import collect_prompts
from hf_equi.errors import ConfigurationError
from hf_equi.fairness import OCCUPATION
from hf_equi.fairness.chat import Conversation

MESSAGES = [{"role": "user", "content": "a\nb"}, {"role": "assistant", "content": "c"}]


def test_prompts_come_from_options_files_and_sets_each_once(tmp_path) -> None:
    text, lines = tmp_path / "own.txt", tmp_path / "own.jsonl"
    text.write_bytes("\ufeffthe man \r\n\n{x} \u2028said\nthe woman".encode())
    rows = ["two", {"prompt": "one\n\ttwo", "id": 7}, {"messages": MESSAGES}]
    lines.write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    asked = Asked(["the woman"], ["occupation"], [text, lines])
    assert collect_prompts(asked) == [
        "the woman",
        "the man ",
        "{x} \u2028said",
        "two",
        "one\n\ttwo",
        Conversation((("user", "a\nb"), ("assistant", "c"))),
        *OCCUPATION,
    ]


def test_a_chat_asks_each_of_them_as_a_message(tmp_path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text(json.dumps({"messages": MESSAGES}))
    one, two = collect_prompts(Asked(["the man"], prompt_files=[path], chat=True, system="be brief"))
    assert one.turns == (("system", "be brief"), ("user", "the man"))
    assert two.turns == (("system", "be brief"), ("user", "a\nb"), ("assistant", "c"))


def test_without_prompts_there_may_be_a_default() -> None:
    assert collect_prompts(Asked(), "occupation") == list(OCCUPATION)
    assert collect_prompts(Asked(["the man"]), "occupation") == ["the man"]
    with pytest.raises(ConfigurationError, match="Nothing to complete"):
        collect_prompts(Asked())


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("own.txt", b"\n \n", "holds no prompts"),
        ("own.txt", b"\xff", "own.txt cannot be read: it is not UTF-8 text"),
        ("own.jsonl", b'"a"\n{', "Line 2 of .*own.jsonl is not JSON"),
        ("own.jsonl", b"[1]", r"Line 1 of .*: \[1\] is neither a prompt nor messages: write"),
        ("own.jsonl", b'{"text": "a"}', "is neither a prompt nor messages"),
        ("own.jsonl", b'{"prompt": "a", "messages": []}', "is neither a prompt nor messages"),
        ("own.jsonl", b'{"prompt": " "}', "Line 1 of .*: the prompt is empty"),
        ("own.jsonl", b'{"prompt": "\\udc80"}', "half of a character"),
        ("own.txt", b"the {demographic said", "has '{demographic': did you mean {demographic}?"),
        ("own.jsonl", b'{"messages": [{"role": "user", "content": "{demographics}"}]}', "did you mean {demographic}?"),
        ("own.jsonl", b'{"messages": [{"role": "user"}]}', "Line 1 of .*needs a role and a content"),
    ],
)
def test_a_file_that_holds_something_else_is_named_with_its_line(tmp_path, name, content, problem) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigurationError, match=problem):
        collect_prompts(Asked(prompt_files=[tmp_path / name]))
