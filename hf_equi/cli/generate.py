"""The command `hf-equi generate`."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text
from transformers import PreTrainedConfig

from hf_equi.cli.completions import Comparison, Member, PromptOrbit, compare, steps
from hf_equi.cli.coverage import staying_words
from hf_equi.cli.decoding import Decoding
from hf_equi.cli.display import MOVED, Pieces, note, plain, progress, styled, terminal, write_json, write_line
from hf_equi.cli.loading import check_texts, load_lm, parse_group, quiet
from hf_equi.errors import ConfigurationError, GroupWarning
from hf_equi.fairness import fill, prompt_set
from hf_equi.fairness.prompts import PLACE, warn_of_braces
from hf_equi.models.causal_lm import EquiLM, EquiLMConfig
from hf_equi.models.causal_lm.methods import TASK, create
from hf_equi.registration import read_settings

__all__ = ["run_generate"]

INTRACTABLE = "– (a search has no tractable likelihood; hf-equi audit measures its consistency)"
GAP = "|log p(gY|gX) − log p(Y|X)| in nats a token, largest and mean over {} texts of each model:"


def run_generate(
    model: str,
    group: str | None,
    prompts: tuple[Sequence[str], Sequence[str]],
    method: tuple[str | None, str | None],
    decoding: Decoding,
    as_json: bool,
    scorer: str | None = None,
) -> None:
    """Complete prompts and print them.

    Args:
        model: As on the command line.
        group: As on the command line.
        prompts: Single prompts, and names of prompt sets.
        method: The method, and what it averages.
        decoding: How to decode.
        as_json: Whether to print JSON.
        scorer: What `equizero` minimises, as on the command line.

    Raises:
        HfEquiError: For whatever is wrong with these.
    """
    _check_average(*method)  # and again of a model's own method
    chosen = None if group is None else parse_group(group)
    texts = _collect(*prompts)
    with quiet(), progress() as bar:
        task = bar.add_task("loading", total=None)
        check = partial(_check_method, method, decoding, scorer)
        lm = load_lm(model, chosen, *method, scorer=scorer, check=check)
        warn_of_braces(texts)
        texts = [fill(text, lm.group.names[0]) if PLACE in text else text for text in texts]
        bar.update(task, description="decoding", total=steps(lm, texts, decoding))
        with warnings.catch_warnings(action="ignore", category=GroupWarning):  # said of each prompt instead
            comparison = compare(lm, texts, decoding, lambda: bar.advance(task))
    _note_limits(lm, comparison)
    if as_json:
        write_json(_document(model, lm, decoding, comparison))
    elif (console := terminal()) is not None:
        _print_table(console, lm, comparison)
    else:
        _print_lines(lm, comparison)


def _check_average(method: str | None, average: str | None, called: str = "--method") -> None:
    """Refuse an average for texts that do not depend on it."""
    if method is None or average is None:
        return
    if not read_settings(TASK, method, ["average"]) or create(method, average).searches:
        raise ConfigurationError(f"--average has no effect on {called} {method}: leave it out.")


def _check_method(
    given: tuple[str | None, str | None], decoding: Decoding, scorer: str | None, config: PreTrainedConfig, method: str
) -> None:
    """Refuse settings that have no effect on the method that a model gets, or that it cannot do."""
    called = "the method" if given[0] is None else "--method"
    _check_average(method, given[1], called)
    if not create(method, "logits").searches:
        if scorer is not None:
            raise ConfigurationError(
                f"--scorer has no effect on {called} {method}, as only equizero minimises one: leave it out, or pass "
                "--method equizero."
            )
        return
    if decoding.beams:
        raise ConfigurationError("--beams has no effect on equizero, which is a search of its own: leave it out.")
    if isinstance(config, EquiLMConfig) and (config.search_settings or {}).get("action") == "words":
        raise ConfigurationError(
            "This model searches on words, and the orbits shown here are those of tokens: use hf-equi audit --action "
            "words, or lm.generate in Python."
        )


def _collect(prompts: Sequence[str], sets: Sequence[str]) -> list[str]:
    """All prompts and templates, in order, each once."""
    texts = list(dict.fromkeys([*prompts, *(template for name in sets for template in prompt_set(name))]))
    if not texts:
        raise ConfigurationError('Nothing to complete: pass --prompt "The man worked as", or --prompt-set sheng2019.')
    check_texts("--prompt", texts)
    if not all(text.strip() for text in texts):
        raise ConfigurationError('A --prompt is empty: write some text, such as "The man worked as".')
    return texts


def _note_limits(lm: EquiLM, comparison: Comparison) -> None:
    still = [orbit.prompt for orbit in comparison.orbits if not orbit.moves]
    if still:
        note(f"nothing moves in {', '.join(map(repr, still))}; hf-equi inspect --text shows why")
    for line in staying_words([[orbit.prompt] for orbit in comparison.orbits], lm.action, lm.tokenizer):
        note(line)
    if lm.group.relaxed:
        note("the group is relaxed: the EquiLM claims no symmetry of general words, so its gap need not be 0")
    said = lm.method.text
    if not (said.exact or said.claim) and any(len(orbit.members) < lm.group.order for orbit in comparison.orbits):
        note(f"{lm.config.method} does not symmetrise what fixes a prompt, so the gap of the EquiLM need not be 0")


def _name(lm: EquiLM) -> str:
    return f"{'R-' if lm.group.relaxed else ''}{type(lm).__name__} ({lm.config.method})"


def _print_table(console: Console, lm: EquiLM, comparison: Comparison) -> None:
    table = Table(box=box.SIMPLE_HEAD, expand=True, pad_edge=False)
    table.add_column("prompt", ratio=2)
    table.add_column("base model", ratio=3)
    table.add_column(_name(lm), ratio=3)
    for orbit in comparison.orbits:
        for sample in range(len(orbit.members[0].base)):
            for member in orbit.members:
                table.add_row(*map(_cell, (member.prompt, member.base[sample], member.equi[sample])))
            table.add_section()
    console.print(table)
    console.print("highlighted: words that the group moves", style=MOVED)
    console.print(GAP.format(comparison.texts), markup=False, highlight=False)
    for name, gap in (("base model", comparison.base_gap), (_name(lm), comparison.equi_gap)):
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


def _document(model: str, lm: EquiLM, decoding: Decoding, comparison: Comparison) -> dict[str, Any]:
    return {
        "model": model,
        "group": {"elements": list(lm.group.names), **lm.group.to_dict()},
        "method": lm.config.method,
        "average": lm.config.average,
        "seed": decoding.seed,
        "decoding": decoding.settings(),
        "prompts": [_orbit_entry(orbit) for orbit in comparison.orbits],
        "gap": {
            "unit": "nats a token",
            "texts": comparison.texts,
            "base": asdict(comparison.base_gap),
            "equi_lm": None if comparison.equi_gap is None else asdict(comparison.equi_gap),
        },
    }


def _orbit_entry(orbit: PromptOrbit) -> dict[str, Any]:
    return {"prompt": orbit.prompt, "orbit": [_member_entry(member) for member in orbit.members]}


def _member_entry(member: Member) -> dict[str, Any]:
    return {
        "elements": list(member.elements),
        **_text_entry(member.prompt, "prompt"),
        "base": [_text_entry(pieces, "completion") for pieces in member.base],
        "equi_lm": [_text_entry(pieces, "completion") for pieces in member.equi],
    }


def _text_entry(pieces: Pieces, name: str) -> dict[str, Any]:
    return {name: plain(pieces), "moved": [piece for piece, moved in pieces if moved]}
