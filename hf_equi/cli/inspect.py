"""The command `hf-equi inspect`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from transformers import PreTrainedConfig

from hf_equi.actions import TokenAction, WordAction
from hf_equi.actions.resolution import resolve_tokens
from hf_equi.cli.coverage import GroupCoverage, measure_coverage
from hf_equi.cli.display import MOVED, cell, terminal, write_json, write_line
from hf_equi.cli.groups import parse_group
from hf_equi.cli.loading import DEFAULT_GROUP, check_texts, load_description, quiet
from hf_equi.cli.options import Origin
from hf_equi.errors import ConfigurationError
from hf_equi.fairness import fill
from hf_equi.fairness.limits import staying_names
from hf_equi.groups import DemographicGroup, Preset, preset_of
from hf_equi.groups.pronouns import pronoun_limit
from hf_equi.models.causal_lm import EquizeroLMConfig
from hf_equi.models.causal_lm.explanation import TokenExplanation, explain_tokens, explain_words
from hf_equi.models.configuration_equi import EquiConfig

__all__ = ["run_inspect"]

ARROW = " -> "
PROMPT = "The {demographic} worked as"
SHOWN = 6
"""The most prompts that are shown."""


def run_inspect(
    model: str, group: str | None, texts: Sequence[str], as_json: bool, origin: Origin | None = None
) -> None:
    """Show what a group moves in the vocabulary of a model, or in texts.

    Args:
        model: As on the command line.
        group: As on the command line.
        texts: Texts to explain. If there are none, the vocabulary is shown.
        as_json: Whether to print JSON.
        origin: Which version of the model to use.

    Raises:
        HfEquiError: If anything is wrong with these.
    """
    check_texts("--text", texts)
    if not all(text.strip() for text in texts):
        raise ConfigurationError('A --text is empty: write some, such as "The waitress said he would be back".')
    chosen = None if group is None else parse_group(group)
    with quiet(notes=False):
        config, tokenizer = load_description(model, "inspect", origin)
        chosen = chosen or _own_group(config)
        token_map = resolve_tokens(chosen, tokenizer, config.get_text_config().vocab_size, multi_token="skip")
        action = TokenAction(chosen, token_map)
        if isinstance(config, EquizeroLMConfig) and config.action == "words":
            explanations = [explain_words(text, WordAction(chosen)) for text in texts]
        else:
            explanations = [explain_tokens(text, action, tokenizer) for text in texts]
        coverage = measure_coverage(action, tokenizer)
    if as_json:
        write_json(_document(model, chosen, coverage, explanations))
    elif explanations:
        for explanation in explanations:
            _print_explanation(explanation)
    elif (console := terminal()) is not None:
        _print_table(console, coverage, _about(chosen, coverage))
    else:
        _print_lines(coverage, _about(chosen, coverage))


def _own_group(config: PreTrainedConfig) -> DemographicGroup:
    if isinstance(config, EquiConfig) and config.has_group:
        own: DemographicGroup = config.read_group()
        return own
    return DemographicGroup.preset(DEFAULT_GROUP)


def _print_explanation(explanation: TokenExplanation) -> None:
    for line in str(explanation).split("\n"):
        write_line(line)


def _print_table(console: Console, coverage: GroupCoverage, about: Sequence[str]) -> None:
    table = Table(box=box.SIMPLE_HEAD, expand=True, pad_edge=False)
    table.add_column("set", ratio=2)
    table.add_column("tokens that move", ratio=4)
    table.add_column("forms that stay", ratio=4)
    for one in coverage.sets:
        if one.moves:
            moves, stays = "\n".join(map(_chain, one.moves)), "\n".join(map(_cut, one.stays))
            table.add_row(cell("/".join(one.words)), cell(moves, MOVED), cell(stays))
    console.print(table)
    for line in [*_summary(coverage), *about]:
        console.print(line, markup=False, highlight=False)


def _print_lines(coverage: GroupCoverage, about: Sequence[str]) -> None:
    for one in coverage.sets:
        name = "/".join(one.words)
        for row in one.moves:
            write_line("moves", name, _chain(row))
        for form in one.stays if one.moves else ():
            write_line("stays", name, _cut(form))
    for words in coverage.missing:
        write_line("missing", "/".join(words))
    for line in [*_summary(coverage), *about]:
        write_line(line)


def _chain(tokens: tuple[str, ...]) -> str:
    return ARROW.join(map(repr, tokens))


def _cut(form: tuple[tuple[str, ...], ...]) -> str:
    """Return a form that stays: each word, with its pieces if it has several."""
    return ", ".join("+".join(map(repr, pieces)) for pieces in form)


def _summary(coverage: GroupCoverage) -> list[str]:
    found = len(coverage.sets) - len(coverage.missing)
    lines = [
        f"{coverage.moved} of {coverage.vocab_size} tokens move, and {found} of {len(coverage.sets)} sets as written"
    ]
    if coverage.missing:
        names = ", ".join("/".join(words) for words in coverage.missing)
        lines.append(f"sets that do not move as they are written: {names}")
    if coverage.unknown:
        lines.append(f"neutral or general words that are not one token in any form: {', '.join(coverage.unknown)}")
    if coverage.general is not None:
        lines.append(f"relaxed: {coverage.neutral} neutral tokens, {coverage.general} general ones")
    return lines


def _about(group: DemographicGroup, coverage: GroupCoverage) -> list[str]:
    """Return what to know about the words, whatever the vocabulary."""
    lines = [f"in a prompt: {_prompts(group)}"]
    if (names := staying_names(group)) is not None:
        lines.append(f"names: {names}")
    if (pronouns := pronoun_limit(group.forms(), coverage.missing)) is not None:
        lines.append(f"pronouns: {pronouns}")
    for preset in _presets(group):
        lines.append(f"the words of the preset {preset.name} are from: {preset.source}")
        lines.append(f"the preset {preset.name} does not cover: {' '.join(preset.not_covered)}")
        lines.append(f"notes on the preset {preset.name}: {' '.join(preset.notes)}")
    return lines


def _prompts(group: DemographicGroup) -> str:
    """Return how the names of the group fill a prompt, or why they cannot."""
    try:
        filled = [fill(PROMPT, name) for name in group.names[:SHOWN]]
    except ConfigurationError as error:
        return f"none: {error}"
    more = f" and {group.order - SHOWN} more" if group.order > SHOWN else ""
    return ", ".join(map(repr, filled)) + more


def _presets(group: DemographicGroup) -> list[Preset]:
    found = [preset_of(factor.sets) for factor in group.factors]
    return [preset for preset in found if preset is not None]


def _document(
    model: str, group: DemographicGroup, coverage: GroupCoverage, explanations: Sequence[TokenExplanation]
) -> dict[str, Any]:
    return {
        "model": model,
        "group": {"elements": list(group.names), **group.to_dict()},
        "vocab_size": coverage.vocab_size,
        "tokens_moved": coverage.moved,
        "sets": [asdict(one) for one in coverage.sets],
        "sets_missing": [list(words) for words in coverage.missing],
        "listed_words_missing": list(coverage.unknown),
        "neutral_tokens": coverage.neutral,
        "general_tokens": coverage.general,
        "presets": [asdict(preset) for preset in _presets(group)],
        "pronouns": pronoun_limit(group.forms(), coverage.missing),
        "texts": [asdict(explanation) for explanation in explanations],
    }
