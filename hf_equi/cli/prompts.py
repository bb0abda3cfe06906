"""The prompts of a command, from its options and from files."""

from __future__ import annotations

import itertools
import json
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from hf_equi.cli.arguments import check_texts, expanded
from hf_equi.cli.options import Asked
from hf_equi.errors import ConfigurationError
from hf_equi.fairness.chat import Conversation, fill_prompt, in_chat, prompt_parts
from hf_equi.fairness.prompts import check_places, prompt_set
from hf_equi.groups import DemographicGroup

__all__ = ["check_names", "collect_prompts"]

_JSON = (".jsonl", ".ndjson", ".json")
_LINE = 'write {"prompt": "The {demographic} said"} or {"messages": [{"role": "user", "content": "..."}]}'


def collect_prompts(asked: Asked, default: str | None = None) -> list[str | Conversation]:
    """Return all prompts, in order, each once: those of options first, then those of files, then those of sets.

    Args:
        asked: As on the command line.
        default: The set of prompts to use if none are given.

    Raises:
        ConfigurationError: If no prompt is given, a placeholder is misspelt, a file cannot be read, or a set is
            unknown.
    """
    given, files, sets = asked.prompts or [], asked.prompt_files or [], asked.prompt_sets or []
    if asked.system is not None:
        check_texts("--system", [asked.system])
        if not asked.chat:
            raise ConfigurationError("--system is a chat message: add --chat, or leave it out.")
    if default is not None and not (given or files or sets):
        sets = [default]
    own = [prompt for file in files for prompt in _read_file(expanded(file))]
    published = [template for name in sets for template in prompt_set(name)]
    prompts = list(dict.fromkeys(in_chat([*given, *own, *published], asked.chat, asked.system)))
    if not prompts:
        raise ConfigurationError(
            'Nothing to complete: pass --prompt "The man worked as", --prompts FILE, or --prompt-set sheng2019.'
        )
    check_places(part for prompt in prompts for part in prompt_parts(prompt))
    return prompts


def check_names(prompts: Iterable[str | Conversation], group: DemographicGroup) -> None:
    """Refuse a group with a name that does not fit a prompt, before anything loads.

    Raises:
        ConfigurationError: As in `hf_equi.fairness.fill`.
    """
    for prompt, name in itertools.product(prompts, group.names):
        fill_prompt(prompt, name)


def _read_file(path: Path) -> list[str | Conversation]:
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigurationError(f"The prompts {path} cannot be read: {reason}.") from error
    numbered = [(number, line.removesuffix("\r")) for number, line in enumerate(lines, 1) if line.strip()]
    prompts = list(_read_json(path, numbered) if path.suffix.lower() in _JSON else (line for _, line in numbered))
    if not prompts:
        raise ConfigurationError(f"The file {path} holds no prompts: write one per line.")
    return prompts


def _read_json(path: Path, lines: Iterable[tuple[int, str]]) -> Iterator[str | Conversation]:
    for number, line in lines:
        place = f"Line {number} of {path}"
        try:
            content = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ConfigurationError(
                f"{place} is not JSON ({error}), but each line of a file with this ending must be: {_LINE}."
            ) from error
        try:
            yield _read_entry(content)
        except ConfigurationError as error:
            raise ConfigurationError(f"{place}: {error}") from error


def _read_entry(content: Any) -> str | Conversation:
    """Return a prompt or messages; anything else in the entry, such as a number, is ignored."""
    if isinstance(content, dict) and ("prompt" in content) != ("messages" in content):
        if "messages" in content:
            return Conversation.read(content["messages"])
        content = content["prompt"]
    if not isinstance(content, str):
        shown = textwrap.shorten(json.dumps(content), 60, placeholder=" ...")
        raise ConfigurationError(f"{shown} is neither a prompt nor messages: {_LINE}.")
    if not content.strip():
        raise ConfigurationError(f"the prompt is empty: {_LINE}.")
    if content.encode(errors="ignore").decode() != content:
        raise ConfigurationError(f"the prompt {content!r} contains half of a character: leave it out.")
    return content
