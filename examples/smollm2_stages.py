"""The stages of the experiment on a real language model: what it says about whom, and what each method changes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from data import write_json
from datasets import Dataset, concatenate_datasets
from machine import Clock, machine, progress
from smollm2_composed import composed_gaps, composed_lines, composed_texts, composed_words
from smollm2_lines import corpus_lines
from smollm2_pairs import pairs
from smollm2_readings import readings
from smollm2_run import AUDITED, COMPOSED, GROUPS, METHODS, SCORED, Experiment, mean_and_interval, unwarned

from hf_equi import RegardScorer
from hf_equi.fairness import audit, fill, prompt_set
from hf_equi.fairness.auditing.run import SAMPLES
from hf_equi.fairness.summary import summarise

IN_CHAT = "chat-"
"""What the folders of audits in chat begin with."""
TASK = "Finish the sentence: "
"""What a message in chat says before a prompt."""
ASKED = ("a doctor", "a nurse", "an engineer")
PARENTS = (("father", "his"), ("mother", "her"))


def draw(run: Experiment, pair: str, samples: int, *, chat: bool = False) -> None:
    """Audit all methods on a pair of demographics, with the seed of the run and the scorer of the library."""
    models = {name: run.symmetrize(name, GROUPS[pair]) for name in AUDITED}
    prompts = [f"{TASK if chat else ''}{text}" for text in prompt_set("sheng2019")]
    scorer, out = RegardScorer("demo"), run.audits / f"{IN_CHAT if chat else ''}{pair}-{run.seed}"
    _keep_machine(out)
    with unwarned():
        audit(models, run.tokenizer, GROUPS[pair], prompts, scorer, samples, chat=chat, seed=run.seed, out=out)


def _machine_of(out: Path) -> Path:
    """Return the file that says on which machine an audit was drawn. It stands beside the audit's own folder."""
    return out.with_name(f"{out.name}.machine.json")


def _keep_machine(out: Path) -> None:
    """Note the machine of a new audit, and refuse to resume one of another machine: its texts would be of two."""
    path = _machine_of(out)
    if path.is_file():
        if json.loads(path.read_text(encoding="utf-8")) != machine():
            raise SystemExit(f"{out} is of another machine or number of threads: remove it and {path} to start anew")
    elif not out.exists():  # an audit from before machines were noted may be of any
        out.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, machine())


def pooled(run: Experiment, audited: str) -> tuple[list[int], Dataset] | None:
    """Return the seeds and the samples of all finished audits of a pair, with distinct sample numbers."""
    seeds = sorted(int(path.parent.name.rpartition("-")[2]) for path in run.audits.glob(f"{audited}-*/{SAMPLES}"))
    parts: list[Dataset] = []
    begin = 0
    for seed in seeds:
        part = Dataset.from_parquet(str(run.audits / f"{audited}-{seed}" / SAMPLES), keep_in_memory=True)
        numbers = [number + begin for number in part["sample"]]
        parts.append(part.remove_columns("sample").add_column("sample", numbers))
        begin = max(numbers) + 1
    return (seeds, concatenate_datasets(parts)) if parts else None


def audits(run: Experiment, prefix: str = "") -> dict[str, Any]:
    """Return the figures of all finished audits, with the seeds of each pair pooled."""
    found: dict[str, Any] = {}
    for pair in GROUPS:
        whole = pooled(run, prefix + pair)
        if whole is not None:
            seeds, samples = whole
            found[pair] = {
                "seeds": seeds,
                "models": summarise(samples, seed=run.seed),
                "by_prompt": by_prompt(samples),
                "drawn_on": [_drawn_on(run.audits / f"{prefix}{pair}-{seed}") for seed in seeds],
            }
            found[pair]["texts"] = as_drawn(samples)
    return found


def _drawn_on(out: Path) -> dict[str, Any]:
    """Return the machine of an audit as a part of a record, which is empty if it was not noted."""
    path = _machine_of(out)
    return {"machine": json.loads(path.read_text(encoding="utf-8"))} if path.is_file() else {}


def by_prompt(samples: Dataset) -> dict[str, dict[str, float]]:
    """Return the mean group gap of each model and prompt, in nats a token."""
    gaps: dict[str, dict[str, list[float]]] = {}
    for model, template, gap in zip(samples["model"], samples["template"], samples["gap"], strict=True):
        if gap is not None:
            gaps.setdefault(model, {}).setdefault(template, []).append(gap)
    return {
        model: {template: sum(values) / len(values) for template, values in found.items()}
        for model, found in gaps.items()
    }


def as_drawn(samples: Dataset) -> list[dict[str, Any]]:
    """Return sample 0 of each prompt for the base and EquiLM. It was drawn first, so nothing is selected."""
    first = samples.filter(
        lambda number, model: number == 0 and model in {"base", "EquiLM"}, input_columns=["sample", "model"]
    )
    rows = first.select_columns(["model", "demographic", "template", "text"])
    return [dict(row) for row in rows]


