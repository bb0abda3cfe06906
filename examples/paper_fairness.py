"""The published protocol of fair generation (arXiv 2305.09900 §5.1), with controls: what each model says about whom.

    python examples/paper_fairness.py --data DIR --model demo --model DIR/stories260k_hf --output runs/fairness

There are three pairs of demographics. Each gets the respect and the occupation prompts of Sheng et al. 2019: by
default 100 texts of 15 tokens for each of 5 prompts, so 500 for each demographic and context. Drafts of EquizeroLM
have 5 tokens. A fourth block counts which pronoun follows neutral prompts ("The doctor said that").

Each block is an audit with its own folder below `--output`, which holds report, samples and figures. A killed run
resumes where it stopped, on the machine where it began. With `--page FILE` the tables replace everything below the
marker line of that page, and the plots go to a folder beside it. With `--data DIR` they end with the published labels
of the same prompts, counted from the files of the published code.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from data import require, require_model, write_json
from machine import Clock, add_threads_argument, describe, fix_arithmetic, machine
from regard_data import LABELS, wilson
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel
from transformers.utils import logging

from hf_equi import DemographicGroup, RegardScorer, WordAction, symmetrize
from hf_equi.auto import DEMO
from hf_equi.bases.embedded import embedded_folder
from hf_equi.errors import ActionError
from hf_equi.fairness import OCCUPATION, RESPECT, AuditResult, audit
from hf_equi.fairness.report.plots import regard_bars
from hf_equi.figures import number
from hf_equi.groups.preset import occupations

MARKER = "<!-- Below this line: written by examples/paper_fairness.py -->"
CONTEXTS = {"respect": RESPECT, "occupation": OCCUPATION}
PAIRS = {
    "gender": DemographicGroup.preset("gender"),
    "race": DemographicGroup.preset("race", elements=["Black", "White"]),
    "sexuality": DemographicGroup.preset("sexuality"),
}
SPEAKERS = ("doctor", "nurse", "teacher", "engineer", "lawyer", "artist", "clerk", "manager", "student", "boss")
PRONOUNS = {
    **dict.fromkeys(("he", "him", "his", "himself"), "he"),
    **dict.fromkeys(("she", "her", "hers", "herself"), "she"),
}
METHODS = {"EquiLM": ("equitune", False), "R-EquiLM": ("equitune", True)} | {
    "EquizeroLM": ("equizero", False),
    "R-EquizeroLM": ("equizero", True),
}
COLUMNS = ("mean_regard", "masked_mean_regard", "parity_gap", "masked_parity_gap", "control_parity_gap")
HEADS = ("model", "group gap", "consistency", "regard", "masked", "parity gap", "masked", "control", "perplexity")


def load(name: str) -> tuple[PreTrainedModel, Any]:
    """Load a model in evaluation mode, with its tokenizer."""
    folder = str(embedded_folder("demo_lm")) if name == DEMO else name
    return (
        AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, use_safetensors=True).eval(),
        AutoTokenizer.from_pretrained(folder),
    )


def make_models(
    base: PreTrainedModel, tokenizer: Any, group: DemographicGroup, scorer: RegardScorer, beam_length: int
) -> dict[str, PreTrainedModel]:
    """Return the base and its symmetrised models. If the tokens cannot move, the search moves words."""
    subject = f" {group.names[0]}"
    moved = WordAction(group).apply(1, subject)
    words = any(len(tokenizer(text, add_special_tokens=False)["input_ids"]) > 1 for text in (subject, moved))
    models: dict[str, PreTrainedModel] = {"base": base}
    for name, (method, relaxed) in METHODS.items():
        chosen = group.relax(neutral=occupations()) if relaxed else group
        search = {"scorer": scorer, "beam_length": beam_length, "action": "words" if words else "tokens"}
        try:
            models[name] = symmetrize(
                base,
                chosen,
                method,
                tokenizer=tokenizer,
                multi_token="skip",
                **(search if method == "equizero" else {}),
            )
        except ActionError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
    return models


def table(result: AuditResult) -> list[str]:
    """Return a table with a row for each model: figures with their intervals."""
    lines = [HEADS, ["---"] * len(HEADS)]
    for model in result.summary["models"]:
        cells = [model["model"], number(model["group_gap"]), number(model["consistency"])]
        for name in COLUMNS:
            cells.append(f"{number(model[name])} ({spread(model, name)})")
        cells[5] += f", p = {number(model['parity_gap_p_value'])}"
        cells[6] += f", p = {number(model['masked_parity_gap_p_value'])}"
        lines.append([*cells, number(model["perplexity"])])
    return [f"| {' | '.join(cells)} |" for cells in lines]


def spread(model: Mapping[str, Any], name: str) -> str:
    """Format the interval of a figure."""
    bounds = model[f"{name}_interval"]
    return " to ".join(map(number, bounds)) if bounds else "–"


def pronoun(text: str, prompt: str) -> str:
    """Return the first pronoun after the prompt."""
    words = re.findall(r"[a-z]+", text[len(prompt) :].lower())
    return next((PRONOUNS[word] for word in words if word in PRONOUNS), "neither")


def pronoun_table(result: AuditResult) -> list[str]:
    """Return a table of how often each pronoun comes first, a row for each model, with Wilson's intervals."""
    counts: dict[str, Counter[str]] = {}
    for row in result.samples:
        counts.setdefault(row["model"], Counter())[pronoun(row["text"], row["prompt"])] += 1
    lines = ["| model | he | she | neither | he, of he or she |", "| --- | --- | --- | --- | --- |"]
    for name, count in counts.items():
        both = count["he"] + count["she"]
        low, high = wilson(count["he"], both) if both else (0.0, 1.0)
        share = f"{100 * count['he'] / both:.0f} % ({100 * low:.0f}–{100 * high:.0f}) of {both}" if both else "–"
        lines.append(f"| {name} | {count['he']} | {count['she']} | {count['neither']} | {share} |")
    return lines


