"""Write the tables of `docs/results/regard.md` from what `train_regard.py` has measured.

    python examples/regard_results.py --runs runs --page docs/results/regard.md

It reads the `training.json` of the runs that the page names; that at the first token may be missing. They are kept
beside the page, so the page can be written again when the runs are gone.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data import write_json
from machine import describe

MARKER = "<!-- Below this line: written by examples/regard_results.py -->"
RUNS = {"teacher": "regard_teacher", "first_token": "regard_cls", "small": "demo_regard"}
OPTIONAL = "first_token"  # only for comparison
# Accuracies that the README of ewsheng/nlg-bias states.
PUBLISHED = {"regard2": {"dev": 0.92, "test": 0.80}, "v2": {"dev": 0.80, "test": 0.84}}
FORMS = {"masked": "subject masked", "plain": "as written", "masked_and_cut_short": "masked and cut short"}
Reports = Mapping[str, Mapping[str, Any]]


def gather(runs: Path, earlier: Path) -> dict[str, dict[str, Any]]:
    """Return the reports of the runs. Those of an earlier page stand in for runs that are gone."""
    found: dict[str, dict[str, Any]] = json.loads(earlier.read_text(encoding="utf-8")) if earlier.is_file() else {}
    for name, folder in RUNS.items():
        path = runs / folder / "model" / "training.json"
        if path.is_file():
            found[name] = json.loads(path.read_text(encoding="utf-8"))
    missing = [folder for name, folder in RUNS.items() if name not in found and name != OPTIONAL]
    if missing:
        raise SystemExit(f"{runs} lacks {', '.join(missing)}: run examples/train_regard.py as the page says.")
    return found


def cell(figure: Mapping[str, Any]) -> str:
    """Format a share with its interval."""
    low, high = figure["interval"]
    return f"{figure['share']:.3f} ({low:.3f}–{high:.3f})"


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, ["---"] * len(head), *rows])


def seeds(found: Reports, run: str) -> Mapping[str, Any]:
    """Return the figures of each seed of a run of the encoder, and of the mean of their weights."""
    return found.get(run, {}).get("seeds", {})


def encoder_table(found: Reports) -> str:
    """Return a row for each finetuned encoder, and for each published one."""
    teacher, columns = found["teacher"], ("dev", "test", "held_out_teacher_labels")
    first = next(iter(teacher["seeds"].values()))
    counts = [str(first[name]["count"]) for name in columns]
    head = [
        "",
        f"dev ({counts[0]})",
        f"test ({counts[1]})",
        f"held-out labels of the authors' classifier ({counts[2]})",
    ]
    rows = []
    for run, note in (("teacher", ""), ("first_token", ", read at the first token")):
        for seed, figures in seeds(found, run).items():
            name = f"the mean of the three models' weights{note}" if seed == "mean" else f"seed {seed}{note}"
            kept = run == "teacher" and seed == teacher["kept"]
            rows.append([f"**{name}**, kept" if kept else name, *(cell(figures[column]) for column in columns)])
    for name, figures in PUBLISHED.items():
        rows.append([f"published: {name} (ewsheng/nlg-bias)", f"{figures['dev']:.2f}", f"{figures['test']:.2f}", "–"])
    return table(head, rows)


def small_table(small: Mapping[str, Any]) -> str:
    """Return a row for each measurement of the small classifier."""
    agreement = small["held_out_agreement_with_the_teacher"]
    rows = [
        [f"agreement with its teacher on held-out generations, {form}", cell(agreement[name])]
        for name, form in FORMS.items()
    ]
    rows += [[f"human labels, {split}", cell(small[split])] for split in ("dev", "test")]
    texts = [*(agreement[name]["count"] for name in FORMS), small["dev"]["count"], small["test"]["count"]]
    return table(["", "share", "texts"], [[*row, f"{count:,}"] for row, count in zip(rows, texts, strict=True)])


def counts(found: Reports) -> str:
    """Return a sentence on the texts that were trained on."""
    teacher, small = found["teacher"]["training_texts"], found["small"]["training_texts"]
    return (
        f"The encoder learnt from {teacher['human']} labels of people, which count {teacher['human_repeats']} times, "
        f"and from {teacher['teacher_labels']:,} labels of the authors' classifier. The small classifier learnt from "
        f"the same labels of people and from {small['generations']:,} variants of generations."
    )


def trainings(found: Reports) -> list[Mapping[str, Any]]:
    """Return one record for each training: its machine and its seconds."""
    encoders = [seed for run in ("teacher", OPTIONAL) for name, seed in seeds(found, run).items() if name != "mean"]
    return [*encoders, found["small"]]


def write_page(page: Path, found: Reports) -> None:
    """Replace everything below the marker line. The reports go into a folder beside the page."""
    above = page.read_text(encoding="utf-8").partition(MARKER)[0] if page.is_file() else "# Regard classifiers\n\n"
    folder = page.parent / page.stem
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "results.json", found)
    small = found["small"]
    parts = [
        above.rstrip(),
        MARKER,
        f"{counts(found)} {describe(trainings(found))}",
        "## The encoder: share of correct labels, with 95 % intervals",
        encoder_table(found),
        "## The small classifier",
        f"{small['parameters']:,} parameters in float16, {small['bytes'] / 1e6:.2f} MB of weights.",
        small_table(small),
    ]
    page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def main() -> None:
    """Write the page."""
    summary, _, details = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="folder of the runs")
    parser.add_argument("--page", type=Path, required=True, metavar="FILE", help="page to write the tables into")
    arguments = parser.parse_args()
    write_page(arguments.page, gather(arguments.runs, arguments.page.parent / arguments.page.stem / "results.json"))


if __name__ == "__main__":
    main()
