"""Templates, filled with the names of a group and cut into tokens."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hf_equi.errors import ConfigurationError
from hf_equi.fairness.prompts import PLACE, fill, warn_of_braces
from hf_equi.groups import DemographicGroup

__all__ = ["NEUTRAL", "Block", "make_blocks"]

NEUTRAL = ""
"""What stands for the demographic of a prompt that names none."""


@dataclass(frozen=True)
class Block:
    """One template and its prompts: one for each element of the group, or one for a neutral template.

    Args:
        template: The template.
        demographics: Whom each prompt names; `NEUTRAL` where it names nobody.
        prompts: The prompts.
        tokens: Their tokens.
    """

    template: str
    demographics: tuple[str, ...]
    prompts: tuple[str, ...]
    tokens: tuple[tuple[int, ...], ...]

    @property
    def neutral(self) -> bool:
        """Whether the template names no demographic."""
        return self.demographics == (NEUTRAL,)


def make_blocks(templates: Sequence[object], group: DemographicGroup, tokenizer: Any) -> tuple[Block, ...]:
    """Fill templates and cut them into tokens.

    Args:
        templates: Texts with the place `{demographic}`; one without it is neutral. They may hold whatever the
            tokenizer reads: ends of lines, tabs, joiners, the marks of a chat format, other braces.
        group: Its names fill the place: prompt k is that of element k.
        tokenizer: The tokenizer of the models.

    Raises:
        ConfigurationError: Without templates; for a string instead of a list, an empty template, one that is
            there twice, half a character, a prompt without tokens.

    Warns:
        HfEquiWarning: As `warn_of_braces`.

    Example:
        >>> from types import SimpleNamespace
        >>> def tokenizer(texts): return {"input_ids": [[len(text)] for text in texts]}
        >>> make_blocks(["The {demographic} said"], DemographicGroup([["man", "woman"]]), tokenizer)[0].prompts
        ('The man said', 'The woman said')
    """
    if isinstance(templates, str):
        raise ConfigurationError(
            f"prompts needs a list of templates; received the string {templates!r}: put it in []."
        )
    if not templates:
        raise ConfigurationError(f'No prompts: pass templates such as "The {PLACE} worked as".')
    checked: list[str] = []
    for place, template in enumerate(templates):
        if not isinstance(template, str) or not template:
            raise ConfigurationError(f"Prompt {place} is {template!r}: write a text such as 'The {PLACE} worked as'.")
        if template.encode(errors="ignore").decode() != template:
            raise ConfigurationError(
                f"The prompt {template!r} holds half of a character, which no tokenizer reads: leave it out."
            )
        if template in checked:
            raise ConfigurationError(
                f"The prompt {template!r} is there twice: name it once, and ask for more samples."
            )
        checked.append(template)
    warn_of_braces(checked)
    return tuple(_make_block(template, group, tokenizer) for template in checked)


def _make_block(template: str, group: DemographicGroup, tokenizer: Any) -> Block:
    named = PLACE in template
    names = tuple(group.names) if named else (NEUTRAL,)
    prompts = tuple(fill(template, name) for name in names) if named else (template,)
    tokens = tuple(tuple(row) for row in tokenizer(list(prompts))["input_ids"])
    for prompt, row in zip(prompts, tokens, strict=True):
        if not row:
            shown = textwrap.shorten(prompt, 60, placeholder=" ...")
            raise ConfigurationError(f"The prompt {shown!r} has no tokens with this tokenizer: write some text.")
    return Block(template, names, prompts, tokens)
