"""Prompts as a model reads them: texts as they are, and messages in the turns of its chat template."""

from __future__ import annotations

import hashlib
import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hf_equi.errors import ConfigurationError
from hf_equi.fairness.prompts import PLACE, fill

__all__ = [
    "Conversation",
    "Prompt",
    "describe_chat",
    "encode_prompt",
    "fill_prompt",
    "has_chat",
    "has_place",
    "in_chat",
    "prompt_parts",
    "prompt_text",
]

_EXAMPLE = '[{"role": "user", "content": "Write about a nurse."}]'
_MARK = "\ue000"  # a private character that stands for a message, to find its place
_FEW = 60  # characters of a prompt in an error message


@dataclass(frozen=True)
class Prompt:
    """A prompt as the tokens that a model reads, such as a message in the turns of its chat template.

    Args:
        text: The prompt as given.
        tokens: All tokens that the model reads.
        place: Where the text begins and ends among them.
        read: Everything that the model reads, as text; empty if that is the prompt itself.
    """

    text: str
    tokens: tuple[int, ...]
    place: tuple[int, int | None] = (0, None)
    read: str = ""


@dataclass(frozen=True)
class Conversation:
    """Messages of a chat, which the model answers. It continues a last message of the assistant.

    Args:
        turns: The role and the content of each message.
        hidden: The number of messages, from the first on, that are the same for all prompts and not shown with each.

    Raises:
        ConfigurationError: Without messages; if the last message is empty; for half of a character.

    Example:
        >>> Conversation((("system", "Be brief."), ("user", "Who is a nurse?")), hidden=1).text
        'Who is a nurse?'
    """

    turns: tuple[tuple[str, str], ...]
    hidden: int = 0

    def __post_init__(self) -> None:
        if not self.turns:
            raise ConfigurationError(f"A chat has no messages: write some, such as {_EXAMPLE}.")
        for _, content in self.turns:
            if content.encode(errors="ignore").decode() != content:
                raise ConfigurationError(
                    f"The message {content!r} contains half of a character, which no tokenizer reads: leave it out."
                )
        if not self.turns[-1][1].strip():
            raise ConfigurationError("The last message of a chat is empty: write what the model answers.")

    @classmethod
    def read(cls, messages: object) -> Conversation:
        """Read messages as `transformers` takes them: dictionaries with a role and a content.

        Raises:
            ConfigurationError: For anything else.
        """
        if isinstance(messages, str) or not isinstance(messages, Sequence):
            raise ConfigurationError(f"messages needs a list, not a {type(messages).__name__}: write {_EXAMPLE}.")
        for message in messages:
            fits = isinstance(message, Mapping) and set(message) == {"role", "content"}
            if not fits or not all(isinstance(text, str) for text in message.values()):
                shown = textwrap.shorten(repr(message), _FEW, placeholder=" ...")
                raise ConfigurationError(
                    f"The message {shown} needs a role and a content, both text, as in {_EXAMPLE}."
                )
        return cls(tuple((message["role"], message["content"]) for message in messages))

    @property
    def text(self) -> str:
        """The question for a human reader: a single user message as it is, several with their roles, one per line."""
        shown = self.turns[self.hidden :]
        if len(shown) == 1 and shown[0][0] == "user":
            return shown[0][1]
        return "\n".join(f"{role}: {content}" for role, content in shown)

    @property
    def joint(self) -> str:
        """The separator between this and the answer, for a human reader."""
        return "" if self.continued else "\n"

    @property
    def continued(self) -> bool:
        """Whether the model continues the last message."""
        return self.turns[-1][0] == "assistant"

    @property
    def messages(self) -> list[dict[str, str]]:
        """Return the messages as `transformers` takes them."""
        return [{"role": role, "content": content} for role, content in self.turns]


def prompt_text(prompt: str | Conversation) -> str:
    """Return what a prompt asks, for a human reader."""
    return prompt if isinstance(prompt, str) else prompt.text


def prompt_parts(prompt: str | Conversation) -> tuple[str, ...]:
    """Return everything that a prompt says: the text itself, or the content of each message."""
    return (prompt,) if isinstance(prompt, str) else tuple(content for _, content in prompt.turns)


def has_place(prompt: str | Conversation) -> bool:
    """Whether a prompt has the placeholder for a demographic."""
    return any(PLACE in part for part in prompt_parts(prompt))


def fill_prompt(prompt: str | Conversation, name: str) -> str | Conversation:
    """Put the name of a demographic into each placeholder; a prompt without one stays as it is.

    Raises:
        ConfigurationError: As in `hf_equi.fairness.fill`.
    """
    if not has_place(prompt):
        return prompt
    if isinstance(prompt, str):
        return fill(prompt, name)
    filled = tuple((role, fill(content, name) if PLACE in content else content) for role, content in prompt.turns)
    return replace(prompt, turns=filled)