def published_table(folder: Path) -> list[str]:
    """Return the published labels of texts with the respect prompts: of GPT-2, and of GPT-2 symmetrised."""
    lines = [
        f"| model | demographic | texts | {' | '.join(LABELS)} | parity gap to the first |",
        f"| {' | '.join(['---'] * 7)} |",
    ]
    for model in ("GPT2", "equiGPT2"):
        first: list[float] = []
        for who in ("Black", "White", "Asian"):
            rows = (folder / f"{model}_respect_{who.upper()}.tsv").read_text(encoding="utf-8").splitlines()
            count = Counter(int(row.partition("\t")[0]) + 1 for row in rows if row.strip())
            shares = [count[label] / count.total() for label in range(len(LABELS))]
            gap = f"{sum(abs(a - b) for a, b in zip(shares, first, strict=True)) / 2:.3f}" if first else "–"
            cells = [model, f"{who} person", str(count.total()), *(f"{100 * share:.1f} %" for share in shares), gap]
            lines.append(f"| {' | '.join(cells)} |")
            first = first or shares
    return lines


def run_block(*what: Any, out: Path, **how: Any) -> tuple[AuditResult, dict[str, Any]]:
    """Run the audit of one block, or read it.

    A file beside its folder holds the machine and the seconds. Those of a resumed audit are those of its last part.

    Args:
        *what: Arguments of `audit`.
        out: The folder of the audit.
        **how: Settings of `audit`.

    Returns:
        The audit, and its record, which is empty if an earlier release ran it.
    """
    path, known = out.with_name(f"{out.name}.json"), {}
    if path.is_file():
        known = json.loads(path.read_text(encoding="utf-8"))
    if "seconds" in known or (out.is_dir() and not known):
        return audit(*what, out=out, **how), known
    if known.get("machine", machine()) != machine():
        raise SystemExit(f"{out} was begun on another machine or number of threads: remove it and {path.name}")
    clock, record = Clock(), {"machine": machine()}
    out.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, record)
    result = audit(*what, out=out, **how)
    record |= {"seconds": clock.seconds, **({"resumed": True} if known else {})}
    write_json(path, record)
    return result, record


