"""Write the page of the experiment on a real language model: figures with intervals, sampled texts, plots."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from data import write_json
from imagenet_results import BLUE, FAINT, INK, ORANGE, table
from machine import describe
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from smollm2_cells import cell, plain, share
from smollm2_composed_results import COMPOSED_SECTIONS
from smollm2_pairs import REASONS, TIE
from smollm2_readings_results import READINGS_SECTIONS
from smollm2_run import COMPOSED, GROUPS, Experiment
from smollm2_stages import IN_CHAT, STAGES, TASK

from hf_equi.fairness.report.plots import regard_bars
from hf_equi.figures import number

MARKER = "<!-- Below this line: written by examples/smollm2.py -->"
SIZE = "135M parameters"

Found = dict[str, Any]


def write_page(page: Path, run: Experiment, command: str) -> None:
    """Replace everything below the marker line of a page; plots and raw results go into a folder beside it.

    Results of an earlier page are kept if the run that made them is gone.
    """
    above = page.read_text(encoding="utf-8").partition(MARKER)[0] if page.is_file() else "# SmolLM2\n\n"
    folder = page.parent / page.stem
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "results.json"
    found: Found = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
    found |= {stage: results for stage in STAGES if (results := run.results(stage)) is not None}
    write_json(kept, found)
    parts = [above.rstrip(), MARKER, _versions(found, command, run.seed)]
    for stage, section in SECTIONS.items():
        if stage in found:
            parts += section(found[stage], folder)
    page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _versions(found: Found, command: str, seed: int) -> str:
    return (
        f"    {command}\n\nSmolLM2-135M-Instruct, {SIZE}, float32; seed {seed}. {ran(found)} Times are without "
        "drawing the audits. Figures in brackets are 95 % intervals."
    )


def ran(found: Found) -> str:
    """Describe the machines and times of all stages. Records from before machines were noted hold CPU seconds."""
    earlier = [results["seconds"] for results in found.values() if "machine" not in results]
    parts = [describe(found.values())]
    if earlier:
        which = "All stages ran before machines were recorded, and" if len(earlier) == len(found) else "Those"
        minutes = round(sum(earlier) / 60)
        parts += [f"{which} took {minutes} minutes of CPU time."] if minutes else []
    return " ".join(filter(None, parts))


def figures(models: Sequence[Mapping[str, Any]]) -> str:
    """Return a table with a row for each model of an audit."""
    head = ["model", "group gap, largest", "mean", "consistency", "regard", "masked"]
    keys = ("group_gap", "group_gap_mean", "consistency", "mean_regard", "masked_mean_regard")
    head += ["parity gap", "p", "parity gap, masked", "p"]

    def rows() -> Iterator[list[str]]:
        for model in models:
            cells = [cell(model[key], model.get(f"{key}_interval")) for key in keys]
            for key in ("parity_gap", "masked_parity_gap"):
                cells += [cell(model[key], model.get(f"{key}_interval")), number(model[f"{key}_p_value"])]
            perplexity = cell(model["perplexity"], model.get("perplexity_interval"))
            yield [model["model"], *cells, number(model["control_parity_gap"]), perplexity]

    return table([*head, "noise floor", "perplexity of its texts under the base"], rows())


def _audits(own: Found, folder: Path) -> Iterator[str]:
    yield f"## The audits ({SIZE})"
    yield from _by_pair(own, folder, "")
    draw_gaps(own, folder / "gaps.png")
    yield f"![The group gap of the base by prompt]({folder.name}/gaps.png)"
    pair = next(pair for pair in GROUPS if pair in own)
    yield "## Ten pairs of texts, as drawn"
    yield (
        f"Each text is sample 0 of its prompt, the first that was drawn ({pair}, seed {own[pair]['seeds'][0]}). "
        "Nothing was selected or left out, not even insults."
    )
    yield _texts(own[pair]["texts"], GROUPS[pair].names)


def _by_pair(own: Found, folder: Path, prefix: str) -> Iterator[str]:
    """Yield the figures of each pair that was audited, with a plot whose file begins with a prefix."""
    for pair in (pair for pair in GROUPS if pair in own):
        entry = own[pair]
        models = entry["models"]
        each = models[0]["samples"] // (10 * GROUPS[pair].order)
        yield f"### {pair}: {' / '.join(GROUPS[pair].names)}{', in chat' if prefix else ''}"
        seeds = ", ".join(map(str, entry["seeds"]))
        ran = f" {describe(entry.get('drawn_on', ()))}".rstrip()
        yield (
            f"{each} texts for each prompt and demographic, {models[0]['samples']} for each model; seeds {seeds}.{ran}"
        )
        yield figures(models)
        image = folder / f"{prefix}regard-{pair}.png"
        image.write_bytes(regard_bars(models, f"SmolLM2-135M-Instruct: {pair}"))
        yield f"![Shares of regard by demographic and model]({folder.name}/{image.name})"


def _texts(rows: Sequence[Mapping[str, str]], names: Sequence[str]) -> str:
    """Return a table of the texts of the base and of EquiLM, with those of a prompt side by side."""
    cells = {(row["model"], row["template"], row["demographic"]): row["text"] for row in rows}
    templates = dict.fromkeys(row["template"] for row in rows)

    def lines() -> Iterator[list[str]]:
        for template in templates:
            for model in ("base", "EquiLM"):
                yield [model, *(plain(cells.get((model, template, name), "")) for name in names)]

    return table(["model", *names], lines())


def _pairs(own: Found, _: Path) -> Iterator[str]:
    yield f"## Sentences that differ by one word ({SIZE})"
    counts = {why: len(names) for why, names in own["reasons"].items()}
    yield (
        f"{own['pairs']} pairs of words and {len(own['professions'])} professions make {own['sentences']} pairs of "
        "sentences. The shares say how often the sentence with the male word is the more likely one. A difference "
        f"below {TIE:g} nats a text is a tie, and counts as half a preference. The intervals resample whole pairs of "
        "words."
    )

    def rows() -> Iterator[list[str]]:
        for part in own["base"]:
            for model in ("base", "EquiLM", COMPOSED):
                if part not in own.get(model, {}):
                    continue  # a record from before words were composed
                entry = own[model][part]
                yield [part, model, str(entry["sentences"]), share(entry), str(entry["ties"]),
                       number(entry["mean_difference"]), number(entry["largest"])]  # fmt: skip

    head = ["pairs of sentences", "model", "number", "male sentence preferred", "ties"]
    head += ["mean difference, nats", "largest"]
    yield table(head, rows())
    yield "Which pairs of words are images of each other, and why the others are not:"

    def reasons() -> Iterator[list[str]]:
        for why, text in {**REASONS, "no subject": "the words cannot be the subject of the sentence"}.items():
            yield [text, str(counts[why]), ", ".join(own["reasons"][why])]
        if "composed" in own:
            text = "no images above, but images of each other where words of several tokens move"
            yield [text, str(len(own["composed"])), ", ".join(own["composed"])]

    yield table(["", "pairs", "words"], reasons())


def _perplexity(own: Found, _: Path) -> Iterator[str]:
    yield f"## Plain text ({SIZE})"
    yield (
        f"The text is {own['lines']} lines of seven corpora, with {own['tokens']:,} tokens. The intervals resample "
        "lines."
    )

    def rows() -> Iterator[list[str]]:
        for name, entry in own["figures"].items():
            nats, more = entry["nats"], entry.get("more")
            perplexity = [torch.tensor(value).exp().item() for value in (nats["mean"], *nats["interval"])]
            cells = [cell(nats["mean"], nats["interval"]), cell(perplexity[0], perplexity[1:])]
            yield [name, *cells, cell(more["mean"], more["interval"]) if more else "",
                   str(entry.get("lines_with_words", ""))]  # fmt: skip

    yield table(["model", "nats a token", "perplexity", "nats more than the base", "lines with moved words"], rows())


def _cost(own: Found, _: Path) -> Iterator[str]:
    yield f"## What each method costs ({SIZE})"
    yield (
        f"CPU time of `generate` for {own['tokens']} sampled tokens after published prompts, as a multiple of plain "
        f"`generate` on the same prompts; threads: {own['threads']}. The methods took turns. Figures are medians "
        "(least to most)."
    )
    batches = list(own["batches"])

    def rows() -> Iterator[list[str]]:
        for name in own["batches"][batches[0]]:
            entries = [own["batches"][batch][name] for batch in batches]
            cells = [
                f"{entry['ratio']:.2f} ({entry['least']:.2f} to {entry['most']:.2f}); {entry['seconds']:.1f} s"
                for entry in entries
            ]
            yield [name, *cells]

    yield table(["", *(f"{batch} {'prompt' if batch == '1' else 'prompts'}" for batch in batches)], rows())


def _chat(own: Found, folder: Path) -> Iterator[str]:
    yield f"## The prompts in chat ({SIZE})"
    yield f'Each prompt is a message in the turns of the model\'s chat template, such as "{TASK}The man worked as".'
    yield from _by_pair(own, folder, IN_CHAT)


def _asked(own: Found, _: Path) -> Iterator[str]:
    yield f"## Asked in chat ({SIZE})"
    yield "Greedy answers, in the turns of the model's chat template, cut off after some tokens."

    def rows() -> Iterator[list[str]]:
        for place, questions in enumerate(own["questions"]):
            yield ["", *(f"**{text}**" for text in questions)]
            for name, answers in own["answers"].items():
                yield [name, *map(plain, answers[place])]

    yield table(["model", "father", "mother"], rows())


SECTIONS = {
    "audits": _audits,
    "asked": _asked,
    "chat": _chat,
    "pairs": _pairs,
    "perplexity": _perplexity,
    "cost": _cost,
    **COMPOSED_SECTIONS,
    **READINGS_SECTIONS,
}


def draw_gaps(own: Found, path: Path) -> None:
    """Draw the mean group gap of the base and of EquiLM for each prompt, by pair of demographics."""
    figure = Figure(figsize=(9.6, 3.2), dpi=160, layout="constrained")
    FigureCanvasAgg(figure)
    shown = [pair for pair in GROUPS if pair in own]
    panels = figure.subplots(1, len(shown), sharex=True, sharey=True, squeeze=False)[0]
    for axes, pair in zip(panels, shown, strict=True):
        gaps = own[pair]["by_prompt"]
        for place, (template, gap) in enumerate(gaps["base"].items()):
            axes.plot([0, gap], [place, place], color=FAINT, lw=4)
            axes.plot(gap, place, "o", color=ORANGE, ms=5)
            axes.plot(gaps["EquiLM"][template], place, "o", color=BLUE, ms=4)
        axes.set_yticks(range(len(gaps["base"])), [text.replace("{demographic}", "…") for text in gaps["base"]])
        axes.set_title(pair, fontsize=10)
        axes.set_xlabel("nats a token")
        axes.axvline(0, color=INK, lw=0.5)
    panels[0].invert_yaxis()
    figure.suptitle("Group gap after each prompt: the base (orange), EquiLM (blue)", fontsize=10)
    figure.savefig(path)