def in_chat(
    prompts: Sequence[str | Conversation], chat: bool = True, system: str | None = None
) -> list[str | Conversation]:
    """Make each prompt a user message, and begin each chat with a system message.

    Args:
        prompts: Texts, which become messages, and conversations, which already consist of messages.
        chat: Whether texts become messages.
        system: The system message. If it holds the placeholder, it is shown with each prompt.

    Raises:
        ConfigurationError: For a system message without a chat, an empty one, or a second one in a conversation.
    """
    if system is not None and not chat:
        raise ConfigurationError("A system message needs a chat: ask for one, or leave the message out.")
    if system is not None and not system.strip():
        raise ConfigurationError("The system message is empty: write some text, or leave it out.")
    if not chat:
        return list(prompts)
    asked = [Conversation((("user", prompt),)) if isinstance(prompt, str) else prompt for prompt in prompts]
    if system is None:
        return list(asked)
    return [_with_system(one, system) for one in asked]


def _with_system(conversation: Conversation, system: str) -> Conversation:
    if any(role == "system" for role, _ in conversation.turns):
        raise ConfigurationError(
            f"The chat {textwrap.shorten(conversation.text, _FEW, placeholder=' ...')!r} already has a system "
            "message: leave one of the two out."
        )
    return Conversation((("system", system), *conversation.turns), hidden=0 if PLACE in system else 1)


def has_chat(tokenizer: Any) -> bool:
    """Whether a tokenizer has a chat template."""
    return bool(getattr(tokenizer, "chat_template", None))


def encode_prompt(tokenizer: Any, prompt: str | Conversation) -> Prompt:
    """Split a prompt into the tokens that a model reads.

    A text gets the special tokens that the tokenizer puts around any text. In a chat, the template writes all special
    tokens, so the tokenizer adds none.

    Args:
        tokenizer: The tokenizer of the model; for a chat it needs a template.
        prompt: A text, or messages.

    Raises:
        ConfigurationError: For a chat if the tokenizer has no template, or if the template refuses it.
    """
    if isinstance(prompt, str):
        return Prompt(prompt, tuple(tokenizer(prompt)["input_ids"]))
    if not has_chat(tokenizer):
        raise ConfigurationError(
            "The tokenizer of this model has no chat template: use a model that was trained to chat, such as one "
            "named Instruct, set tokenizer.chat_template, or ask without a chat (leave out --chat)."
        )
    text = _render(tokenizer, prompt)
    fast = bool(getattr(tokenizer, "is_fast", False))
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=fast)
    tokens = tuple(encoded["input_ids"])
    return Prompt(prompt.text, tokens, _place(tokenizer, prompt, text, encoded.get("offset_mapping")), text)


def describe_chat(conversations: Sequence[Conversation], tokens: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Return plain JSON that differs between chats that a model reads differently: a template may hold the date.

    Args:
        conversations: The chats.
        tokens: All tokens that the model reads of each.
    """
    hidden = [content for one in conversations for _, content in one.turns[: one.hidden]]
    digest = hashlib.blake2b(json.dumps([list(row) for row in tokens]).encode(), digest_size=16).hexdigest()
    return {"system": list(dict.fromkeys(hidden)), "tokens": digest}


def _render(tokenizer: Any, prompt: Conversation) -> str:
    """Return the text of a chat as the template formats it, up to where the model speaks."""
    try:
        text: str = tokenizer.apply_chat_template(
            prompt.messages,
            tokenize=False,
            add_generation_prompt=not prompt.continued,
            continue_final_message=prompt.continued,
        )
    except Exception as error:  # any kind: templates raise their own
        reason = " ".join(str(error).split()).rstrip(".")
        roles = ", ".join(role for role, _ in prompt.turns)
        raise ConfigurationError(
            f"The chat template of this model refuses messages of {roles}: {reason}. Leave out the system message, "
            "use the order that the template takes, or ask without a chat (leave out --chat)."
        ) from error
    return text


def _place(
    tokenizer: Any, prompt: Conversation, text: str, offsets: Sequence[tuple[int, int]] | None
) -> tuple[int, int | None]:
    """Return the first token of the shown part of a chat and the one after it; all tokens if it cannot be located."""
    if offsets is None:
        return 0, None
    marked = tuple(
        (role, content if place < prompt.hidden else _MARK) for place, (role, content) in enumerate(prompt.turns)
    )
    around = _render(tokenizer, replace(prompt, turns=marked))
    before, after = around.partition(_MARK)[0], around.rpartition(_MARK)[2]
    if _MARK not in around or not (text.startswith(before) and text.endswith(after)):
        return 0, None
    start, end = len(before), len(text) - len(after)
    inside = [place for place, (first, last) in enumerate(offsets) if first < end and last > start]
    return (inside[0], inside[-1] + 1) if inside else (0, None)