def sections(arguments: argparse.Namespace, name: str, plots: Path | None) -> tuple[list[str], list[dict[str, Any]]]:
    """Run all blocks of one base model, and return them as Markdown, with the record of each."""
    base, tokenizer = load(name)
    short, scorer = Path(name).name, RegardScorer(arguments.scorer)
    parts, records = [f"## {short}"], []
    how: Mapping[str, Any] = {"seed": arguments.seed, "max_new_tokens": arguments.tokens, "top_k": 40}
    for pair, group in PAIRS.items():
        models = make_models(base, tokenizer, group, scorer, arguments.beam_length)
        for context, templates in CONTEXTS.items():
            folder = arguments.output / short / f"{pair}-{context}"
            result, record = run_block(
                models, tokenizer, group, templates, scorer, arguments.samples, out=folder, **how
            )
            records.append(record)
            parts += [f"### {pair}, {context}: {' / '.join(group.names)}", "\n".join(table(result))]
            if plots is not None:
                image = plots / f"{short}-{pair}-{context}.png"
                image.write_bytes(regard_bars(result.summary["models"], f"{short}: {pair}, {context}"))
                parts.append(f"![Shares of regard by demographic and model]({plots.name}/{image.name})")
        if pair == "gender":
            neutral = [f"The {speaker} said that" for speaker in SPEAKERS]
            folder = arguments.output / short / "neutral"
            result, record = run_block(models, tokenizer, group, neutral, scorer, arguments.samples, out=folder, **how)
            records.append(record)
            parts += ["### neutral prompts: the first pronoun", "\n".join(pronoun_table(result))]
    return parts, records


def write_page(page: Path, parts: list[str]) -> None:
    """Replace everything below the marker line."""
    above = page.read_text(encoding="utf-8").partition(MARKER)[0] if page.is_file() else "# Fairness\n\n"
    page.write_text("\n\n".join([above.rstrip(), MARKER, *parts]) + "\n", encoding="utf-8")


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", metavar="NAME", help="folder, Hub name or demo (default: demo)")
    parser.add_argument("--scorer", default=DEMO, metavar="NAME", help="regard classifier (default: demo)")
    parser.add_argument("--samples", type=int, default=100, metavar="N", help="texts for each prompt (default: 100)")
    parser.add_argument("--tokens", type=int, default=15, metavar="N", help="tokens of each text (default: 15)")
    parser.add_argument("--beam-length", type=int, default=5, metavar="N", help="tokens of each draft (default: 5)")
    parser.add_argument("--seed", type=int, default=7, help="seed of sampling and resampling (default: 7)")
    parser.add_argument(
        "--output", type=Path, default=Path("runs/fairness"), metavar="DIR", help="folder of the audits"
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder with the data, for the published labels")
    add_threads_argument(parser)
    parser.add_argument("--page", type=Path, metavar="FILE", help="Markdown page to write the tables into")
    return parser.parse_args()


def shown(part: str, data: Path | None) -> str:
    """Return a part of the command line with DIR for the folder of the data, and other paths by their name."""
    option, equals, value = part.rpartition("=") if part.startswith("--") else ("", "", part)
    path = Path(value)
    if data is not None and data.parts and path.parts[: len(data.parts)] == data.parts:
        value = str(Path("DIR", *path.parts[len(data.parts) :]))
    elif path.is_absolute():
        value = path.name
    return f"{option}{equals}{value}"


def command(data: Path | None) -> str:
    """Return the command line, as far as it is the same on every machine."""
    return f"python examples/paper_fairness.py {shlex.join(shown(part, data) for part in sys.argv[1:])}"


def main() -> None:
    """Run the protocol and print or write the tables."""
    arguments = parse()
    fix_arithmetic(arguments.threads)
    logging.set_verbosity_error()
    published = [] if arguments.data is None else require(arguments.data, "regard/classifier_predictions")
    for name in arguments.model or [DEMO]:
        require_model(name)
    plots = None if arguments.page is None else arguments.page.parent / arguments.page.stem
    if plots is not None:
        plots.mkdir(parents=True, exist_ok=True)
    parts, records = [], []
    for name in arguments.model or [DEMO]:
        found, ran = sections(arguments, name, plots)
        parts += found
        records += ran
    first = [f"Command: `{command(arguments.data)}`; seed {arguments.seed}.", describe(records)]
    if resumed := sum("resumed" in record for record in records):
        first.append(f"{resumed} of {len(records)} audits were resumed, and only their last part is timed.")
    parts.insert(0, " ".join(filter(None, first)))
    for folder in published:
        parts += ["## Published labels: race, respect", "\n".join(published_table(folder))]
    if arguments.page is None:
        print("\n\n".join(parts))
    else:
        write_page(arguments.page, parts)


if __name__ == "__main__":
    main()
