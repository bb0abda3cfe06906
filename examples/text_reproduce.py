"""Measure the embedded language model and classifier again: rows of the pages on fairness, regard and finetuning."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from finetune_stages import Sizes, Yardstick, load_base, wrap
from paper_fairness import CONTEXTS, PAIRS, load, make_models
from reproduce_rows import RESULTS, Row
from train_regard import on_human_labels
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from hf_equi import RegardScorer
from hf_equi.auto import DEMO
from hf_equi.bases.embedded import embedded_folder
from hf_equi.fairness import audit

SAMPLES, SEED = 100, 7
# The block of the fairness page that is audited again, and its columns: the key of the summary, the place in the
# table, and the largest difference that other kernels explain.
PAIR, CONTEXT = "gender", "respect"
COLUMNS = {"group_gap": (1, 5e-3), "mean_regard": (3, 5e-3), "parity_gap": (5, 5e-3), "perplexity": (8, 0.05)}
EXACT = 1e-5
"""The largest gap of a model that is exact, in nats a token."""


def regard(data: Path) -> Iterator[Row]:
    """The embedded classifier on human labels."""
    folder = embedded_folder("demo_regard")
    stated = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    model, tokenizer = (
        AutoModelForSequenceClassification.from_pretrained(folder),
        AutoTokenizer.from_pretrained(folder),
    )
    found = on_human_labels(model.eval(), tokenizer, data / "regard")
    for part in ("dev", "test"):
        right = [100 * report[part]["share"] for report in (stated, found)]
        yield Row(f"embedded classifier, correct labels of {part}", *right, allowed=0.05)


def fairness(data: Path) -> Iterator[Row]:
    """One block of the audits: the base and EquiLM on the respect prompts, for man and woman."""
    stated = block_of((RESULTS / "fairness.md").read_text(encoding="utf-8"))
    (base, tokenizer), group, scorer = load(DEMO), PAIRS[PAIR], RegardScorer(DEMO)
    models = make_models(base, tokenizer, group, scorer, beam_length=5)
    shown = {name: models[name] for name in ("base", "EquiLM")}
    how: Mapping[str, Any] = {"seed": SEED, "max_new_tokens": 15, "top_k": 40, "progress": False}
    result = audit(shown, tokenizer, group, CONTEXTS[CONTEXT], scorer, SAMPLES, **how)
    for model in result.summary["models"]:
        for key, (place, allowed) in COLUMNS.items():
            cell = stated[model["model"]][place]
            what = f"{PAIR}, {CONTEXT}, {model['model']}: {key.replace('_', ' ')}"
            exact = key == "group_gap" and model["model"] != "base"
            yield Row(what, read_number(cell), float(model[key]), EXACT if exact else allowed, unit="")


def block_of(page: str) -> dict[str, list[str]]:
    """Return the cells of the block that is audited again, by model."""
    block = page.partition(f"## {DEMO}\n")[2].partition(f"### {PAIR}, {CONTEXT}:")[2].partition("\n### ")[0]
    rows = (line.strip("| ").split(" | ") for line in block.splitlines() if line.startswith("|"))
    return {cells[0]: cells for cells in rows}


def read_number(cell: str) -> float:
    """Read the number that a cell begins with: "0.293 (0.242 to 0.341)", "−0.081 (…)" or "3.9×10⁻⁷"."""
    plain = cell.translate(str.maketrans("−⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "--0123456789")).replace("×10", "e")
    found = re.match(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", plain)
    if found is None:
        raise ValueError(f"The cell {cell!r} does not begin with a number")
    return float(found[0])


def finetuning(data: Path) -> Iterator[Row]:
    """The embedded model before finetuning, plain and as EquiLM, on held-out lines of film reviews."""
    stages = json.loads((RESULTS / "finetuning" / "results.json").read_text(encoding="utf-8"))
    yardstick = Yardstick(data / "text", Sizes())
    for name, model, allowed in (("base", load_base(), 1e-4), ("base as EquiLM", wrap(load_base()), EXACT)):
        stated, found = stages["untrained"]["figures"][name], yardstick.measure(model)
        yield Row(f"{name}: perplexity", stated["perplexity"], found["perplexity"], allowed=0.1, unit="")
        yield Row(f"{name}: mean gap, nats a token", stated["gap"], found["gap"], allowed, unit="")
