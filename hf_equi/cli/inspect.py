"""The command `hf-equi inspect`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from transformers import PreTrainedConfig

from hf_equi.actions import WordAction, token_action
from hf_equi.actions.reasons import KINDS
from hf_equi.actions.resolution import resolve_tokens
from hf_equi.actions.spellings import shown_pieces
from hf_equi.auto import find_tasks
from hf_equi.cli.coverage import GroupCoverage, SetCoverage, measure_coverage
from hf_equi.cli.display import MOVED, cell, terminal, write_json, write_line
from hf_equi.cli.groups import parse_group
from hf_equi.cli.loading import DEFAULT_GROUP, load_description, quiet
from hf_equi.cli.methods import DEFAULT_MULTI_TOKEN, check_multi_token, saved_multi_token
from hf_equi.cli.options import Origin
from hf_equi.errors import ConfigurationError
from hf_equi.fairness import fill
from hf_equi.fairness.limits import staying_names
from hf_equi.groups import DemographicGroup, Preset, preset_of
from hf_equi.groups.preset import preset_text
from hf_equi.groups.pronouns import pronoun_limit
from hf_equi.models.causal_lm import EquiLMConfig
from hf_equi.models.causal_lm.explanation import TokenExplanation, explain_tokens, explain_words
from hf_equi.models.configuration_equi import EquiConfig

__all__ = ["run_inspect"]

ARROW = " -> "
PROMPT = "The {demographic} worked as"
SHOWN = 6
"""The most prompts that are shown."""
LISTED = 12
"""The most words or sets of each list that are shown without `--all`."""


def run_inspect(
    model: str,
    group: str | None,
    texts: Sequence[str],
    as_json: bool,
    origin: Origin | None = None,
    whole: bool = False,
    multi_token: str | None = None,
) -> None:
    """Show what a group moves in the vocabulary of a model, or in texts.

    Args:
        model: As on the command line.
        group: As on the command line.
        texts: Texts to explain. If there are none, the vocabulary is shown.
        as_json: Whether to print JSON, which has all words and spellings.
        origin: Which version of the model to use.
        whole: Whether to list all words, with the tokens of every spelling.
        multi_token: Whether words of several tokens stay, `"skip"`, or move as one, `"compose"`; by default as
            the other commands read them.

    Raises:
        HfEquiError: If anything is wrong with these.
    """
    if texts and whole:
        raise ConfigurationError("--all lists words, and --text explains a text: leave one of them out.")
    check_multi_token(multi_token)
    chosen = None if group is None else parse_group(group)
    with quiet(notes=False):
        config, tokenizer = load_description(model, "inspect", origin)
        chosen = chosen or _own_group(config)
        wanted = multi_token or _usual_multi_token(config)
        token_map = resolve_tokens(chosen, tokenizer, config.get_text_config().vocab_size, wanted)
        action = token_action(chosen, token_map)
        if isinstance(config, EquiLMConfig) and config.action == "words":
            explanations = [explain_words(text, WordAction(chosen)) for text in texts]
        else:
            explanations = [explain_tokens(text, action, tokenizer) for text in texts]
        coverage = measure_coverage(action, tokenizer)
    if as_json:
        write_json(_document(model, chosen, coverage, explanations))
    elif explanations:
        for explanation in explanations:
            _print_explanation(explanation)
    else:
        console = terminal()
        _print_summary(_summary(chosen, coverage, whole), console)
        if whole:
            _print_spellings(coverage, console)
        _print_summary(_about(chosen, coverage, whole), console)


def _usual_multi_token(config: PreTrainedConfig) -> str:
    """Return what happens to words of several tokens in a saved model, or with `equitune` in one made from a base."""
    if isinstance(config, EquiConfig):
        return saved_multi_token(config)
    return DEFAULT_MULTI_TOKEN if "causal_lm" in {task.name for task in find_tasks(config)} else "skip"


def _own_group(config: PreTrainedConfig) -> DemographicGroup:
    if isinstance(config, EquiConfig) and config.has_group:
        own: DemographicGroup = config.read_group()
        return own
    return DemographicGroup.preset(DEFAULT_GROUP)


def _print_explanation(explanation: TokenExplanation) -> None:
    for line in str(explanation).split("\n"):
        write_line(line)


def _print_summary(lines: Iterable[str], console: Console | None) -> None:
    for line in lines:
        if console is None:
            write_line(line)
        else:
            console.print(line, markup=False, highlight=False, soft_wrap=True)


def _print_spellings(coverage: GroupCoverage, console: Console | None) -> None:
    """Print the tokens of every spelling: a table, or in a pipe a line for each."""
    if console is None:
        write_line("what", "set", "tokens")
        for one in coverage.sets:
            name = "/".join(one.words)
            for row in one.moves:
                write_line("moves as one" if row in one.composed else "moves", name, _chain(row))
            for form in one.stays:
                write_line("stays", name, _cut(form))
        return
    table = Table(box=box.SIMPLE_HEAD, expand=True, pad_edge=False)
    table.add_column("set", ratio=2)
    table.add_column("tokens that move", ratio=4)
    table.add_column("spellings that stay", ratio=4)
    for one in coverage.sets:
        moves = "\n".join(_chain(row) + (" (as one)" if row in one.composed else "") for row in one.moves)
        stays = "\n".join(map(_cut, one.stays))
        table.add_row(cell("/".join(one.words)), cell(moves, MOVED), cell(stays))
    console.print(table)


def _chain(tokens: tuple[str, ...]) -> str:
    return ARROW.join(map(repr, tokens))


def _cut(form: tuple[tuple[str, ...], ...]) -> str:
    """Return a form that stays: each word, with its pieces if it has several."""
    return ", ".join("+".join(map(repr, pieces)) for pieces in form)


def _summary(group: DemographicGroup, coverage: GroupCoverage, whole: bool) -> Iterator[str]:
    """Yield how many words move and why the others stay, and then some of both.

    Args:
        group: The group.
        coverage: What it moves.
        whole: Whether to name all words.
    """
    moving = [one for one in coverage.sets if not one.reasons]
    staying = [one for one in coverage.sets if one.reasons]
    words, moved = (sum(len(one.words) for one in sets) for sets in (coverage.sets, moving))
    name = preset_text((factor.sets, factor.leave_out) for factor in group.factors) or "the group"
    rest = f", and {words - moved} stay as they are:" if staying else "."
    yield f"{moved} of {words} words of {name} move with this tokenizer{rest}"
    reasons = Counter(reason.kind for one in staying for reason in one.reasons)
    yield from (f"  {reasons[kind]} {clause}" for kind, clause in KINDS.items() if kind in reasons)
    if coverage.general is not None:
        yield f"relaxed: {coverage.neutral} neutral tokens, {coverage.general} general ones"
    if coverage.unknown:
        yield f"neutral or general words that are not one token in any form: {_some(coverage.unknown, whole)}"
    if always := ["/".join(one.words) for one in moving if not one.others]:
        yield f"These move: {_some(always, whole)}"
    if some := [f"{'/'.join(one.words)}, but not {', '.join(one.others)}" for one in moving if one.others]:
        yield "These move too, except in some spellings:" if always else "These move, except in some spellings:"
        yield from _list(some, whole)
    if staying:
        yield "These stay as they are listed:"
        yield from _list(list(map(_staying, staying)), whole)
    if reasons["several"] and not coverage.composed:
        yield "--multi-token compose moves words of several tokens, too."
    if coverage.composed:
        yield "--multi-token skip shows what moves with methods that do not combine the scores of all members."
    if coverage.advice:
        yield coverage.advice
    composed = f" {coverage.composed} spellings of several tokens move as one." if coverage.composed else ""
    yield (
        f"Of the {coverage.vocab_size} tokens of the vocabulary, {coverage.moved} move: not one for each word, "
        f"because a word has several spellings, and words may share a piece.{composed}"
    )
    if not whole:
        yield "--all shows all words, the tokens of every spelling, and notes on the list."


def _staying(one: SetCoverage) -> str:
    moves = f"; moves as {', '.join(one.others)}" if one.others else ""
    return f"{'/'.join(one.words)}: {', '.join(map(shown_pieces, one.pieces))}{moves}"


def _some(words: Sequence[str], whole: bool) -> str:
    if whole or len(words) <= LISTED:
        return ", ".join(words)
    return f"{', '.join(words[:LISTED])} and {len(words) - LISTED} more"


def _list(lines: Sequence[str], whole: bool) -> Iterator[str]:
    shown = lines if whole or len(lines) <= LISTED else lines[:LISTED]
    yield from (f"  {line}" for line in shown)
    if len(shown) < len(lines):
        yield f"  and {len(lines) - LISTED} more"


def _about(group: DemographicGroup, coverage: GroupCoverage, whole: bool) -> Iterator[str]:
    """Yield what to know about the words, whatever the vocabulary."""
    yield _prompts(group)
    if (names := staying_names(group)) is not None:
        yield f"names: {names}"
    if (pronouns := pronoun_limit(group.forms(), coverage.missing, brief=not whole)) is not None:
        yield f"pronouns: {pronouns}"
    if left_out := ["/".join(row.words) for row in group.left_out()]:
        yield f"These spellings do not move, because the group leaves them out: {_some(left_out, whole)}"
    for preset in _presets(group):
        yield f"the words of the preset {preset.name} are from: {preset.source}"
        yield f"the preset {preset.name} does not cover: {' '.join(preset.not_covered)}"
        if whole:
            yield f"notes on the preset {preset.name}: {' '.join(preset.notes)}"
            unmoved = {word for row in group.left_out() for word in row.words}
            yield from (
                f"the preset {preset.name} leaves out {spelling!r}: {why}"
                for spelling, why in preset.leave_out.items()
                if spelling in unmoved  # older checkpoints have the words of the preset and leave nothing out
            )


def _prompts(group: DemographicGroup) -> str:
    """Return a line that says how the names of the group fill a prompt, or why they cannot."""
    try:
        filled = [fill(PROMPT, name) for name in group.names[:SHOWN]]
    except ConfigurationError as error:
        return f"These names do not fit a prompt. {error}"
    more = f" and {group.order - SHOWN} more" if group.order > SHOWN else ""
    return f"in a prompt: {', '.join(map(repr, filled))}{more}"


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
        "spellings_composed": coverage.composed,
        "words": sum(len(one.words) for one in coverage.sets),
        "words_moved": sum(len(one.words) for one in coverage.sets if not one.reasons),
        "sets": [asdict(one) for one in coverage.sets],
        "sets_missing": [list(words) for words in coverage.missing],
        "spellings_left_out": [list(row.words) for row in group.left_out()],
        "listed_words_missing": list(coverage.unknown),
        "neutral_tokens": coverage.neutral,
        "general_tokens": coverage.general,
        "presets": [asdict(preset) for preset in _presets(group)],
        "pronouns": pronoun_limit(group.forms(), coverage.missing),
        "texts": [asdict(explanation) for explanation in explanations],
    }
