"""Write the page of the experiment on canonicalization: tables over seeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from canonical_methods import BY_PRIOR, FINETUNED, FROZEN, GROUPS, LAMBDA, PLAIN, TURNS, finetune_stage
from canonical_stages import CANONICALIZERS, STAGES, STAGES_OF_BASES, CanonicalRun
from data import write_json
from machine import describe
from vision_methods import ARCHITECTURES
from vision_records import Found, all_stages, gather
from vision_results import make_table, of_stage, spread

MARKER = "<!-- Below this line: written by examples/rot_cifar10_canonical.py -->"
ALL_STAGES = (*STAGES, *STAGES_OF_BASES)
COMPUTES_AS = {PLAIN: "base, none", "augmentation": "base, none", "LC": "prior only", "prior-LC": "prior only"}
"""Models that differ from another one in their weights alone."""
TITLES = {"upright": "upright", "C4": "C4 turns", "C8": "C8 turns", "any": "any turn"}

# Accuracy in per cent on upright and C8-turned CIFAR-10 of a ResNet-50 that was pretrained on ImageNet.
PUBLISHED = {
    "vanilla": ("96.97", "57.77"),
    "augmentation": ("94.91", "90.11"),
    "LC": ("93.29", "92.96"),
    "prior-LC": ("96.19", "95.31"),
    "energy": ("", "95.6 to 96.0, at some 56 times the cost"),
}


def write_page(page: Path, runs: Sequence[CanonicalRun], command: str) -> None:
    """Replace everything below the marker line of a page; raw results go into a folder beside it.

    Results of an earlier page are kept if the runs that made them are gone.

    Args:
        page: The page.
        runs: The runs of the page.
        command: The command that made them.
    """
    above = page.read_text(encoding="utf-8").partition(MARKER)[0] if page.is_file() else "# Canonicalization\n\n"
    folder = page.parent / page.stem
    folder.mkdir(parents=True, exist_ok=True)
    found = gather(runs, folder / "results.json", stages=ALL_STAGES)
    write_json(folder / "results.json", found)
    parts = [above.rstrip(), MARKER, _versions(found, command)]
    for architecture, title in ARCHITECTURES.items():
        parts += [f"## {title}, {group}\n\n{_methods(found, architecture, group)}" for group in GROUPS]
    parts.append(f"## Turns that were found\n\n{_turns(found)}")
    parts.append(f"## Compared with the published figures\n\n{_beside_published(found)}")
    parts.append(f"## From pixels and from features\n\n{_checks(found)}")
    parts.append(f"## CPU time of each stage\n\n{_stages(found)}")
    page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _versions(found: Found, command: str) -> str:
    seeds = sorted({name.rpartition("seed")[2] for name in found})
    return (
        f"    {command}\n\nSeeds {', '.join(seeds) or 'none so far'}. {describe(all_stages(found))}\n\nAccuracies in "
        "per cent: mean (standard deviation) over seeds, on all 10,000 test images."
    )


def accuracies(found: Found, architecture: str, name: str, group: str) -> list[dict[str, float]]:
    """Return the accuracies of a model, seed by seed."""
    if name in FINETUNED or name == PLAIN:
        return of_stage(found, architecture, finetune_stage("none" if name == PLAIN else group), "accuracy", name)
    return of_stage(found, architecture, "frozen", "accuracy", key(name, group))


def key(name: str, group: str) -> str:
    """Return the name under which the stages of frozen bases store a model."""
    return f"{name}, {'none' if name == 'base' else group}"


def _seconds(found: Found, architecture: str, name: str, group: str) -> str:
    """Return the CPU seconds of a model's training."""
    if name in BY_PRIOR:
        return spread(of_stage(found, CANONICALIZERS, "prior", "training_seconds", key(name, group)), 0)
    if name == LAMBDA:
        return spread(of_stage(found, architecture, "frozen", "training_seconds", key(name, group)), 0)
    stage = finetune_stage("none" if name == PLAIN else group)
    seconds = of_stage(found, architecture, stage, "training_seconds", name)
    return spread(seconds, 0) if name in FINETUNED or name == PLAIN else "none"