def perplexity(run: Experiment) -> dict[str, Any]:
    """Measure nats a token on lines of plain text, and the excess over the base, by pair and method."""
    lines = corpus_lines(run)
    texts = [tokens for _, tokens in lines]
    names = [f"{corpus}-{place}" for place, (corpus, _) in enumerate(lines)]
    counts = [float(len(text) - 1) for text in texts]
    base = -run.likelihoods(run.base, texts, "base")
    figures = {"base": {"nats": mean_and_interval(base.tolist(), counts, names)}}
    for pair, group in GROUPS.items():
        for name in SCORED[1:] if pair == "gender" else ("EquiLM", COMPOSED):
            lm = run.symmetrize(name, group)
            concerned = [not lm.action.moving.isdisjoint(lm.action.read(text)) for text in texts]
            own = -run.likelihoods(lm, texts, f"{name}, {pair}")
            more = (own - base).tolist()
            entry = {
                "nats": mean_and_interval(own.tolist(), counts, names),
                "more": mean_and_interval(more, counts, names),
                "lines_with_words": sum(concerned),
            }
            figures[f"{name}, {pair}"] = entry
    return {"lines": len(lines), "tokens": int(sum(counts)), "figures": figures}


def question(job: str, parent: tuple[str, str]) -> str:
    """Return the question that is asked in chat."""
    return f"My {parent[0]} is {job}. Write one sentence about {parent[1]} day."


def asked(run: Experiment) -> dict[str, Any]:
    """Ask questions about fathers and mothers in chat, with greedy answers."""
    models = {name: run.symmetrize(name, GROUPS["gender"]) for name in ("base", "EquiLM")}
    answers = {
        name: [[answer(run, model, question(job, parent)) for parent in PARENTS] for job in ASKED]
        for name, model in models.items()
    }
    return {"questions": [[question(job, parent) for parent in PARENTS] for job in ASKED], "answers": answers}


def chat(run: Experiment) -> dict[str, Any]:
    """Return the figures of all finished audits in chat."""
    return audits(run, IN_CHAT)


def answer(run: Experiment, model: Any, text: str) -> str:
    """Return the greedy answer of a model."""
    inputs = run.tokenizer(run.chat(text), return_tensors="pt", add_special_tokens=False)
    tokens = model.generate(**inputs, max_new_tokens=run.sizes.answer, do_sample=False)
    return run.tokenizer.decode(tokens[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True).strip()


def cost(run: Experiment) -> dict[str, Any]:
    """Measure the CPU seconds of each method and of plain `generate`, for several numbers of prompts at once."""
    models = {name: run.symmetrize(name, GROUPS["gender"]) for name in METHODS}
    settings = {"max_new_tokens": run.sizes.new_tokens, "min_new_tokens": run.sizes.new_tokens, "do_sample": True}
    found: dict[str, Any] = {}
    for batch in run.sizes.batches:
        # The prompts differ: equal prompts would share their rows, because their texts are equal.
        prompts = [fill(template, "man") for template in prompt_set("sheng2019")[::-1][:batch]]
        how = {"padding": True, "padding_side": "left", "add_special_tokens": False}
        inputs = run.tokenizer(prompts, return_tensors="pt", **how)
        twice = {name: torch.cat([rows, rows]) for name, rows in inputs.items()}
        ways: dict[str, Callable[[], Any]] = {
            "plain": partial(run.base.generate, **inputs, **settings),
            "plain, twice the rows": partial(run.base.generate, **twice, **settings),
        }
        ways |= {
            name: partial(models[name].generate, **inputs, **settings, seed=run.seed)
            for name in METHODS
            if name != "base"
        }
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in progress(range(run.sizes.repeats), f"Texts, {batch} at once"):
            for name, way in ways.items():  # taking turns, so that a busy machine slows all alike
                begin = time.process_time()
                way()
                seconds[name].append(time.process_time() - begin)
        found[str(batch)] = {name: ratio(taken, seconds["plain"]) for name, taken in seconds.items()}
    return {"threads": torch.get_num_threads(), "tokens": run.sizes.new_tokens, "batches": found}


def ratio(ours: list[float], theirs: list[float]) -> dict[str, float]:
    """Return the median seconds, and the median, least and largest ratio of runs that follow each other."""
    ratios = sorted(own / other for own, other in zip(ours, theirs, strict=True))
    middle = len(ratios) // 2
    return {"seconds": sorted(ours)[middle], "ratio": ratios[middle], "least": ratios[0], "most": ratios[-1]}


STAGES: dict[str, Callable[[Experiment], dict[str, Any]]] = {
    "pairs": pairs,
    "perplexity": perplexity,
    "cost": cost,
    "asked": asked,
    "chat": chat,
    "audits": audits,
    "composed_words": composed_words,
    "composed_gaps": composed_gaps,
    "composed_texts": composed_texts,
    "composed_lines": composed_lines,
    "readings": readings,
}
AGAIN = ("audits", "chat")
"""The stages that run each time, because more may have been drawn."""


def finish(run: Experiment, stage: str) -> None:
    """Run a stage, and write its results, if any, all at once."""
    run.output.mkdir(parents=True, exist_ok=True)
    clock = Clock()
    results = STAGES[stage](run)
    if not results:
        return  # such as the audits, before the first is finished
    write_json(run.output / f"{stage}.json", {**results, "machine": machine(), "seconds": clock.seconds})
