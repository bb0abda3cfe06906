"""The command `hf-equi generate`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text
from transformers import PreTrainedConfig

from hf_equi.bases.offloading import input_device
from hf_equi.cli.completers import find_completer
from hf_equi.cli.display import (
    MOVED,
    check_output,
    note,
    progress,
    styled,
    terminal,
    write_csv,
    write_json,
    write_line,
)
from hf_equi.cli.groups import parse_group
from hf_equi.cli.loading import quiet
from hf_equi.cli.methods import How, check_composes, check_multi_token, plain_method
from hf_equi.cli.options import Asked, Loading, Output
from hf_equi.cli.prompts import check_names, collect_prompts
from hf_equi.display import Pieces, plain
from hf_equi.errors import ConfigurationError, GroupWarning
from hf_equi.fairness.chat import Conversation, fill_prompt, prompt_text
from hf_equi.fairness.completions import Comparison, Member, PromptOrbit, refused_words, title
from hf_equi.fairness.decoding import Decoding
from hf_equi.fairness.limits import limits
from hf_equi.fairness.prompts import warn_of_braces
from hf_equi.fairness.work import Estimate
from hf_equi.models.causal_lm import EquiLM, EquiLMConfig
from hf_equi.registration import read_settings

__all__ = ["Subject", "run_generate"]

INTRACTABLE = "– (a search has no tractable likelihood; hf-equi audit measures its consistency)"
GAP = (
    "How much the likelihood of a text changes if the words are exchanged (0 = not at all), in nats a token, largest "
    "and mean over {} texts for each model:"
)


@dataclass(frozen=True)
class Subject:
    """The model that completes the prompts, as on the command line.

    Args:
        model: The model.
        group: The group.
        method: The method.
        average: What the method averages.
        scorer: The classifier that `equizero` minimises.
        multi_token: Whether words of several tokens stay, `"skip"`, or move as one, `"compose"`.
    """

    model: str
    group: str | None = None
    method: str | None = None
    average: str | None = None
    scorer: str | None = None
    multi_token: str | None = None


def run_generate(subject: Subject, asked: Asked, decoding: Decoding, options: Loading, output: Output) -> None:
    """Complete prompts and print them.

    Args:
        subject: The model, and how it is symmetrised.
        asked: The prompts, as on the command line.
        decoding: How to decode.
        options: How the model is loaded, as on the command line.
        output: What to print.

    Raises:
        HfEquiError: If anything is wrong with these.
    """
    check_output(output)
    check_multi_token(subject.multi_token)
    chosen = None if subject.group is None else parse_group(subject.group)
    prompts = collect_prompts(asked)
    if chosen is not None:  # before anything loads, because a name may not fit
        check_names(prompts, chosen)
    completer = find_completer(subject.model, options)
    _check_average(completer.task, subject.method, subject.average)  # checked again for a model's own method
    with quiet(), progress() as bar:
        task = bar.add_task("loading", total=None)
        check = partial(_check_method, completer.task, subject, decoding)
        how = How(subject.method, subject.average, subject.multi_token)
        lm = completer.load(subject.model, chosen, how, subject.scorer, check, options)
        warn_of_braces(map(prompt_text, prompts))
        prompts = [fill_prompt(prompt, lm.group.names[0]) for prompt in prompts]
        whole = completer.work(lm, prompts, decoding)
        bar.reset(task, description="decoding", total=whole.rows)
        report = _Watch(Estimate(whole, note), partial(bar.advance, task))
        with warnings.catch_warnings(action="ignore", category=GroupWarning):  # reported for each prompt instead
            comparison = completer.compare(lm, prompts, decoding, report)
    for line in limits(lm, comparison, completer.source(lm)):
        note(line)
    if output.as_json:
        write_json(_document(subject.model, lm, decoding, comparison, prompts))
    elif output.as_csv:
        write_csv(_HEADER, _table(lm, comparison))
    elif (console := terminal()) is not None:
        _print_table(console, lm, comparison)
    else:
        _print_lines(lm, comparison)


class _Watch:
    """Shows the progress, and has an estimate made at the end of the first batch."""

    def __init__(self, estimate: Estimate, advance: Callable[[float], object]) -> None:
        self.estimate, self.advance, self.rows = estimate, advance, 0.0

    def __call__(self, rows: float, ends: bool) -> None:
        self.advance(rows)
        self.rows += rows
        if ends:
            self.estimate.measure(self.rows)


def _check_average(task: str, method: str | None, average: str | None, called: str = "--method") -> None:
    """Refuse an average if the texts do not depend on it."""
    if method is None or average is None:
        return
    if not read_settings(task, method, ["average"]) or plain_method(task, method).searches:
        raise ConfigurationError(f"--average has no effect with {called} {method}: leave it out.")


def _check_method(task: str, subject: Subject, decoding: Decoding, config: PreTrainedConfig, method: str) -> None:
    """Refuse settings that have no effect on the method of the model, or that the method does not support."""
    called = "the method" if subject.method is None else "--method"
    _check_average(task, method, subject.average, called)
    wanted = plain_method(task, method)
    if isinstance(config, EquiLMConfig) and config.action == "words" and wanted.maps_texts_back:
        raise ConfigurationError(refused_words())
    if task == "causal_lm":
        check_composes(subject.multi_token, method, called)
    if not wanted.searches:
        if subject.scorer is not None:
            raise ConfigurationError(
                f"--scorer has no effect with {called} {method}, because only equizero minimises a scorer: leave it "
                "out, or pass --method equizero."
            )
        return
    if decoding.beams:
        raise ConfigurationError("--beams has no effect with equizero, which has its own search: leave it out.")


def _print_table(console: Console, lm: EquiLM, comparison: Comparison) -> None:
    table = Table(box=box.SIMPLE_HEAD, expand=True, pad_edge=False)
    table.add_column("prompt", ratio=2)
    table.add_column("base model", ratio=3)
    table.add_column(title(lm), ratio=3)
    for orbit in comparison.orbits:
        for sample in range(len(orbit.members[0].base)):
            for member in orbit.members:
                table.add_row(*map(_cell, (member.prompt, member.base[sample], member.equi[sample])))
            table.add_section()
    console.print(table)
    console.print("highlighted: words that the group moves", style=MOVED)
    console.print(GAP.format(comparison.texts), markup=False, highlight=False)
    for name, gap in (("base model", comparison.base_gap), (title(lm), comparison.equi_gap)):
        console.print(f"  {name:<24}{gap or INTRACTABLE}", markup=False, highlight=False)


def _cell(pieces: Pieces) -> Text:
    text = styled(pieces)
    return text[1:] if text.plain.startswith(" ") else text


def _print_lines(lm: EquiLM, comparison: Comparison) -> None:
    write_line("sample", "model", "prompt", "completion")
    for orbit in comparison.orbits:
        for sample in range(len(orbit.members[0].base)):
            for member in orbit.members:
                for model, pieces in (("base", member.base[sample]), (type(lm).__name__, member.equi[sample])):
                    write_line(str(sample + 1), model, plain(member.prompt), plain(pieces))
    write_line(GAP.format(comparison.texts))
    for model, gap in (("base", comparison.base_gap), (type(lm).__name__, comparison.equi_gap)):
        write_line(model, str(gap or INTRACTABLE))


_HEADER = ("prompt", "demographic", "text", "sample", "model", "completion")


def _table(lm: EquiLM, comparison: Comparison) -> Iterator[tuple[object, ...]]:
    """Yield one row per completion; each prompt is the one for its demographic."""
    for orbit in comparison.orbits:
        for member in orbit.members:
            for sample in range(len(member.base)):
                for model, pieces in (("base", member.base[sample]), (type(lm).__name__, member.equi[sample])):
                    elements = " / ".join(member.elements)
                    yield orbit.prompt, elements, plain(member.prompt), sample + 1, model, plain(pieces)


def _document(
    model: str, lm: EquiLM, decoding: Decoding, comparison: Comparison, prompts: Sequence[str | Conversation]
) -> dict[str, Any]:
    return {
        "model": model,
        "group": {"elements": list(lm.group.names), **lm.group.to_dict()},
        "method": lm.config.method,
        "average": lm.config.average,
        "multi_token": lm.config.multi_token,
        "device": str(input_device(lm.base)),
        "dtype": str(lm.dtype).removeprefix("torch."),
        "seed": decoding.seed,
        "decoding": decoding.settings(),
        "prompts": [_orbit_entry(*pair) for pair in zip(prompts, comparison.orbits, strict=True)],
        "gap": {
            "unit": "nats a token",
            "texts": comparison.texts,
            "base": asdict(comparison.base_gap),
            "equi_lm": None if comparison.equi_gap is None else asdict(comparison.equi_gap),
        },
    }


def _orbit_entry(prompt: str | Conversation, orbit: PromptOrbit) -> dict[str, Any]:
    chat = {} if isinstance(prompt, str) else {"messages": prompt.messages, "read": orbit.read}
    return {"prompt": orbit.prompt, **chat, "orbit": [_member_entry(member) for member in orbit.members]}


def _member_entry(member: Member) -> dict[str, Any]:
    return {
        "elements": list(member.elements),
        **_text_entry(member.prompt, "prompt"),
        "base": [_text_entry(pieces, "completion") for pieces in member.base],
        "equi_lm": [_text_entry(pieces, "completion") for pieces in member.equi],
    }


def _text_entry(pieces: Pieces, name: str) -> dict[str, Any]:
    return {name: plain(pieces), "moved": [piece for piece, moved in pieces if moved]}
