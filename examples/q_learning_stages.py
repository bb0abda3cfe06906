"""The stages of one agent of the Q-learning example: pretraining, zero-shot, the reasons, and finetuning."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch
from data import write_json
from machine import Clock, machine
from q_learning_play import ENVIRONMENTS, Act, Environment, Kept, anyhow, greedy, play, seeds_of
from q_learning_reasons import reasons
from rich.progress import Progress
from stable_baselines3 import DQN
from stable_baselines3.common.callbacks import BaseCallback

from hf_equi import EquiQNetwork, QNetwork, symmetrize
from hf_equi.environments import equivariant_dqn

RATE = 1e-4
METHODS = {"base": "identity", "equitune": "equitune", "equizero": "equizero"}
"""The ways of Figure 2, by their methods."""
STAGES = ("pretrain", "zero_shot", "reasons", *(f"finetune_{name}" for name in METHODS))
PUBLIC = "public"
"""What stands in place of the seed of an agent that others trained."""


@dataclass(frozen=True)
class Settings:
    """The sizes of a run.

    Args:
        pretraining: The steps of pretraining, by default those of the environment.
        finetuning: The steps of finetuning.
        points: At how many places of a training the returns are measured.
        few: The episodes of each of these measurements.
        episodes: The episodes of each other measurement of returns.
        agent: Settings of the DQN besides.
    """

    pretraining: int | None = None
    finetuning: int = 20_000
    points: int = 10
    few: int = 20
    episodes: int = 100
    agent: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """One agent, with its folder.

    Args:
        data: The folder of the data.
        output: The folder of all runs.
        environment: A name of `ENVIRONMENTS`.
        seed: The seed of everything that is drawn; `"public"` for the public agent.
        settings: The sizes.
    """

    data: Path
    output: Path
    environment: str
    seed: int | str
    settings: Settings = Settings()

    @property
    def name(self) -> str:
        """The name of the run."""
        return f"{self.environment}/{self.seed if self.seed == PUBLIC else f'seed{self.seed}'}"

    @property
    def folder(self) -> Path:
        """Where its stages are kept."""
        return self.output / self.name

    @property
    def where(self) -> Environment:
        """The environment."""
        return ENVIRONMENTS[self.environment]

    @property
    def number(self) -> int:
        """The seed as a number."""
        return 0 if isinstance(self.seed, str) else self.seed

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that the agent goes through."""
        return STAGES[1:] if self.seed == PUBLIC else STAGES

    @property
    def archive(self) -> Path:
        """The archive of the pretrained agent."""
        return self.data / str(self.where.public) if self.seed == PUBLIC else self.folder / "agent.zip"

    @cached_property
    def base(self) -> QNetwork:
        """The pretrained network."""
        return QNetwork.from_stable_baselines3(self.archive)

    def symmetrized(self, method: str) -> EquiQNetwork:
        """Return the pretrained network under a method."""
        model: EquiQNetwork = symmetrize(self.base, self.where.group, method)
        return model.eval()

    def asymmetry(self, method: str) -> float:
        """Return the largest |Q(s, a) - Q(gs, ga)| under a method, over states of random play."""
        model, group = self.symmetrized(method), self.where.group
        states = play(self.where, anyhow(self.where, 0), seeds_of("path", self.settings.few)).drawn(1000, 0)
        values = model(states=states).q_values
        moved = (model(states=model.action.apply(g, states)).q_values for g in range(group.order))
        gaps = [model.values_action.apply(g, values) - other for g, other in enumerate(moved)]
        return float(torch.stack(gaps).detach().abs().max())

    def results(self, stage: str) -> dict[str, Any] | None:
        """Return the record of a stage, if there is one."""
        path = self.folder / f"{stage}.json"
        found: dict[str, Any] | None = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
        return found

    def finish(self, stage: str) -> dict[str, Any]:
        """Run a stage and keep its record."""
        self.folder.mkdir(parents=True, exist_ok=True)
        clock = Clock()
        made = _MAKE[stage](self)
        rl = {name: version(name) for name in ("gymnasium", "stable_baselines3")}
        record = {**made, "seconds": clock.seconds, "machine": {**machine(), **rl}}
        write_json(self.folder / f"{stage}.json", record)
        return record


