"""A message of a user within the turns of a model's chat template."""

from __future__ import annotations

from typing import Any

from hf_equi.errors import ConfigurationError
from hf_equi.fairness.completions import Prompt

__all__ = ["chat_prompt", "has_chat"]


def has_chat(tokenizer: Any) -> bool:
    """Whether a tokenizer has a chat template."""
    return bool(getattr(tokenizer, "chat_template", None))


def chat_prompt(tokenizer: Any, message: str) -> Prompt:
    """Put a message into the template's turns, up to where the model answers.

    The template writes all special tokens itself, so the tokenizer adds none.

    Args:
        tokenizer: With a chat template.
        message: What the user says.

    Raises:
        ConfigurationError: For a tokenizer without a template, and for one that refuses the message.
    """
    if not has_chat(tokenizer):
        raise ConfigurationError("The tokenizer of this model has no chat template: ask without the chat message.")
    turns = [{"role": "user", "content": message}]
    try:
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    except Exception as error:  # what a template raises is its own
        raise ConfigurationError(f"The chat template refuses the message: {error}. Ask without it.") from error
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=tokenizer.is_fast)
    tokens = tuple(encoded["input_ids"])
    return Prompt(message, tokens, _place(text, message.strip(), encoded.get("offset_mapping")))


def _place(text: str, message: str, offsets: list[tuple[int, int]] | None) -> tuple[int, int | None]:
    """The first token of a message in a text and the one behind it; all tokens where it cannot be found."""
    start = text.rfind(message)
    if offsets is None or start < 0:
        return 0, None
    end = start + len(message)
    inside = [place for place, (first, last) in enumerate(offsets) if first < end and last > start]
    return (inside[0], inside[-1] + 1) if inside else (0, None)
