"""Write the page of the experiment on ImageNet photos: tables with intervals, a plot, and turned drawings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from data import write_json
from elsewhere import OTHERS, apart, keep_beside
from imagenet_pictures import pictures
from imagenet_run import GROUPS, TRAINED, Experiment
from imagenet_stages import STAGES, network_file
from machine import describe
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from safetensors.torch import load_file

from hf_equi.figures import number

MARKER = "<!-- Below this line: written by examples/imagenet.py -->"
BLUE, ORANGE, INK, FAINT = "#0072b2", "#d55e00", "#1b1f24", "#d5d9de"
TITLES = {"turned": "turned (C4)", "mirrored": "mirrored up-down", "turned and mirrored": "turned and mirrored (D4)"}

Found = dict[str, Any]


def write_page(page: Path, run: Experiment, command: str, elsewhere: Experiment | None = None) -> None:
    """Replace everything below the marker line of a page; plots and raw results go into a folder beside it.

    Results of an earlier page are kept if the run that made them is gone.

    Args:
        page: The page.
        run: The run.
        command: The command that made it.
        elsewhere: The same run on another machine, or on another number of threads, only to compare.
    """
    above = page.read_text(encoding="utf-8").partition(MARKER)[0] if page.is_file() else "# ImageNet\n\n"
    folder = page.parent / page.stem
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "results.json"
    found: Found = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
    found |= {stage: results for stage in STAGES if (results := run.results(stage)) is not None}
    for stage in STAGES:
        results = None if elsewhere is None else elsewhere.results(stage)
        if results is not None:
            keep_beside(found, stage, results)
    write_json(kept, found)
    parts = [above.rstrip(), MARKER, _versions(found, command, run.seed)]
    if "zero_shot" in found:
        draw_accuracies(found, folder / "accuracies.png")
        parts.append(f"![Accuracy of all methods; the band is the base on upright photos]({page.stem}/accuracies.png)")
    parts += [text for stage, section in SECTIONS.items() if stage in found for text in section(found)]
    if "trained" in found and network_file(run, "turned", "attention").is_file():
        draw_pictures(run, folder / "pictures.png")
    if (folder / "pictures.png").is_file():
        parts += [
            "## Pictures turned, and how much each turn counts",
            f"![Four drawn pictures in their four turns]({page.stem}/pictures.png)",
        ]
    if rows := list(_differences(found)):
        header = ["stage", "the other machine", "accuracies", "mean difference, points", "largest difference"]
        parts += [
            "## The same on other machines",
            "`--threads 2` and `--output runs/again` make such a run; `--page FILE --elsewhere DIR` adds its row.",
            table(header, iter(rows)),
        ]
    page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _differences(found: Found) -> Iterator[list[str]]:
    """Return a row for each stage that ran elsewhere too."""
    for machine, stages in found.get(OTHERS, {}).items():
        for stage, results in stages.items():
            cells = apart(found.get(stage), results, lambda name: name.endswith(", mean"))
            if cells:
                yield [stage, machine, *cells]


def _versions(found: Found, command: str, seed: int) -> str:
    about = found.get("features", {})
    return (
        f"    {command}\n\n"
        f"Seed {seed}; {about.get('photos', 0)} photos, {about.get('classes', 0):,} classes, a model of "
        f"{about.get('parameters', 0):,} parameters. Accuracies are in per cent; in brackets are 95 % intervals "
        f"from resampling the photos. {describe([results for stage, results in found.items() if stage != OTHERS])}"
    )


def cell(entry: Mapping[str, Any] | None, sign: str = "") -> str:
    """Format a share with its interval."""
    if entry is None:
        return ""
    low, high = entry["interval"]
    return f"{entry['mean']:{sign}.1f} ({low:.1f} to {high:.1f})".replace("-", "−")


def table(header: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, ["---"] * len(header), *rows])


def _zero_shot(found: Found) -> Iterator[str]:
    own = found["zero_shot"]

    def positions() -> Iterator[list[str]]:
        for name, entry in own["positions"].items():
            yield [name, cell(entry)]

    def methods() -> Iterator[list[str]]:
        for title, entries in own["groups"].items():
            yield [TITLES[title], "base", cell(entries["base"]["accuracy"]), "", "", ""]
            for name, entry in entries.items():
                if name != "base":
                    more, less = cell(entry["over_base"], "+"), cell(entry["below_upright"], "+")
                    taken = cell(entry.get("upright_taken"))
                    yield [TITLES[title], name, cell(entry["accuracy"]), more, less, taken]

    yield "## The base, by the position of the photos"
    yield table(["position", "accuracy"], positions())
    yield "## Without training"
    yield table(
        [
            "photos",
            "model",
            "accuracy",
            "gain over the base, moved",
            "gain over the base, upright",
            "upright view taken, %",
        ],
        methods(),
    )


def _checks(found: Found) -> Iterator[str]:
    own = found["checks"]
    yield "## What should agree"
    yield (
        f"Measured on {own['photos']} photos, with equitune over the four turns. The logits of a photo and of the "
        f"same photo turned by 90° differ by at most {number(own['turned_photo'])} at the features level and "
        f"{number(own['turned_photo_spatial'])} at the spatial level. With the usual processor instead of "
        f"`symmetric_processor`, the difference is {number(own['turned_photo_usual_processor'])}. The two levels "
        f"differ by at most {number(own['spatial_and_features'])}. The spatial level recognises "
        f"{own['spatial_right']:.1f} % of these photos, the features level {own['features_right']:.1f} %."
    )


def _processors(found: Found) -> Iterator[str]:
    own = found["processors"]
    shapes = {shape: entry for shape, entry in own.items() if isinstance(entry, Mapping) and "between" in entry}

    def rows() -> Iterator[list[str]]:
        for shape, entry in shapes.items():
            for name in ("usual", "symmetric"):
                apart = [number(entry[name][of]) for of in ("median", "largest")]
                yield [shape, name, *apart, f"{entry[name]['milliseconds']:.1f}"]

    between = " and ".join(f"{entry['between']:.2f}" for entry in shapes.values())
    yield "## Photos that are turned before the processor reads them"
    yield (
        f"{own['photos']} photos, enlarged to two sizes, with equitune over the four turns: the largest difference "
        "between the logits of a photo and of the photo turned by 90°. Between the two processors, the logits of "
        f"upright photos differ by {between} (medians)."
    )
    yield table(["size", "processor", "median", "largest", "processor, ms of CPU a photo"], rows())


def _trained(found: Found) -> Iterator[str]:
    def rows() -> Iterator[list[str]]:
        for title, entries in found["trained"].items():
            if title not in GROUPS:
                continue
            for name, entry in entries.items():
                halves = f"{min(entry['splits']):.1f} to {max(entry['splits']):.1f}"
                weight = f"{entry['weight_upright']:.2f}" if "weight_upright" in entry else ""
                yield [TITLES[title], name, cell(entry), halves, weight]

    yield "## Trained on half of the photos, tested on the other half"
    yield table(
        ["photos", "model", "accuracy", "range over the test halves", "mean weight of the upright view"], rows()
    )


def _speed(found: Found) -> Iterator[str]:
    own = found["speed"]["ways"]
    batches = list(next(iter(own.values())))

    def rows() -> Iterator[list[str]]:
        for name, rates in own.items():
            cells = [
                f"{rate['median']:.1f} ({rate['least']:.1f} to {rate['most']:.1f})"
                for rate in (rates[batch] for batch in batches)
            ]
            yield [name, *cells]

    yield "## Images a second"
    yield (
        f"Images per second of CPU time, from pixels to logits, in evaluation mode, threads: "
        f"{found['speed']['threads']}. All rows but the first read all four turns. Figures are medians of five runs "
        "(least to most)."
    )
    yield table(["model", *(f"{batch} at once" for batch in batches)], rows())


CANONICAL = {
    "base, upright": "base",
    "base": "base",
    "equizero": "equizero",
    "equizero, entropy": "equizero",
    "energy": "energy",
    "CIFAR-10": "canonicalizer",
    "CIFAR-10, then photos": "canonicalizer",
}
"""The models of the section on canonicalizers, each with the one that was timed for it."""


def _canonical(found: Found) -> Iterator[str]:
    own = found["canonical"]
    entries = own["turned"]
    batch = max(own["rates"]["base"], key=int)

    def rows() -> Iterator[list[str]]:
        for name, timed in CANONICAL.items():
            entry, rate = entries[name], own["rates"][timed][batch]
            gain = [entries[one]["mean"] - entries["base"]["mean"] for one in (name, "equizero")]
            kept = f"{100 * gain[0] / gain[1]:.0f}" if gain[1] and not name.startswith("base") else ""
            yield [
                f"canonicalizer, {name}" if timed == "canonicalizer" else name,
                cell(entry),
                f"{min(entry['splits']):.1f} to {max(entry['splits']):.1f}",
                f"{entry['upright']:.1f}" if "upright" in entry else "",
                kept,
                f"{own['forwards'][timed]:g}",
                f"{rate['median']:.1f} ({rate['least']:.1f} to {rate['most']:.1f})",
            ]

    seconds, checked = own["training_seconds"], own["checked"]
    yield "## A canonicalizer, and the base once"
    yield table(
        [
            "model",
            "accuracy on turned photos",
            "range over the test halves",
            "upright view taken, %",
            "share of equizero's gain, %",
            "base forwards a photo",
            f"photos a CPU second, {batch} at once",
        ],
        rows(),
    )
    yield (
        f"The canonicalizer has {own['weights']:,} weights. It trained for {seconds['CIFAR-10']:.0f} CPU seconds on "
        f"CIFAR-10, and for {seconds['photos, a split']:.0f} on the photos of each split. From pixels, "
        f"{checked['differing']} of {checked['photos']} photos are recognised otherwise than by the features that the "
        f"table is made from, and logits of a photo and of the same photo turned by 90° differ by at most "
        f"{number(checked['turned_photo'])}."
    )


SECTIONS = {
    "zero_shot": _zero_shot,
    "trained": _trained,
    "canonical": _canonical,
    "checks": _checks,
    "processors": _processors,
    "speed": _speed,
}


def draw_accuracies(found: Found, path: Path) -> None:
    """Draw a point and its interval for each method; the base on upright photos is a band."""
    figure = Figure(figsize=(9.6, 3.4), dpi=160, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(GROUPS), sharey=True)
    upright = found["zero_shot"]["upright"]
    for axes, title in zip(panels, GROUPS, strict=True):
        zero = {name: entry["accuracy"] for name, entry in found["zero_shot"]["groups"][title].items()}
        learnt = {name: found["trained"][title][name] for name in TRAINED} if "trained" in found else {}
        points = {**zero, **{f"{name}, trained": entry for name, entry in learnt.items()}}
        axes.axvspan(*upright["interval"], color=FAINT, alpha=0.5, lw=0)
        axes.axvline(upright["mean"], color=INK, lw=1, ls=":")
        for place, (name, entry) in enumerate(points.items()):
            colour = INK if name == "base" else ORANGE if name.endswith("trained") else BLUE
            axes.plot(entry["interval"], [place, place], color=colour, lw=2)
            axes.plot(entry["mean"], place, "o", color=colour, ms=5)
        axes.set_yticks(range(len(points)), list(points))
        axes.set_xlabel("accuracy, %")
        axes.set_title(TITLES[title], fontsize=10)
        axes.grid(axis="x", color=FAINT, lw=0.5)
    panels[0].invert_yaxis()
    figure.savefig(path)


@torch.no_grad()
def draw_pictures(run: Experiment, path: Path) -> None:
    """Draw the pictures in their four turns, with what the base says of each and how much each counts."""
    group, drawn = GROUPS["turned"], pictures()
    base, zero = run.base, run.symmetrize("equizero", group)
    weighed = {name: run.symmetrize(name, group) for name in TRAINED}
    for name, model in weighed.items():
        model.lambda_network.load_state_dict(load_file(network_file(run, "turned", name)))
    figure = Figure(figsize=(8.4, 3.0 * len(drawn)), dpi=110, layout="tight")
    FigureCanvasAgg(figure)
    for row, picture in zip(figure.subplots(len(drawn), 4), drawn.values(), strict=True):
        pixels = run.processor(picture, return_tensors="pt").pixel_values
        taken = int(zero(pixel_values=pixels).chosen_element[0])
        weights = {name: model(pixel_values=pixels).group_weights[0] for name, model in weighed.items()}
        for k, axes in enumerate(row):
            said = base(pixel_values=pixels.rot90(k, (2, 3))).logits.softmax(-1)[0]
            best = int(said.argmax())
            lines = [f"base: {base.config.id2label[best]} {said[best]:.2f}"]
            lines += [f"{name}: weight {values[k]:.2f}" for name, values in weights.items()]
            lines += ["equizero takes this" if k == taken else ""]
            axes.imshow(np.rot90(np.asarray(picture), k))
            axes.set_xlabel("\n".join(lines), fontsize=8)
            axes.set_xticks([])
            axes.set_yticks([])
            axes.set_title(group.names[k], fontsize=9)
    figure.savefig(path)
