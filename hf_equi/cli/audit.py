"""The command `hf-equi audit`."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import typer
from accelerate import PartialState
from accelerate.utils import gather_object
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text
from transformers import PreTrainedModel

from hf_equi.auto import symmetrize
from hf_equi.checks import check_choice
from hf_equi.cli.coverage import staying_words
from hf_equi.cli.decoding import check_memory
from hf_equi.cli.display import note, terminal, write_json, write_line
from hf_equi.cli.loading import DEFAULT_GROUP, check_texts, expanded, load_lm, parse_group, quiet, read_scorer
from hf_equi.cli.methods import METHODS, audited_name
from hf_equi.errors import ConfigurationError, GroupError, GroupWarning, HfEquiError
from hf_equi.fairness import fill, prompt_set
from hf_equi.fairness.auditing import Audit, AuditResult, Sampling
from hf_equi.fairness.auditing.run import SAMPLES, process_state
from hf_equi.fairness.auditing.subjects import unrelaxed
from hf_equi.fairness.prompts import PLACE
from hf_equi.figures import FIGURES, MISSING, plain_number, short_number
from hf_equi.generation.scorers import RegardScorer
from hf_equi.generation.search_checks import ACTIONS
from hf_equi.groups import DemographicGroup
from hf_equi.groups.demographic import occupations
from hf_equi.models.causal_lm import EquiLM

__all__ = ["Search", "run_audit"]

DEFAULT_PROMPTS = "sheng2019"
ROWS = (
    "mean_regard",
    "parity_gap",
    "masked_parity_gap",
    "control_parity_gap",
    "group_gap",
    "group_gap_mean",
    "consistency",
    "perplexity",
)
"""The figures of the table in a terminal; the parity gaps stand beside their noise floor."""


@dataclass(frozen=True)
class Search:
    """How EquizeroLM searches.

    Args:
        scorer: A classifier's name or folder, or "demo".
        beam_length: Tokens of each draft.
        action: What the group acts on, tokens or words.
    """

    scorer: str = "demo"
    beam_length: int = 5
    action: str = "tokens"


def run_audit(
    model: str,
    group: str | None,
    prompts: tuple[Sequence[str], Sequence[str]],
    methods: tuple[str, Path | None],
    search: Search,
    sampling: Sampling,
    output: tuple[Path | None, bool],
) -> None:
    """Audit a model and what the methods make of it, and print the figures.

    Args:
        model: As on the command line.
        group: As on the command line.
        prompts: Single templates, and names of prompt sets.
        methods: The methods, with commas between them, and the file of neutral words.
        search: How EquizeroLM searches.
        sampling: How texts are drawn.
        output: The folder of the audit, and whether to print JSON.

    Raises:
        HfEquiError: For whatever is wrong with these.
    """
    state = process_state()
    out, as_json = output
    with _one_voice(state), quiet(notes=state.is_main_process):
        names, templates = _read_methods(methods[0]), _collect(*prompts)
        chosen = None if group is None else parse_group(group)
        neutral = None if methods[1] is None else _read_words(methods[1])
        scorer = read_scorer(search.scorer)
        on_tokens = any(map(partial(_acts_on_tokens, search), names))
        lm = _load(model, chosen, on_tokens or search.action == "tokens", scorer)
        base, tokenizer, chosen = lm.base, lm.tokenizer, lm.group
        if torch.cuda.is_available():  # other accelerators lack the float64 of the noise
            base.to(state.device)
            scorer.model.to(state.device)
        longest = max(len(ids) for ids in tokenizer(templates)["input_ids"]) + sampling.max_new_tokens
        check_memory(lm, "-n", sampling.samples, longest, len(names) * len(templates) * chosen.order)
        models = _build(names, base, tokenizer, (unrelaxed(chosen), _relax(chosen, neutral)), search, scorer)
        folder = expanded(out or f"audit-{_slug(group or DEFAULT_GROUP)}-{sampling.seed}")
        audit = Audit(models, tokenizer, chosen, templates, scorer, sampling, out=folder)
    if state.is_main_process and on_tokens:
        for line in staying_words(_filled(templates, chosen), lm.action, tokenizer):
            note(line)
    try:
        said = warnings.catch_warnings(action="ignore", category=GroupWarning)  # of each prompt, above
        with quiet(notes=state.is_main_process), said:
            result = audit.run()
    except KeyboardInterrupt:
        if state.is_main_process:
            note(f"stopped; {folder} holds what is done, and the same command continues from there")
        raise
    if state.is_main_process:
        _print(result, as_json)
    if state.num_processes > 1:
        # A process that ends while another still talks to it would take it down.
        state.wait_for_everyone()
        state.destroy_process_group()


def _acts_on_tokens(search: Search, name: str) -> bool:
    audited = METHODS[name]
    return audited.method is not None and (search.action == "tokens" or not audited.searches)


def _load(model: str, group: DemographicGroup | None, needs_tokens: bool, scorer: RegardScorer) -> EquiLM:
    if not needs_tokens:  # words of several tokens move as well, and none of them stays
        warnings.simplefilter("ignore", GroupWarning)
    return load_lm(model, group, None, None, command="audit", needs_tokens=needs_tokens, scorer=scorer)


@contextmanager
def _one_voice(state: PartialState) -> Iterator[None]:
    """Processes tell each other what fault they found in the arguments, which is mostly the same, and one says it."""
    fault: Exception | None = None
    try:
        yield
    except (HfEquiError, OSError) as error:
        fault = error
    found = [message for message in gather_object([None if fault is None else str(fault)]) if message is not None]
    if found and not state.is_main_process:
        # The launcher ends all processes with the first that fails: let that be the one that speaks.
        with suppress(RuntimeError):
            state.wait_for_everyone()
        raise typer.Exit(2)
    if found:
        raise fault or ConfigurationError(found[0])


def _read_methods(text: str) -> list[str]:
    names = list(dict.fromkeys(audited_name(name.strip()) for name in text.split(",") if name.strip()))
    for name in names:
        check_choice("--methods", name, METHODS)
    if not names:
        raise ConfigurationError(
            f"--methods {text!r} names nothing: name one or more of {', '.join(METHODS)}, with commas between them."
        )
    return names


def _collect(prompts: Sequence[str], sets: Sequence[str]) -> list[str]:
    """All templates, in order, each once."""
    check_texts("--prompt", prompts)
    sets = sets if sets or prompts else [DEFAULT_PROMPTS]
    return list(dict.fromkeys([*prompts, *(template for name in sets for template in prompt_set(name))]))


def _filled(templates: Sequence[str], group: DemographicGroup) -> list[list[str]]:
    """Each template, and the prompts that it gives."""
    return [[text, *(fill(text, name) for name in group.names if PLACE in text)] for text in templates]


def _read_words(path: Path) -> list[str]:
    path = expanded(path)
    try:
        words = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise GroupError(f"The neutral words {path} cannot be read: {reason}.") from error
    words = [word for word in words if word]
    if not words:
        raise GroupError(f"The file {path} holds no words: write the neutral words, one a line.")
    return words


def _relax(group: DemographicGroup, neutral: list[str] | None) -> DemographicGroup:
    """The group of the R- methods: with the words given, its own lists, or the occupations."""
    if neutral is None and group.relaxed:
        return group
    return group.relax(neutral=occupations() if neutral is None else neutral)


def _build(
    names: Sequence[str],
    base: PreTrainedModel,
    tokenizer: Any,
    groups: tuple[DemographicGroup, DemographicGroup],  # the second one is relaxed
    search: Search,
    scorer: Any,
) -> dict[str, PreTrainedModel]:
    """The models by name, all around one base."""
    check_choice("--action", search.action, ACTIONS)
    how: dict[str, Any] = {"scorer": scorer, "beam_length": search.beam_length}
    if search.action == "words":
        how["action"] = "words"
    models: dict[str, PreTrainedModel] = {}
    for name in names:
        audited = METHODS[name]
        if audited.method is None:
            models[name] = base
            continue
        group, settings = groups[audited.relaxed], how if audited.searches else {}
        models[name] = symmetrize(base, group, audited.method, tokenizer=tokenizer, multi_token="skip", **settings)
    return models


def _slug(group: str) -> str:
    """A group as part of a folder's name."""
    stem = Path(group).stem if group.endswith(".json") else group
    return re.sub(r"[^\w.-]+", "-", stem).strip("-") or "group"


