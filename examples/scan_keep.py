"""Keep the trained networks of SCAN in half precision, each with a card."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scan_stages import SETTINGS, Run
from weights import WEIGHTS, keep_model, make_card

from hf_equi import GroupRecurrentSeq2Seq, RecurrentSeq2Seq

FOLDER = WEIGHTS / "scan"
KINDS = {
    "base": "An encoder-decoder with attention, trained on the commands.",
    "finetuned": "The same network as the base, finetuned symmetrised: its orbit under the group gives the answers.",
    "equivariant": "A network that is equivariant by construction (Gordon et al. 2020).",
}
DATA = "SCAN by Lake and Baroni 2018 (brendenlake/SCAN, BSD licence), split {split}"


@dataclass(frozen=True)
class Network:
    """A network that is kept.

    Args:
        kind: What it is, a key of `KINDS`.
        stage: The stage that trains it.
        path: Its folder in that of the run.
        method: The method by which it is measured; the network alone, or all of a stage, by default.
    """

    kind: str
    stage: str
    path: str
    method: str | None = None


OURS = (
    Network("base", "pretrain", "base"),
    Network("finetuned", "finetune", "finetuned"),
    Network("equivariant", "equivariant", "equivariant"),
)
PUBLISHED = {
    ("add_jump", "lstm"): Network("finetuned", "finetune", "equizero-2e-05/finetuned", "equizero, rate 2e-05"),
    ("around_right", "rnn"): Network("equivariant", "equivariant", "equivariant"),
}
"""Of the runs with the published settings, what the limit on the size of all weights leaves room for."""


def kept_of(run: Run) -> Sequence[Network]:
    """Return the networks of a run that are kept."""
    if run.settings == SETTINGS[0]:
        return OURS
    return [network for key, network in PUBLISHED.items() if key == (run.split, run.cell)]


def folder_of(run: Run, network: Network) -> Path:
    """Return the folder in which a network of a run is kept."""
    mark = "" if run.settings == SETTINGS[0] else f"-{run.settings}"
    return FOLDER / f"{run.split}-{run.cell}{mark}-{network.kind}"


def load(run: Run, network: Network, folder: Path) -> RecurrentSeq2Seq:
    """Load a network of a run from a folder."""
    kind = GroupRecurrentSeq2Seq if network.kind == "equivariant" else RecurrentSeq2Seq
    model: RecurrentSeq2Seq = kind.from_pretrained(folder)
    return model.eval()


def keep(run: Run) -> None:
    """Keep the networks of a run whose stages are finished."""
    for network in kept_of(run):
        results = run.results(network.stage)
        if results is None:
            continue
        model = load(run, network, run.folder / network.path)
        parameters = sum(parameter.numel() for parameter in model.parameters())
        options = {"--split": run.split, "--cell": run.cell, "--seed": str(run.seed)}
        options |= {} if run.settings == SETTINGS[0] else {"--settings": run.settings}
        command = shlex.join(
            ["python", "examples/scan.py", "--data", "DIR", *(word for pair in options.items() for word in pair)]
        )
        settings = "" if run.settings == SETTINGS[0] else f", {run.settings} settings"
        card = make_card(
            f"SCAN, {run.split}: {run.cell.upper()}, {network.kind}{settings}",
            f"{KINDS[network.kind]} Cell: {run.cell.upper()}. {parameters:,} parameters. Seed {run.seed}.",
            command,
            DATA.format(split=run.split),
            _figures(results["accuracy"], network.method),
        )
        keep_model(model, folder_of(run, network), card)


def _figures(accuracies: dict[str, Any], method: str | None) -> str:
    """Return the exact matches, of the network alone or by method."""
    by_method = accuracies if "test" not in accuracies else {"alone": accuracies}
    parts = [
        f"{name}: validation {one['validation']:.1f} %, test {one['test']:.1f} %"
        for name, one in by_method.items()
        if method in (None, name)
    ]
    return f"exact matches, {'; '.join(parts)}"
