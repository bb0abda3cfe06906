"""Keep the trained networks of SCAN in half precision, each with a card."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from scan_stages import Run
from weights import WEIGHTS, keep_model, make_card

from hf_equi import GroupRecurrentSeq2Seq, RecurrentSeq2Seq

FOLDER = WEIGHTS / "scan"
STAGES = {"base": "pretrain", "finetuned": "finetune", "equivariant": "equivariant"}
"""The stage that trains each network of a run."""
KINDS = {
    "base": "An encoder-decoder with attention, trained on the commands.",
    "finetuned": "The same network as the base, finetuned symmetrised: its orbit under the group gives the answers.",
    "equivariant": "A network that is equivariant by construction (Gordon et al. 2020).",
}
DATA = "SCAN by Lake and Baroni 2018 (brendenlake/SCAN, BSD licence), split {split}"


def folder_of(run: Run, network: str) -> Path:
    """Return the folder in which a network of a run is kept."""
    return FOLDER / f"{run.split}-{run.cell}-{network}"


def load(run: Run, network: str, folder: Path) -> RecurrentSeq2Seq:
    """Load a network of a run from a folder."""
    kind = GroupRecurrentSeq2Seq if network == "equivariant" else RecurrentSeq2Seq
    model: RecurrentSeq2Seq = kind.from_pretrained(folder)
    return model.eval()


def keep(run: Run) -> None:
    """Keep the networks of a run whose stages are finished."""
    for network, stage in STAGES.items():
        results = run.results(stage)
        if results is None:
            continue
        model = load(run, network, run.folder / network)
        parameters = sum(parameter.numel() for parameter in model.parameters())
        options = {"--split": run.split, "--cell": run.cell, "--seed": str(run.seed)}
        command = shlex.join(
            ["python", "examples/scan.py", "--data", "DIR", *(word for pair in options.items() for word in pair)]
        )
        card = make_card(
            f"SCAN, {run.split}: {run.cell.upper()}, {network}",
            f"{KINDS[network]} Cell: {run.cell.upper()}. {parameters:,} parameters. Seed {run.seed}.",
            command,
            DATA.format(split=run.split),
            _figures(results["accuracy"]),
        )
        keep_model(model, folder_of(run, network), card)


def _figures(accuracies: dict[str, Any]) -> str:
    """Return the exact matches, of the network alone or by method."""
    by_method = accuracies if "test" not in accuracies else {"alone": accuracies}
    parts = [
        f"{name}: validation {one['validation']:.1f} %, test {one['test']:.1f} %" for name, one in by_method.items()
    ]
    return f"exact matches, {'; '.join(parts)}"