class Curve(BaseCallback):
    """Measures returns at some places of a training, and shows its progress.

    Args:
        steps: The steps of the training.
        points: The number of places.
        measure: Returns the mean return of each way.

    Attributes:
        found: What was measured, by the number of steps.
    """

    def __init__(self, steps: int, points: int, measure: Callable[[DQN], dict[str, float]], title: str) -> None:
        super().__init__()
        self.found: dict[str, dict[str, float]] = {}
        self._every, self._measure = max(steps // points, 1), measure
        self._bar = Progress(transient=True)
        self._task = self._bar.add_task(title, total=steps)

    def _on_training_start(self) -> None:
        self._bar.start()

    def _on_step(self) -> bool:
        if self.num_timesteps % self._every == 0:
            with torch.random.fork_rng():  # so that a training does not depend on when it is measured
                self.found[str(self.num_timesteps)] = self._measure(self.model)  # type: ignore[arg-type]
            self._bar.update(self._task, completed=self.num_timesteps)
        return True

    def _on_training_end(self) -> None:
        self._bar.stop()


def settings_of(run: Run, steps: int) -> dict[str, Any]:
    """Return the settings of every DQN: those of Stable-Baselines3, and the published rate."""
    return {
        "learning_rate": RATE,
        "seed": run.number,
        "device": "cpu",
        "buffer_size": min(steps, 1_000_000),  # what the default of a million holds after that many steps
        **run.settings.agent,
    }


def _pretrain(run: Run) -> dict[str, Any]:
    """Train a DQN, and measure on the way what the methods make of it without training."""
    steps = run.settings.pretraining or run.where.steps
    agent = DQN("MlpPolicy", run.where.make(), **settings_of(run, steps))

    def measure(now: DQN) -> dict[str, float]:
        base = QNetwork.from_stable_baselines3(now)
        seeds = seeds_of("curve", run.settings.few)
        ways = {name: symmetrize(base, run.where.group, method) for name, method in METHODS.items()}
        return {name: mean(play(run.where, greedy(way), seeds).returns) for name, way in ways.items()}

    curve = Curve(steps, run.settings.points, measure, f"{run.name}: pretraining")
    agent.learn(steps, callback=curve)
    agent.save(run.archive)
    seen = agent.replay_buffer.observations[: agent.replay_buffer.size(), 0]  # type: ignore[union-attr]
    picked = np.random.default_rng(0).permutation(len(seen))[:4000]
    np.save(run.folder / "seen.npy", seen[np.sort(picked)])
    return {"steps": steps, "curve": curve.found}


def _zero_shot(run: Run) -> dict[str, Any]:
    """Measure the pretrained network, and what each method makes of it."""
    ways: dict[str, Act] = {name: greedy(run.symmetrized(method)) for name, method in METHODS.items()}
    ways["equizero, kept"] = Kept(run.symmetrized("equizero"))
    ways["canonical"] = greedy(run.symmetrized("canonical"))
    ways["random"] = anyhow(run.where, run.number)
    seeds = seeds_of("measure", run.settings.episodes)
    return {"returns": {name: play(run.where, act, seeds).returns for name, act in ways.items()}}


def _reasons(run: Run) -> dict[str, Any]:
    """Measure what the methods read, in the states where they read it."""
    seen = run.folder / "seen.npy"
    known = torch.from_numpy(np.load(seen)) if seen.is_file() else None
    ways = {name: run.symmetrized(method) for name, method in METHODS.items()}
    return reasons(run.where, ways, known, run.settings.episodes)


def _finetune(name: str, run: Run) -> dict[str, Any]:
    """Go on training under a method. Exploration goes on where pretraining ended.

    The replay buffer is empty, so random actions fill it first. With Stable-Baselines3's default of 100 of them, an
    agent learns from few transitions by heart, and forgets the rest.
    """
    steps, seeds = run.settings.finetuning, seeds_of("curve", run.settings.few)
    later = {"exploration_initial_eps": 0.05, "exploration_final_eps": 0.05, "learning_starts": 1000}
    settings = {**later, **settings_of(run, steps)}
    agent = equivariant_dqn(run.archive, run.where.group, METHODS[name], env=run.where.make(), **settings)

    def measure(now: DQN) -> dict[str, float]:
        return {name: mean(play(run.where, greedy(now.policy.network), seeds).returns)}

    curve = Curve(steps, run.settings.points, measure, f"{run.name}: finetuning as {name}")
    curve.found["0"] = measure(agent)
    agent.learn(steps, callback=curve)
    agent.policy.network.save_pretrained(run.folder / f"finetuned_{name}")  # type: ignore[operator]
    last = play(run.where, greedy(agent.policy.network), seeds_of("measure", run.settings.episodes))
    return {"steps": steps, "curve": curve.found, "returns": last.returns}


_MAKE: dict[str, Callable[[Run], dict[str, Any]]] = {
    "pretrain": _pretrain,
    "zero_shot": _zero_shot,
    "reasons": _reasons,
    **{f"finetune_{name}": partial(_finetune, name) for name in METHODS},
}


def runs_of(
    data: Path, output: Path, names: Iterable[str], seeds: Iterable[int | str], settings: Settings | None = None
) -> Iterator[Run]:
    """Give the runs, seed by seed. Public agents exist for some environments."""
    names = list(names)
    for seed in seeds:
        for name in names:
            if seed != PUBLIC or ENVIRONMENTS[name].public is not None:
                yield Run(data, output, name, seed, settings or Settings())
