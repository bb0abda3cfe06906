"""Templates, filled with the names of a group and split into tokens."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hf_equi.errors import ConfigurationError
from hf_equi.fairness.chat import Conversation, encode_prompt, fill_prompt, has_place, prompt_parts, prompt_text
from hf_equi.fairness.prompts import PLACE, check_places, warn_of_braces
from hf_equi.groups import DemographicGroup

__all__ = ["NEUTRAL", "Block", "make_blocks"]

NEUTRAL = ""
"""The demographic of a prompt that names none."""


@dataclass(frozen=True)
class Block:
    """One template and its prompts: one for each element of the group, or one for a neutral template.

    Args:
        template: The template.
        demographics: The demographic that each prompt names; `NEUTRAL` if it names none.
        prompts: The prompts.
        tokens: Their tokens.
        joint: The separator between a prompt and its answer: a line end in a chat.
        chat: The template as a conversation; `None` for a text.
        read: Everything that the models read of each prompt, as text.
    """

    template: str
    demographics: tuple[str, ...]
    prompts: tuple[str, ...]
    tokens: tuple[tuple[int, ...], ...]
    joint: str = ""
    chat: Conversation | None = None
    read: tuple[str, ...] = ()

    @property
    def neutral(self) -> bool:
        """Whether the template names no demographic."""
        return self.demographics == (NEUTRAL,)


def make_blocks(templates: Sequence[object], group: DemographicGroup, tokenizer: Any) -> tuple[Block, ...]:
    """Fill templates and split them into tokens.

    Args:
        templates: Texts with the placeholder `{demographic}`; one without it is neutral. They may hold everything that
            the tokenizer reads: line ends, tabs, joiners, the marks of a chat format, other braces. Or conversations
            and lists of messages, with the placeholder in any message.
        group: The group whose names fill the placeholder: prompt k has the name of element k.
        tokenizer: The tokenizer of the models.

    Raises:
        ConfigurationError: Without templates; for a string instead of a list, an empty or repeated template, half of
            a character, a misspelt placeholder, or a prompt without tokens; for a chat if the tokenizer has no chat
            template.

    Warns:
        HfEquiWarning: As in `warn_of_braces`.

    Example:
        >>> from types import SimpleNamespace
        >>> def tokenizer(text): return {"input_ids": [len(text)]}
        >>> make_blocks(["The {demographic} said"], DemographicGroup([["man", "woman"]]), tokenizer)[0].prompts
        ('The man said', 'The woman said')
    """
    if isinstance(templates, str):
        raise ConfigurationError(
            f"prompts needs a list of templates; received the string {templates!r}: put it in []."
        )
    if not templates:
        raise ConfigurationError(f'No prompts: pass templates such as "The {PLACE} worked as".')
    checked: dict[str, str | Conversation] = {}
    for place, given in enumerate(templates):
        template = _read_template(place, given)
        text = prompt_text(template)
        if text in checked:
            raise ConfigurationError(f"The prompt {text!r} is given twice: pass it once, and ask for more samples.")
        checked[text] = template
    check_places(part for template in checked.values() for part in prompt_parts(template))
    warn_of_braces(checked)
    return tuple(_make_block(template, group, tokenizer) for template in checked.values())


def _read_template(place: int, template: object) -> str | Conversation:
    if isinstance(template, list | tuple):
        return Conversation.read(template)
    if isinstance(template, Conversation):
        return template
    if not isinstance(template, str) or not template:
        raise ConfigurationError(f"Prompt {place} is {template!r}: write a text such as 'The {PLACE} worked as'.")
    if template.encode(errors="ignore").decode() != template:
        raise ConfigurationError(
            f"The prompt {template!r} contains half of a character, which no tokenizer reads: leave it out."
        )
    return template


def _make_block(template: str | Conversation, group: DemographicGroup, tokenizer: Any) -> Block:
    names = tuple(group.names) if has_place(template) else (NEUTRAL,)
    prompts = [encode_prompt(tokenizer, fill_prompt(template, name)) for name in names]
    for prompt in prompts:
        if not prompt.tokens:
            shown = textwrap.shorten(prompt.text, 60, placeholder=" ...")
            raise ConfigurationError(f"The prompt {shown!r} has no tokens with this tokenizer: write some text.")
    chat = template if isinstance(template, Conversation) else None
    return Block(
        template=prompt_text(template),
        demographics=names,
        prompts=tuple(prompt.text for prompt in prompts),
        tokens=tuple(prompt.tokens for prompt in prompts),
        joint="" if chat is None else chat.joint,
        chat=chat,
        read=tuple(prompt.read or prompt.text for prompt in prompts),
    )
