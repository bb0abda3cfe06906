"""Prompts as a model reads them."""

from __future__ import annotations

import pytest
from small_models import END, chat_tokenizer, tokenizer

from hf_equi.errors import ConfigurationError
from hf_equi.fairness.chat import (
    Conversation,
    describe_chat,
    encode_prompt,
    fill_prompt,
    has_place,
    in_chat,
    prompt_text,
)

TURNS = [
    {"role": "user", "content": "the man"},
    {"role": "assistant", "content": "said so"},
    {"role": "user", "content": "known for\nit"},
]


def read(prompt, reader=None):
    reader = reader or chat_tokenizer()
    found = encode_prompt(reader, prompt)
    return found, reader.decode(found.tokens), reader.decode(found.tokens[slice(*found.place)])


@pytest.mark.parametrize(
    ("messages", "system", "shown"),
    [
        (TURNS[:1], None, "the man"),
        (TURNS, None, f"the man{END}\nassistant\nsaid so{END}\nuser\nknown for\nit"),
        (TURNS[2:], "a song", "known for\nit"),
        (TURNS[:2], None, f"the man{END}\nassistant\nsaid so"),
    ],
)
def test_a_chat_is_read_as_transformers_reads_it(messages, system, shown) -> None:
    """With the special tokens of the template, and no second one of the tokenizer before them."""
    (asked,) = in_chat([Conversation.read(messages)], system=system)
    sent = [*([{"role": "system", "content": system}] if system else []), *messages]
    last = messages[-1]["role"] == "assistant"
    ids = chat_tokenizer().apply_chat_template(sent, add_generation_prompt=not last, continue_final_message=last)
    found, whole, part = read(asked)
    assert list(found.tokens) == ids["input_ids"]
    assert found.tokens[:2].count(0) == 1
    assert (found.read, part) == (whole, shown)


def test_a_text_gets_the_tokens_that_the_tokenizer_puts_around_it() -> None:
    found, whole, part = read("the man\n\tsaid so")
    assert whole == part == f"{END}the man\n\tsaid so"
    assert (found.text, found.read, found.place) == ("the man\n\tsaid so", "", (0, None))


def test_what_is_shown_of_a_chat_is_what_differs_between_prompts() -> None:
    plain, listed = in_chat(["the man", Conversation.read(TURNS)], system="a song")
    assert (prompt_text(plain), plain.joint) == ("the man", "\n")
    assert prompt_text(listed) == "user: the man\nassistant: said so\nuser: known for\nit"
    (named,) = in_chat(["said so"], system="he met the {demographic}")
    assert prompt_text(named) == "system: he met the {demographic}\nuser: said so"
    assert Conversation.read(TURNS[:2]).joint == ""
    assert in_chat(["the man"], chat=False) == ["the man"]


def test_a_name_goes_into_every_message() -> None:
    (asked,) = in_chat(["the {demographic} and the {demographic}"], system="he met the {demographic}")
    assert has_place(asked)
    assert not has_place(fill_prompt(asked, "man"))
    assert fill_prompt(asked, "man").turns == (("system", "he met the man"), ("user", "the man and the man"))
    assert fill_prompt("the {demographic}", "man") == "the man"
    assert fill_prompt("said", "man") == "said"


def test_a_description_tells_chats_apart_by_what_is_read() -> None:
    first, second = in_chat(["the man"], system="a song"), in_chat(["the man"], system="it")
    described = [
        describe_chat(asked, [encode_prompt(chat_tokenizer(), one).tokens for one in asked])
        for asked in (first, first, second)
    ]
    assert described[0] == described[1] != described[2]
    assert described[0]["system"] == ["a song"]


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        ("the man", "messages needs a list, not a str"),
        ([], "A chat has no messages"),
        (["the man"], "'the man' needs a role and a content"),
        ([{"role": "user"}], "needs a role and a content"),
        ([{"role": "user", "content": [{"type": "image"}]}], "needs a role and a content"),
        ([{"role": "user", "content": " "}], "last message of a chat is empty"),
        ([{"role": "user", "content": "\udc80"}], "half of a character"),
    ],
)
def test_what_is_not_a_chat_is_named(messages, problem) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        Conversation.read(messages)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"chat": False, "system": "a song"}, "A system message needs a chat"),
        ({"system": " "}, "The system message is empty"),
    ],
)
def test_a_system_message_that_nobody_would_read_is_refused(settings, problem) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        in_chat(["the man"], **settings)


def test_two_system_messages_are_refused() -> None:
    own = Conversation((("system", "it"), ("user", "the man")))
    with pytest.raises(ConfigurationError, match="already has a system message: leave one"):
        in_chat([own], system="a song")


def test_a_tokenizer_without_a_template_says_so() -> None:
    with pytest.raises(ConfigurationError, match=r"has no chat template: use a model that was trained to chat"):
        encode_prompt(tokenizer(), Conversation.read(TURNS))


def test_a_template_that_refuses_a_chat_says_why() -> None:
    with pytest.raises(ConfigurationError, match="refuses messages of tool: no tools"):
        encode_prompt(chat_tokenizer(), Conversation((("tool", "the man"),)))
