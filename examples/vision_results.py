"""Write the page of the experiments on moved CIFAR-10: tables over seeds, bars, and the weights of four views."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch
from cifar import CLASS_NAMES, CifarImages, move
from data import write_json
from machine import describe
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from vision_methods import (
    ARCHITECTURES,
    FINETUNED,
    FINETUNED_SPATIAL,
    GROUPS,
    NETWORKS,
    WEIGHED,
    ZERO_SHOT,
    finetune_stage,
)
from vision_records import ALL_STAGES, Found, all_stages, differences, gather
from vision_stages import Run, Sizes

MARKER = "<!-- Below this line: written by examples/rot90_cifar10.py -->"
MOVED = {"rot90": "turned", "flip": "mirrored"}
SEEDS = 3
BLUE, ORANGE, INK, FAINT = "#0072b2", "#d55e00", "#1b1f24", "#d5d9de"
BARS = {
    "base frozen": ("base", "equitune", "equizero", "equizero, published rule", "λ-equitune", "attention"),
    "finetuned": ("base", "augmentation", "equitune", "equizero", "λ-equitune", "attention"),
}
PICTURES = (1, 3)  # test images: a cat, and an airplane seen from above, which has no right way up

# Accuracy on rot90-CIFAR-10 after the first and the tenth epoch, of a ResNet (Figure 5b) and an AlexNet (Figure 11b),
# read off the plots to half a point. The paper exchanges the names of the two equizero curves, as the code that draws
# them shows. Here the names are right.
PUBLISHED = {
    "λ-equitune": ("77 → 80", "75.5 → 80"),
    "equitune": ("74 → 77", "71 → 75.5"),
    "equizero": ("", ""),
    "equizero, entropy": ("62 → 63.5", "69 → 72.5"),
    "equizero, published rule": ("53 → 58", "52.5 → 53.5"),
}


def write_page(page: Path, runs: Sequence[Run], command: str, elsewhere: Sequence[Run] = ()) -> None:
    """Replace everything below the marker line of a page; plots and raw results go into a folder beside it.

    Results of an earlier page are kept if the runs that made them are gone.

    Args:
        page: The page.
        runs: The runs of the page.
        command: The command that made them.
        elsewhere: The same runs on another machine, or on another number of threads, only to compare.
    """
    above = page.read_text(encoding="utf-8").partition(MARKER)[0] if page.is_file() else "# Images\n\n"
    folder = page.parent / page.stem
    folder.mkdir(parents=True, exist_ok=True)
    found = gather(runs, folder / "results.json", elsewhere)
    write_json(folder / "results.json", found)
    parts = [above.rstrip(), MARKER, _versions(found, command)]
    parts.append(f"## The bases, and the CPU time of each stage\n\n{_runs(found)}")
    parts.append(f"## Zero-shot\n\n{_zero_shot(found)}")
    parts.append(f"## Invariance and the spatial level, from pixels\n\n{_checks(found)}")
    parts.append(f"## λ and attention on a frozen base\n\n{_weights(found)}")
    parts += [f"## Finetuned, {transform}\n\n{_finetuned(found, transform)}" for transform in GROUPS]
    parts.append(f"## Compared with the published figures (Figures 5b and 11b)\n\n{_beside_published(found)}")
    if any(True for _ in differences(found)):
        parts.append(f"## The same on other machines\n\n{_differences(found)}")
    for name, (title, draw) in PLOTS.items():
        image = draw(found, runs)
        if image is not None:
            (folder / name).write_bytes(image)
        if (folder / name).is_file():
            parts.append(f"## {title}\n\n![{title}]({page.stem}/{name})")
    page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def of_stage(found: Found, architecture: str, stage: str, *keys: str) -> list[Any]:
    """Return the values under these keys of a stage, for all seeds of an architecture."""
    own = [found[name] for name in sorted(found) if name.startswith(f"{architecture}/")]
    values: list[Any] = [stages[stage] for stages in own if stage in stages]
    for key in keys:
        values = [value[key] for value in values if key in value]
    return values


def spread(values: Sequence[float], digits: int = 1) -> str:
    """Format the mean and the standard deviation, with the number of seeds if some are missing."""
    if not values:
        return ""
    notes = [f"{stdev(values):.{digits}f}"] if len(values) > 1 else []
    if len(values) < SEEDS:
        notes.append(f"{len(values)} of {SEEDS} seeds")
    return f"{mean(values):.{digits}f} ({', '.join(notes)})"


def make_table(header: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    """Return a table without the rows that hold only their name."""
    kept = [row for row in rows if any(row[2:])]
    if not kept:
        return "No run has come this far."
    lines = [header, ["---"] * len(header), *kept]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _versions(found: Found, command: str) -> str:
    seeds = sorted({name.rpartition("seed")[2] for name in found})
    # The seconds of a record without a machine are only those since its run was last resumed.
    spent = describe([results if "machine" in results else {} for results in all_stages(found)])
    return (
        f"    {command}\n\nSeeds {', '.join(seeds)}. {spent}\n\nAccuracies in per cent: mean "
        "(standard deviation), on all 10,000 test images where nothing else is said."
    )


def _runs(found: Found) -> str:
    """Return the sizes of the bases and the CPU seconds of all stages."""

    def rows() -> Iterator[list[str]]:
        for architecture, title in ARCHITECTURES.items():
            size = {f"{count:,}" for count in of_stage(found, architecture, "base", "parameters")}
            stages = (of_stage(found, architecture, stage) for stage in ALL_STAGES)
            whole = [[_seconds(results) for results in own] for own in stages]
            yield [title, ", ".join(size), *(spread(seconds, 0) for seconds in whole)]

    table = make_table(
        ["base", "parameters", "training, CPU s", *(f"{stage}, CPU s" for stage in ALL_STAGES[1:])], rows()
    )
    return "\n\n".join([table, *_resumed_wrongly(found)])


def _resumed_wrongly(found: Found) -> Iterator[str]:
    """Say which ViT was resumed before examples/cifar_bases.py read all of its tensors. Records since hold no step."""
    for name, own in sorted(found.items()):
        step = own.get("base", {}).get("resumed_at_step")
        if step and name.startswith("vit/"):
            yield (
                f"The base of {name} was resumed at step {step} with an error that is mended since: its layers began "
                "anew there, with the learning rate of that step."
            )


def _seconds(results: dict[str, Any]) -> float:
    """Return the CPU seconds. Records without a machine count those of finetuning, which resumes, by method."""
    methods = results.get("method_seconds")
    own: float = results.get("seconds", {}).get("cpu", 0) if methods is None else sum(methods.values())
    return own


def _zero_shot(found: Found) -> str:
    def rows() -> Iterator[list[str]]:
        for architecture, title in ARCHITECTURES.items():
            yield [title, "base, upright images", *[spread(of_stage(found, architecture, "zero_shot", "upright"))] * 2]
            for name in ZERO_SHOT:
                yield [
                    title,
                    name,
                    *(spread(of_stage(found, architecture, "zero_shot", "accuracy", group, name, "moved"))
                      for group in GROUPS),
                    *(spread(of_stage(found, architecture, "zero_shot", "upright_taken", group, name))
                      for group in GROUPS),
                ]  # fmt: skip

    def filled() -> Iterator[list[str]]:
        for row in rows():
            yield [*row, *[""] * (6 - len(row))]

    head = ["base", "model", "rot90", "flip", "rot90: upright view taken, %", "flip: upright view taken, %"]
    return make_table(head, filled())


def _checks(found: Found) -> str:
    def rows() -> Iterator[list[str]]:
        for architecture, title in ARCHITECTURES.items():
            for group in GROUPS:
                for name in ("equitune", "equizero", *NETWORKS.values()):
                    stage = "spatial" if name in NETWORKS.values() else "zero_shot"
                    own = of_stage(found, architecture, stage, "checks", group, name)
                    yield [title, f"{group}, {name}", *(_check(own, key) for key in CHECKED)]

    counts = {results.get("checked", Sizes().checked) for results in all_stages(found) if "checks" in results}
    of = " or ".join(f"{count:,}" for count in sorted(counts))
    table = make_table(["base", "group and method", *CHECKED], rows())
    return f"Of the first {of} test images.\n\n{table}" if counts else table


CHECKED = (
    "features, upright",
    "features, moved",
    "spatial, moved",
    "largest difference, upright and moved",
    "largest difference, features and spatial",
)


def _check(own: list[dict[str, float]], key: str) -> str:
    values = [checks[key] for checks in own]
    if not key.startswith("largest") or not values:
        return spread(values)
    return f"{max(values):.0e}"


def _weights(found: Found) -> str:
    def rows() -> Iterator[list[str]]:
        for architecture, title in ARCHITECTURES.items():
            for group in GROUPS:
                own = {name: of_stage(found, architecture, "weights", "accuracy", group, name) for name in WEIGHED}
                for name, results in own.items():
                    yield [
                        title,
                        f"{group}, {name}",
                        spread([result["moved"] for result in results]),
                        spread([result["weight_upright"] for result in results], 2),
                        spread([result["largest_elsewhere"] for result in results]),
                    ]

    head = ["base", "group and model", "moved", "mean weight of the upright view", "largest weight on another, %"]
    return make_table(head, rows())


def _finetuned(found: Found, transform: str) -> str:
    def rows() -> Iterator[list[str]]:
        for architecture, title in ARCHITECTURES.items():
            for name in (*FINETUNED, *FINETUNED_SPATIAL):
                own = of_stage(found, architecture, finetune_stage(transform), "accuracy", name)
                upright = [result["upright"] for result in own if "upright" in result]
                elsewhere = [result["largest_elsewhere"] for result in own if "largest_elsewhere" in result]
                seconds = of_stage(found, architecture, finetune_stage(transform), "training_seconds", name)
                yield [
                    title,
                    name,
                    spread([result["moved"] for result in own]),
                    spread(upright) or ("same as moved" if own else ""),
                    spread(elsewhere),
                    spread(seconds, 0),
                ]

    head = ["base", "model", "moved", "upright", "largest weight on another view, %", "training, CPU s"]
    return make_table(head, rows())


def _beside_published(found: Found) -> str:
    def rows() -> Iterator[list[str]]:
        for name, published in PUBLISHED.items():
            ours = [spread(_values(found, "resnet", "rot90", name, title, "moved")) for title in BARS]
            yield [name, *published, *ours]

    theirs = [f"published, {name}: epoch 1 → 10, read off the plot (±0.5)" for name in ("ResNet", "AlexNet")]
    return make_table(["model", *theirs, *(f"our ResNet, {title}" for title in BARS)], rows())


def _differences(found: Found) -> str:
    head = ["run", "stage", "the other machine", "accuracies", "mean difference, points", "largest difference"]
    return (
        "Stages that were run a second time, beside those in the tables above. Where a base is listed, the other "
        "stages of that run began with that base. `--page FILE --elsewhere DIR` adds the rows of such runs.\n\n"
        + make_table(head, differences(found))
    )


def _values(found: Found, architecture: str, transform: str, name: str, title: str, part: str) -> list[float]:
    """Return the accuracies of a bar: of a frozen or finetuned base, on moved or upright images."""
    if name == "base":
        keys = ("upright",) if part == "upright" else ("accuracy", transform, "base", "moved")
        return of_stage(found, architecture, "zero_shot", *keys)
    if title == "finetuned":
        own = of_stage(found, architecture, finetune_stage(transform), "accuracy", name)
    else:
        own = [
            *of_stage(found, architecture, "zero_shot", "accuracy", transform, name),
            *of_stage(found, architecture, "weights", "accuracy", transform, name),
        ]
    return [
        result.get(part, result["moved"]) for result in own
    ]  # an invariant model has the same accuracy on upright images


def draw_bars(found: Found, runs: Sequence[Run], transform: str) -> bytes | None:
    """Draw accuracies on upright and moved images, of frozen bases above and finetuned ones below."""
    shown = [name for name in ARCHITECTURES if of_stage(found, name, "zero_shot")]
    if not shown:
        return None
    figure = Figure(figsize=(4.6 * len(shown) + 0.4, 7), dpi=160, layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(2, len(shown), squeeze=False, sharey=True)
    for row, (title, names) in zip(rows, BARS.items(), strict=True):
        for axes, architecture in zip(row, shown, strict=True):
            for shift, part in ((-0.2, "upright"), (0.2, "moved")):
                _draw_bars(axes, [_values(found, architecture, transform, name, title, part) for name in names], shift)
            axes.set_xticks(range(len(names)), names, rotation=30, ha="right", rotation_mode="anchor")
            axes.set_title(f"{ARCHITECTURES[architecture]}, {title}")
            axes.set_xlim(-0.6, len(names) - 0.4)
            axes.set_ylim(0, 100)
            axes.grid(axis="y", color=FAINT)
            axes.set_axisbelow(True)
        row[0].set_ylabel("accuracy, per cent")
    handles = [
        Patch(facecolor="white", edgecolor=ORANGE, hatch="////", label="upright"),
        Patch(facecolor=BLUE, edgecolor=BLUE, label=f"{MOVED[transform]} at random"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
    return _png(figure)


def _draw_bars(axes: Any, values: list[list[float]], shift: float) -> None:
    """Draw a bar for each measured method, with its deviation and its height above it."""
    look = (
        {"facecolor": "white", "edgecolor": ORANGE, "hatch": "////"}
        if shift < 0
        else {"facecolor": BLUE, "edgecolor": BLUE}
    )
    for place, own in enumerate(values):
        if own:
            height, width = mean(own), stdev(own) if len(own) > 1 else 0.0
            axes.bar(place + shift, height, 0.38, yerr=width or None, **look)
            axes.text(place + shift, height + width + 1, f"{height:.0f}", ha="center", fontsize=7, color=INK)


def draw_views(found: Found, runs: Sequence[Run]) -> bytes | None:
    """Draw Figure 12 if the images are there: test images in four rotations, each with its weight below."""
    run = next((run for run in runs if run.results("weights")), None)
    shown = [name for name in ARCHITECTURES if of_stage(found, name, "weights", "shown")]
    if run is None:
        return None
    images: CifarImages = run.parts["test"]
    figure = Figure(figsize=(6.4, 2.0 * len(PICTURES)), dpi=160, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(PICTURES), 4, squeeze=False)
    for row, number in zip(grid, PICTURES, strict=True):
        views = move(images.images[[number] * 4], torch.arange(4), "rot90")
        for k, axes in enumerate(row):
            axes.imshow(np.asarray(views[k]).transpose(1, 2, 0))
            axes.set_xticks([])
            axes.set_yticks([])
            lines = []
            for architecture in shown:
                (first, *_) = of_stage(found, architecture, "weights", "shown")
                lines += [
                    f"{ARCHITECTURES[architecture]} {_symbol(name)} {first[name][number][k]:.2f}" for name in first
                ]
            axes.set_xlabel("\n".join(lines), fontsize=8)
            axes.set_title(GROUPS["rot90"].names[k], fontsize=9)
        row[0].set_ylabel(CLASS_NAMES[int(images.labels[number])])
    return _png(figure)


def _symbol(name: str) -> str:
    return "λ" if name.startswith("λ") else name


def _png(figure: Figure) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


PLOTS: dict[str, tuple[str, Callable[[Found, Sequence[Run]], bytes | None]]] = {
    "rot90.png": ("Accuracy on upright and turned images (Figures 5b and 11b)", partial(draw_bars, transform="rot90")),
    "flip.png": ("Accuracy on upright and mirrored images", partial(draw_bars, transform="flip")),
    "weights.png": ("Weights of the four rotations of an image (Figure 12)", draw_views),
}
