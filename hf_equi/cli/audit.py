"""The command `hf-equi audit`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text
from transformers import PreTrainedModel

from hf_equi.auto import symmetrize
from hf_equi.bases.offloading import input_device
from hf_equi.checks import check_choice
from hf_equi.cli.arguments import expanded
from hf_equi.cli.display import check_output, note, terminal, write_csv, write_json, write_line
from hf_equi.cli.groups import group_slug, parse_group
from hf_equi.cli.loading import DEFAULT_GROUP, load_lm, quiet, read_scorer
from hf_equi.cli.methods import (
    METHODS,
    How,
    audited_name,
    check_multi_token,
    check_trained,
    plain_method,
    units_of,
)
from hf_equi.cli.options import Asked, Loading, Output
from hf_equi.cli.processes import of_process, one_voice
from hf_equi.cli.prompts import check_names, collect_prompts
from hf_equi.errors import ConfigurationError, GroupError, GroupWarning
from hf_equi.fairness.auditing import Audit, AuditResult, Sampling
from hf_equi.fairness.auditing.run import SAMPLES, process_state
from hf_equi.fairness.auditing.scoring import name_scorers
from hf_equi.fairness.auditing.subjects import Subject
from hf_equi.fairness.briefing import TOY, written_size
from hf_equi.fairness.chat import encode_prompt, has_place
from hf_equi.fairness.decoding import check_memory
from hf_equi.fairness.limits import read_words, staying_names, staying_words
from hf_equi.fairness.prompts import PLACE
from hf_equi.fairness.scales import MASKED, named_figures, read_scales
from hf_equi.figures import plain_number, short_number
from hf_equi.generation.classifiers import DEMO, ClassifierScorer
from hf_equi.generation.search_checks import ACTIONS
from hf_equi.groups import DemographicGroup
from hf_equi.groups.preset import occupations
from hf_equi.models.causal_lm import EquiLM
from hf_equi.models.causal_lm.methods import combines
from hf_equi.symmetrizers.select import IdentityMember

__all__ = ["Audited", "Search", "run_audit"]

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
"""The figures of the table in a terminal. Each parity gap is shown beside its noise floor."""


@dataclass(frozen=True)
class Search:
    """How EquizeroLM searches, and what it and other methods that map texts back act on.

    Args:
        scorers: Names or folders of classifiers, or "demo", each with or without a label. The search minimises the
            first.
        beam_length: Tokens of each draft.
        action: What the group acts on, tokens or words.
    """

    scorers: tuple[str, ...] = ("demo",)
    beam_length: int = 5
    action: str = "tokens"


@dataclass(frozen=True)
class Audited:
    """The subject of the audit, as on the command line.

    Args:
        model: The model.
        group: The group.
        methods: The methods, separated by commas.
        neutral: The file of neutral words.
        search: How EquizeroLM searches.
        multi_token: Whether words of several tokens stay, `"skip"`, or move as one, `"compose"`.
    """

    model: str
    group: str | None
    methods: str
    neutral: Path | None
    search: Search
    multi_token: str | None = None


def run_audit(
    audited: Audited, asked: Asked, sampling: Sampling, options: Loading, out: Path | None, output: Output
) -> None:
    """Audit a model and its symmetrised versions, and print the figures.

    Args:
        audited: The model, the group and the methods.
        asked: The templates, as on the command line.
        sampling: How texts are drawn.
        options: How the model is loaded, as on the command line.
        out: The folder of the audit.
        output: What is printed.

    Raises:
        HfEquiError: If anything is wrong with these.
    """
    state, search = process_state(), audited.search
    with one_voice(state), quiet(notes=state.is_main_process):
        check_output(output)
        names, templates = _read_methods(audited), collect_prompts(asked, DEFAULT_PROMPTS)
        chosen = None if audited.group is None else parse_group(audited.group)
        if chosen is not None:  # before anything loads, because a name may not fit
            check_names(templates, chosen)
        if state.is_main_process and not any(map(has_place, templates)):  # before hours of drawing
            note(f"no prompt has the placeholder {PLACE}, so nothing is compared: the texts are kept in {SAMPLES}")
        neutral = None if audited.neutral is None else _read_words(audited.neutral)
        scorers = list(map(read_scorer, dict.fromkeys(search.scorers)))
        name_scorers(scorers)
        on_tokens = any(map(partial(_acts_on_tokens, search), names))
        needs_tokens = on_tokens or search.action == "tokens"
        lm = _load(audited, chosen, needs_tokens, scorers[0], of_process(options, state))
        base, tokenizer, chosen = lm.base, lm.tokenizer, lm.group
        for scorer in scorers:
            scorer.model.to(input_device(base))  # type: ignore[arg-type]  # which transformers hides behind a wrapper
        longest = max(len(encode_prompt(tokenizer, one).tokens) for one in templates) + sampling.max_new_tokens
        check_memory(lm, "-n", sampling.samples, longest, len(names) * len(templates) * chosen.order)
        models = _build(names, lm, (chosen.unrelax(), _relax(chosen, neutral)), audited, scorers[0])
        folder = expanded(out or f"audit-{group_slug(audited.group or DEFAULT_GROUP)}-{sampling.seed}")
        audit = Audit(models, tokenizer, chosen, templates, scorers, sampling, out=folder)
    if state.is_main_process and out is None:
        note(f"the results go to {folder}; --out names another folder")
    if state.is_main_process and names != ["base"]:
        _note_limits(audit, on_tokens)
    try:
        said = warnings.catch_warnings(action="ignore", category=GroupWarning)  # said above, for each prompt
        with quiet(notes=state.is_main_process), said:
            result = audit.run(say=note if state.is_main_process else lambda line: None)
    except KeyboardInterrupt:
        if state.is_main_process:
            note(f"stopped; the finished work is in {folder}, and the same command continues from there")
        raise
    if state.is_main_process:
        _print(result, output)
    if state.num_processes > 1:
        # If a process ended while another still talks to it, the other would fail.
        state.wait_for_everyone()
        state.destroy_process_group()


def _acts_on_tokens(search: Search, name: str) -> bool:
    audited = METHODS[name]
    return audited.method is not None and not (search.action == "words" and _maps_back(audited.method))


def _maps_back(method: str) -> bool:
    return plain_method("causal_lm", method).maps_texts_back


def _load(
    audited: Audited,
    group: DemographicGroup | None,
    needs_tokens: bool,
    scorer: ClassifierScorer,
    options: Loading,
) -> EquiLM:
    if not needs_tokens:  # words of several tokens move too, so no word stays
        warnings.simplefilter("ignore", GroupWarning)
    composes = any(map(_moves_units, _read_methods(audited)))  # if none does, all stay
    how = How(multi_token=audited.multi_token if composes else "skip")
    return load_lm(
        audited.model, group, how, command="audit", needs_tokens=needs_tokens, scorer=scorer, options=options
    )


def _read_methods(audited: Audited) -> list[str]:
    text = audited.methods
    check_multi_token(audited.multi_token)
    names = list(dict.fromkeys(audited_name(name.strip()) for name in text.split(",") if name.strip()))
    for name in names:
        check_choice("--methods", name, METHODS)
        if (method := METHODS[name].method) is not None:
            check_trained("causal_lm", method)
    if not names:
        raise ConfigurationError(
            f"--methods {text!r} names no method: name one or more of {', '.join(METHODS)}, separated by commas."
        )
    if audited.multi_token == "compose" and not any(map(_moves_units, names)):
        able = ", ".join(filter(_moves_units, METHODS))
        raise ConfigurationError(
            f"--multi-token compose has no effect on {', '.join(names)}: add one of {able} to --methods, or leave it "
            "out."
        )
    return names


def _moves_units(name: str) -> bool:
    """Whether words of several tokens can move as one in what is audited."""
    method = METHODS[name].method
    return method is not None and combines(plain_method("causal_lm", method))


def _note_limits(audit: Audit, on_tokens: bool) -> None:
    """Say for which prompts nothing is guaranteed."""
    if any(not block.neutral for block in audit.blocks) and (line := staying_names(audit.group)) is not None:
        note(line)
    if not on_tokens:
        return
    action = audit.subjects[0].action  # the same for all, but for their lists
    prompts = [[block.template, *block.read] for block in audit.blocks]
    for line in (*staying_words(prompts, action, audit.tokenizer), *read_words(prompts, action, audit.tokenizer)):
        note(line)
    apart = [one.name for one in audit.subjects if _stays_apart(one)]
    if apart:
        note(
            f"{', '.join(apart)}: words of several tokens stay where they are, but the figures exchange them. "
            "--action words moves them with methods that map texts back"
        )


def _stays_apart(subject: Subject) -> bool:
    """Whether the figures exchange words that the model does not."""
    moves_nothing = isinstance(subject.lm.method.select, IdentityMember)
    return subject.action.composes and not (subject.lm.action.composes or moves_nothing or subject.words)


def _read_words(path: Path) -> list[str]:
    path = expanded(path)
    try:
        words = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise GroupError(f"The neutral words {path} cannot be read: {reason}.") from error
    words = [word for word in words if word]
    if not words:
        raise GroupError(f"The file {path} holds no words: write the neutral words, one per line.")
    return words


def _relax(group: DemographicGroup, neutral: list[str] | None) -> DemographicGroup:
    """Return the group of the R- methods, with the given words, its own lists, or the occupations."""
    if neutral is None and group.relaxed:
        return group
    return group.relax(neutral=occupations() if neutral is None else neutral)


def _build(
    names: Sequence[str],
    lm: EquiLM,
    groups: tuple[DemographicGroup, DemographicGroup],  # the second is relaxed
    asked: Audited,
    scorer: Any,
) -> dict[str, PreTrainedModel]:
    """Return the models by name, all around the base of one."""
    search, base = asked.search, lm.base
    check_choice("--action", search.action, ACTIONS)
    how: dict[str, Any] = {"scorer": scorer, "beam_length": search.beam_length}
    models: dict[str, PreTrainedModel] = {}
    for name in names:
        audited = METHODS[name]
        if audited.method is None:
            models[name] = base
            continue
        group = groups[audited.relaxed]
        settings = (how if audited.searches else {}) | units_of(audited.method, asked.multi_token, lm.config)
        settings |= {"action": search.action} if _maps_back(audited.method) else {}
        with warnings.catch_warnings():
            if lm.config.multi_token == "compose" != settings["multi_token"]:  # another note says what stays
                warnings.simplefilter("ignore", GroupWarning)
            models[name] = symmetrize(base, group, audited.method, tokenizer=lm.tokenizer, **settings)
    return models


def _print(result: AuditResult, output: Output) -> None:
    if result.drawn:
        rate = result.drawn / result.seconds
        note(f"{result.drawn} texts drawn and scored in {result.seconds:.1f} s by this process, {rate:.1f} a second")
    if any(model["source"] == DEMO for model in result.summary["about"]["models"].values()):
        note("the model demo was finetuned on texts that GPT-2 wrote to the ten prompts of --prompt-set sheng2019")
    for scorer in result.summary["about"]["scorers"].values():
        if scorer["toy"]:
            size = written_size(scorer["parameters"])
            note(f"the classifier {scorer['source']} has {size}. {TOY} Name a larger one with --scorer")
    if output.as_json:
        write_json(result.summary)
    elif output.as_csv:
        write_csv(("model", "figure", "value", "low", "high"), _table(result))
    elif (console := terminal()) is not None:
        _print_table(console, result)
    else:
        _print_lines(result)
    if (output.as_json or output.as_csv) and result.report is not None:
        note(f"the report is at {result.report}")


def _print_table(console: Console, result: AuditResult) -> None:
    models = result.summary["models"]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    for entry in models:
        table.add_column(entry["model"], justify="right", min_width=len(entry["model"]))
    table.add_row("verdict", *(Text(entry["verdict"]["grade"], style="bold") for entry in models))
    for named in named_figures(ROWS, read_scales(result.samples.column_names)):
        key = named.key
        table.add_row(named.terminal_title, *(_cell(entry, key) for entry in models))
        if key.rpartition(":")[2].removeprefix(MASKED) == "parity_gap":
            table.add_row(
                Text("  p-value", style="dim"), *(plain_number(entry.get(f"{key}_p_value")) for entry in models)
            )
    console.print(table)
    confidence = f"{100 * result.summary['confidence']:g} %"
    lines = [f"{len(result.samples)} texts; in brackets {confidence} intervals"]
    if any(entry.get("group_gap") is not None for entry in models):
        lines[0] += "; that of the group gap, the largest of these texts, cannot exceed it"
    if result.report is not None:
        lines.append(f"report: {result.report}")
    for line in [*result.summary["briefing"], *lines]:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _cell(entry: Mapping[str, Any], key: str) -> Text:
    interval = entry.get(f"{key}_interval")
    bounds = "" if interval is None else f"\n[{short_number(interval[0])}, {short_number(interval[1])}]"
    return Text.assemble(plain_number(entry.get(key)), (bounds, "dim"))


_Row = tuple[str, str, Any, float | None, float | None]


def _table(result: AuditResult) -> Iterator[_Row]:
    """Yield one row per figure: the model, the figure, its value, and the ends of its interval."""
    for entry in result.summary["models"]:
        yield entry["model"], "verdict", entry["verdict"]["grade"], None, None
        for key, value in entry.items():
            if f"{key}_interval" in entry and not isinstance(value, Mapping):
                low, high = entry[f"{key}_interval"] or (None, None)
                yield entry["model"], key, value, low, high
            elif key.endswith("_p_value"):
                yield entry["model"], key, value, None, None


def _print_lines(result: AuditResult) -> None:
    write_line("model", "figure", "value", "low", "high")
    for model, name, value, *ends in _table(result):
        write_line(model, name, value if isinstance(value, str) else plain_number(value), *map(plain_number, ends))
    if result.report is not None:
        write_line("report", str(result.report))