def _print(result: AuditResult, as_json: bool) -> None:
    if result.drawn:
        rate = result.drawn / result.seconds
        note(f"{result.drawn} texts drawn and scored in {result.seconds:.1f} s by this process, {rate:.1f} a second")
    if as_json:
        write_json(result.summary)
    elif (console := terminal()) is not None:
        _print_table(console, result)
    else:
        _print_lines(result)
    if not result.summary["models"]:
        note(f"no prompt has the place {PLACE}, so there is nothing to compare: the texts are in {SAMPLES}")
    if as_json and result.report is not None:
        note(f"the report is at {result.report}")


def _print_table(console: Console, result: AuditResult) -> None:
    models = result.summary["models"]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    for entry in models:
        table.add_column(entry["model"], justify="right", min_width=len(entry["model"]))
    table.add_row("verdict", *(Text(entry["verdict"]["grade"], style="bold") for entry in models))
    for key in ROWS:
        table.add_row(FIGURES[key].terminal_title, *(_cell(entry, key) for entry in models))
        if key.endswith("parity_gap") and not key.startswith("control"):
            table.add_row(
                Text("  p-value", style="dim"), *(plain_number(entry.get(f"{key}_p_value")) for entry in models)
            )
    console.print(table)
    confidence = f"{100 * result.summary['confidence']:g} %"
    lines = [f"{len(result.samples)} texts; in brackets {confidence} intervals"]
    if result.report is not None:
        lines.append(f"report: {result.report}")
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _cell(entry: Mapping[str, Any], key: str) -> Text:
    interval = entry.get(f"{key}_interval")
    bounds = "" if interval is None else f"\n[{short_number(interval[0])}, {short_number(interval[1])}]"
    return Text.assemble(plain_number(entry.get(key)), (bounds, "dim"))


def _print_lines(result: AuditResult) -> None:
    write_line("model", "figure", "value", "low", "high")
    for entry in result.summary["models"]:
        write_line(entry["model"], "verdict", entry["verdict"]["grade"], MISSING, MISSING)
        for key, value in entry.items():
            if f"{key}_interval" in entry and not isinstance(value, Mapping):
                low, high = entry[f"{key}_interval"] or (None, None)
                write_line(entry["model"], key, plain_number(value), plain_number(low), plain_number(high))
            elif key.endswith("_p_value"):
                write_line(entry["model"], key, plain_number(value), MISSING, MISSING)
    if result.report is not None:
        write_line("report", str(result.report))