def _methods(found: Found, architecture: str, group: str) -> str:
    """Return the table of one base and group."""

    def rows() -> Iterator[list[str]]:
        for name in ("base", PLAIN, *FINETUNED, *FROZEN):
            own = accuracies(found, architecture, name, group)
            if not own:
                continue
            same = COMPUTES_AS.get(name, name)
            same = same if same == "base, none" else key(same, group)
            forwards = {f"{count:g}" for count in of_stage(found, architecture, "speed", "forwards", same)}
            rates = [rate["median"] for rate in of_stage(found, architecture, "speed", "rates", same)]
            yield [
                name,
                *(spread([one[turns] for one in own]) for turns in TURNS),
                " or ".join(sorted(forwards)),
                spread(rates, 0),
                _seconds(found, architecture, name, group),
            ]

    head = ["model", *TITLES.values(), "base forwards a picture", "pictures a CPU second", "training, CPU s"]
    return make_table(head, rows())


def _turns(found: Found) -> str:
    """Return how often each canonicalizer found how an image was turned."""

    def rows() -> Iterator[list[str]]:
        for group in GROUPS:
            for name in BY_PRIOR:
                own = of_stage(found, CANONICALIZERS, "prior", "accuracy", key(name, group))
                weights = {f"{one['weights']:,}" for one in own}
                yield [f"{name}, {group}", "", *(spread([one[turns] for one in own]) for turns in TURNS), *weights]
            for architecture, title in ARCHITECTURES.items():
                for name in FINETUNED:
                    said = [f"{turns}, turn found" for turns in TURNS]
                    own = [one for one in accuracies(found, architecture, name, group) if said[0] in one]
                    yield [f"{name}, {group}", title, *(spread([one[turns] for one in own]) for turns in said), ""]

    head = ["canonicalizer", "base", *(f"{title}, %" for title in TITLES.values()), "weights"]
    return make_table(head, rows())


def _beside_published(found: Found) -> str:
    """Return the published accuracies beside those of the ResNet and the group C8."""

    def rows() -> Iterator[list[str]]:
        for name, published in PUBLISHED.items():
            own = accuracies(found, "resnet", PLAIN if name == "vanilla" else name, "C8")
            yield [name, *published, *(spread([one[turns] for one in own]) for turns in ("upright", "C8"))]

    head = ["model", "published, upright", "published, C8", "our ResNet, upright", "our ResNet, C8"]
    return make_table(head, rows())


def _checks(found: Found) -> str:
    """Return how many answers differ between the models themselves and what was found from features."""

    def rows() -> Iterator[list[str]]:
        for architecture, title in ARCHITECTURES.items():
            for group in GROUPS:
                for name in FROZEN:
                    own = of_stage(found, architecture, "checks", "differing", key(name, group))
                    if own:
                        most = (max(one[turns] for one in own) for turns in ("C4", "any"))
                        yield [title, key(name, group), *(f"{share:.1f}" for share in most)]

    counts = {f"{count:,}" for name in ARCHITECTURES for count in of_stage(found, name, "checks", "checked")}
    return (
        f"Answers that differ, in per cent of the first {' or '.join(sorted(counts)) or 'few'} test images, the most "
        f"of any seed.\n\n{make_table(['base', 'model', 'C4 turns', 'any turn'], rows())}"
    )


def _stages(found: Found) -> str:
    """Return the CPU seconds of all stages."""

    def rows() -> Iterator[list[str]]:
        for name, title in {CANONICALIZERS: "the canonicalizers", **ARCHITECTURES}.items():
            for stage in STAGES if name == CANONICALIZERS else STAGES_OF_BASES:
                seconds: list[dict[str, Any]] = of_stage(found, name, stage, "seconds")
                yield [title, stage, spread([one["cpu"] for one in seconds], 0)]

    return make_table(["base", "stage", "CPU s"], rows())
