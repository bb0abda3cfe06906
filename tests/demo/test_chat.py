"""A message in the turns of a chat template."""

from __future__ import annotations

import copy

import pytest
from small_models import END, tokenizer

from hf_equi.demo.chat import chat_prompt, has_chat
from hf_equi.errors import ConfigurationError


def test_the_template_alone_writes_special_tokens(chat) -> None:
    prompt = chat_prompt(chat, "\nthe man said\n")
    assert chat.decode(prompt.tokens) == f"{END} user : \nthe man said\n . and"
    assert chat.decode(prompt.tokens[slice(*prompt.place)]).strip() == "the man said"


def test_a_message_that_the_template_changes_is_shown_with_all_that_is_read(chat) -> None:
    changing = copy.deepcopy(chat)
    changing.chat_template = "{{ messages[0].content | upper }}"
    assert chat_prompt(changing, "the man").place == (0, None)


def test_without_a_template_there_is_no_chat(chat) -> None:
    assert (has_chat(chat), has_chat(tokenizer())) == (True, False)
    with pytest.raises(ConfigurationError, match="has no chat template"):
        chat_prompt(tokenizer(), "the man")


def test_what_a_template_refuses_is_said(chat) -> None:
    refusing = copy.deepcopy(chat)
    refusing.chat_template = "{{ raise_exception('a system turn comes first') }}"
    with pytest.raises(ConfigurationError, match="refuses the message: a system turn comes first"):
        chat_prompt(refusing, "the man")
