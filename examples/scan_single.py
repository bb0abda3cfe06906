"""Train on single sentences, as the papers' code does: one step a sentence, a constant rate, and the published loss.

`Trainer` and autograd spend more time on such a step than the arithmetic does. So this is a loop of its own, with the
decoder of `scan_decoder.py`. It resumes, too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from checkpoints import record, require_origin
from datasets import Dataset
from machine import Clock
from scan_data import END, VALIDATION
from scan_decoder import score

from hf_equi import RecurrentSeq2Seq

CLIP = 5.0
Loss = Callable[[Any, torch.Tensor, torch.Tensor, bool], torch.Tensor]
"""Scores a network on one command `(S,)` and its actions `(T,)`, which it reads if the last argument says so."""


@dataclass(frozen=True)
class Course:
    """How long and how fast to train.

    Args:
        steps: The number of sentences, drawn with replacement.
        learning_rate: The rate of Adam. It stays the same.
        every: After how many steps to write a checkpoint, and to measure if anything is measured.
        weight_decay: The weight decay of Adam, added to gradients.
    """

    steps: int
    learning_rate: float
    every: int
    weight_decay: float = 0.0


def count_places(log_probs: torch.Tensor) -> int:
    """Return how many places `(T, V)` count: those up to the first at which the end has the highest score."""
    ends = (log_probs.argmax(-1) == END).nonzero()
    return int(ends[0]) + 1 if len(ends) else len(log_probs)


def sum_loss(model: RecurrentSeq2Seq, command: torch.Tensor, actions: torch.Tensor, forced: bool) -> torch.Tensor:
    """Return the published loss of a network: summed over the tokens up to the end that it predicts, also if forced.

    Args:
        model: The network.
        command: `(S,)`.
        actions: `(T,)`.
        forced: Whether the network reads the actions. Otherwise it reads its own tokens.
    """
    log_probs = _read(model, command[None], actions[None], forced)[0]
    places = count_places(log_probs)
    return -log_probs[:places].gather(1, actions[:places, None]).sum()


def mean_loss(model: RecurrentSeq2Seq, command: torch.Tensor, actions: torch.Tensor, forced: bool) -> torch.Tensor:
    """Return the published loss of a network that is equivariant by construction: the mean over the same tokens."""
    log_probs = _read(model, command[None], actions[None], forced)[0]
    places = count_places(log_probs)
    return -log_probs[:places].gather(1, actions[:places, None]).mean()


@dataclass(frozen=True)
class MembersLoss:
    """The published loss of a network made equivariant: of the mean of its members' log-probabilities.

    A member that reads its own tokens stops at its end. Behind it, the published code averages zeros.

    Args:
        source: `(G, V)` int64, the action on the source vocabulary.
        target: `(G, V)` int64, the action on the target vocabulary.
        select: Whether the end is read from the member with the largest sum of probabilities over all places
            (equizero) instead of from the mean (equi-tuning). The gradient is that of the mean in both.
    """

    source: torch.Tensor
    target: torch.Tensor
    select: bool = False

    def __call__(
        self, model: RecurrentSeq2Seq, command: torch.Tensor, actions: torch.Tensor, forced: bool
    ) -> torch.Tensor:
        """Return the loss of a sentence."""
        log_probs = _read(model, self.source[:, command], self.target[:, actions], forced)
        if not forced:
            ends = (log_probs.argmax(-1) == END).long()
            log_probs = log_probs.masked_fill((ends.cumsum(1) - ends > 0).unsqueeze(-1), 0.0)
        frame = self.target.unsqueeze(1).expand(-1, len(actions), -1)
        members = log_probs.gather(2, frame)  # (G, T, V), in the words of the command
        mean = members.mean(0)
        heard = members[members.softmax(-1).amax(-1).sum(1).argmax()] if self.select else mean
        places = count_places(heard)
        return -mean[:places].gather(1, actions[:places, None]).sum()


def _read(model: RecurrentSeq2Seq, commands: torch.Tensor, actions: torch.Tensor, forced: bool) -> torch.Tensor:
    """Return log-probabilities `(B, T, V)`. All sentences read the actions, or none does."""
    return score(model, commands, actions, forced).log_softmax(-1)


def train_single(
    model: RecurrentSeq2Seq,
    part: Dataset,
    folder: Path,
    course: Course,
    loss: Loss,
    seed: int,
    measure: Callable[[], float] | None = None,
) -> Clock:
    """Train on single sentences, resuming at the last checkpoint in `folder`.

    Half of the sentences, drawn by a coin each, are read by the network; in the others it reads its own tokens.

    Args:
        model: The network.
        part: The sentences.
        folder: The folder of the checkpoint.
        course: Steps and rates.
        loss: The loss.
        seed: The seed of sentences and coins. Dropout draws from torch's generator.
        measure: Returns the accuracy on validation. The model is left at its best; without it, at its last.

    Returns:
        The clock of the training, which goes on.
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.randint(len(part), (course.steps,), generator=generator).tolist()
    coins = (torch.rand(course.steps, generator=generator) < 0.5).tolist()
    sentences = [(torch.tensor(row["input_ids"]), torch.tensor(row["labels"])) for row in part]
    optimizer = torch.optim.Adam(
        model.parameters(), lr=course.learning_rate, weight_decay=course.weight_decay, fused=True
    )
    state = _State(folder / "state.pt", model, optimizer)
    while state.step < course.steps:
        model.train()
        for step in range(state.step, min(state.step + course.every, course.steps)):
            optimizer.zero_grad()
            loss(model, *sentences[order[step]], coins[step]).backward()
            for half in (model.encoder, model.decoder):
                torch.nn.utils.clip_grad_norm_(half.parameters(), CLIP)
            optimizer.step()
        model.eval()
        state.save(step + 1, measure() if measure is not None else None)
    state.finish()
    return state.clock


class _State:
    """The checkpoint of a training: a file, and what is in it."""

    def __init__(self, path: Path, model: RecurrentSeq2Seq, optimizer: torch.optim.Optimizer) -> None:
        self.path, self.model, self.optimizer = path, model, optimizer
        self.step, self.best, self.weights = 0, -1.0, None
        seconds = None
        if path.is_file():
            found = torch.load(path)
            require_origin(found, path, validation=VALIDATION)
            self.step, self.best, self.weights = found["step"], found["best"], found["weights"]
            seconds = found["seconds"]
            model.load_state_dict(found["model"])
            optimizer.load_state_dict(found["optimizer"])
            torch.set_rng_state(found["random"])
        self.clock = Clock(seconds)

    def save(self, step: int, score: float | None) -> None:
        """Write a checkpoint, all at once."""
        self.step = step
        if score is not None:
            print(f"step {step}: {score:.2f} % of validation", flush=True)
            if score > self.best:
                self.best, self.weights = score, {name: value.clone() for name, value in self._now().items()}
        content = {
            "step": step,
            "best": self.best,
            "weights": self.weights,
            "model": self._now(),
            "optimizer": self.optimizer.state_dict(),
            "random": torch.get_rng_state(),
            **record(self.clock, validation=VALIDATION),
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(".part")
        torch.save(content, draft)
        draft.replace(self.path)

    def finish(self) -> None:
        """Leave the model at its best, if it was measured."""
        if self.weights is not None:
            self.model.load_state_dict(self.weights)
        self.model.eval()

    def _now(self) -> dict[str, torch.Tensor]:
        return self.model.state_dict()
