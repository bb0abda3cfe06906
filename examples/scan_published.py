"""The stages of one SCAN experiment with the published settings: single sentences, their rates and their number.

What the paper's text leaves open is taken from its code. Three things are not the same. Validation has no line of
training here. The bias of G-RNN's words is tied on orbits here. Its backward direction reads the end of a command last
there, and first here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from scan_single import Course, Loss, MembersLoss, mean_loss, sum_loss, train_single
from scan_stages import FINETUNED, PARTS, ZERO_SHOT, Run, make_base, make_equivariant, measure, zero_shot
from scan_training import accuracy
from transformers import set_seed

from hf_equi import RecurrentSeq2Seq

TRAINING = Course(steps=200_000, learning_rate=1e-4, every=20_000)
FINETUNING = Course(steps=10_000, learning_rate=2e-5, every=1000, weight_decay=1e-4)
RATES = (2e-5, 5e-5)
"""The authors' scripts finetune add_jump at the first and around_right at the second. Comments in their code say the
reverse, so both are run."""


def pretrain(run: Run) -> dict[str, Any]:
    """Train the base, and measure it."""
    set_seed(run.seed)
    return _train_network(run, make_base(run), "base", sum_loss)


def equivariant(run: Run) -> dict[str, Any]:
    """Train the network that is equivariant by construction, and measure it."""
    set_seed(run.seed)
    model = make_equivariant(run, hidden_size=64, dropout=0.0, activation="tanh")
    return _train_network(run, model, "equivariant", mean_loss)


def _train_network(run: Run, model: RecurrentSeq2Seq, name: str, loss: Loss) -> dict[str, Any]:
    def score() -> float:
        return accuracy(model, run.parts["validation"])

    folder = run.folder / f"{name}_checkpoints"
    clock = train_single(model, run.parts["train"], folder, TRAINING, loss, run.seed, score)
    model.save_pretrained(run.folder / name)
    return {"accuracy": {part: accuracy(model, run.parts[part]) for part in PARTS}, "seconds": clock.seconds}


def finetune(run: Run) -> dict[str, Any]:
    """Train the base symmetrised, by both methods and at both rates, and measure it with the method it was trained by.

    The authors' loop prints the accuracy after its last step, so the last weights are measured.
    """
    source, target = _permutations(run)
    accuracies, seconds = {}, []
    for rate in RATES:
        for method in ("equitune", "equizero"):
            set_seed(run.seed)
            base, folder = run.base(), run.folder / f"{method}-{rate:g}"
            loss = MembersLoss(source, target, select=method == "equizero")
            course = replace(FINETUNING, learning_rate=rate)
            clock = train_single(base, run.parts["train"], folder, course, loss, run.seed)
            methods = {name: settings for name, settings in MEASURED.items() if name.startswith(method)}
            found = measure(run, base, methods)
            accuracies |= {f"{name}, rate {rate:g}": parts for name, parts in found.items()}
            base.save_pretrained(folder / "finetuned")
            seconds.append(clock.seconds)
    return {"accuracy": accuracies, "seconds": {key: sum(one[key] for one in seconds) for key in seconds[0]}}


MEASURED = {**FINETUNED, "equizero, published max": ZERO_SHOT["equizero, published max"]}


def _permutations(run: Run) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the action of the group on the tokens of both languages, `(G, V)` each."""
    action = run.symmetrize(run.base(), method="equitune").action
    return action.source.permutations, action.target.permutations


STAGES: dict[str, Callable[[Run], dict[str, Any]]] = {
    "pretrain": pretrain,
    "zero_shot": zero_shot,
    "finetune": finetune,
    "equivariant": equivariant,
}
