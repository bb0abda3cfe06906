"""Time the choice of actions by Q-networks that are equivariant against plain ones and ways by hand, as ratios.

python benchmarks/q_network.py --output docs/benchmarks.md
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from command import Benchmark
from timing import Claim, Measure, timed
from torch import Tensor

import hf_equi
from hf_equi import QNetwork, QNetworkConfig
from hf_equi.environments import QPolicy
from hf_equi.groups import CARTPOLE, EnvironmentGroup

DESCRIPTION = """\
The networks have two hidden layers, of 64 units (the default of Stable-Baselines3) or of 256, and random weights. The
group of order 2 is that of CartPole: the four numbers of a state change sign, and left and right change places. The
group of order 4 turns positions in a plane by quarters, with four steps and one that stays. There is a state for each
environment. *the base alone* is the network that is not symmetrised, with `argmax`. *the base on all members* reads
|G| times as many states, ready-made, and does nothing else. By hand there are two ways to choose actions: *all at
once* calls the base with all members, *a loop* calls it once for each element. Neither looks for ties, which would
break the symmetry, nor for NaN, as the library does. All ways choose the same actions. Policies get numpy arrays and
return them: *QPolicy* is that of the library with the base, *DQN.predict* that of Stable-Baselines3 with the same
weights. Times are those of one call, the mean of as many calls as take 50 ms or more.

What is added to *the base on all members* is about a dozen operations of torch, for the library as by hand: they make
the members, move scores back, combine them and choose; the library also looks for ties. Each takes longer to call than
to compute, as the layers of such a base do: 64 states take 64 units little longer than one. So a dozen operations
cost about as much as the base. The bounds for 64 environments leave room for few of them, and are missed by hand too.
For 256 units *the base on all members* is above these bounds by itself, because a CPU takes |G| times as long to
multiply. With one environment there is room for a dozen. The mean of more than two members needs more: it puts the
members in order, so that their sum is the same whichever one was given.
"""
SUMMARY = "Time the choice of actions by equivariant Q-networks against plain ones and ways by hand."
QUARTERS = EnvironmentGroup(states=[[[0.0, -1.0], [1.0, 0.0]]], actions=[[1, 2, 3, 0, 4]])
GROUPS = {2: CARTPOLE, 4: QUARTERS}
BOUNDS = {(2, 64): 1.3, (4, 64): 1.6, (2, 1): 2.5, (4, 1): 2.5}
"""The largest ratio to the base alone, by the order of the group and the number of environments."""
UNITS = (64, 256)
METHODS = ("equitune", "equizero")
SECONDS = 0.05
"""The least time of a measure: one call takes less than the clock can tell."""
CASES = tuple((order, units, count) for order in GROUPS for units in UNITS for count in (1, 64))
POLICIES = tuple((order, count) for order in GROUPS for count in (1, 64))
NAMES = tuple(
    [f"order-{order}-{units}-{count}-floor" for order, units, count in CASES]
    + [
        f"order-{order}-{units}-{count}-{method}-{what}"
        for order, units, count in CASES
        for method in METHODS
        for what in ("base", "hand")
    ]
    + [f"order-{order}-{count}-{method}-policy" for order, count in POLICIES for method in METHODS]
    + [f"order-2-{count}-{method}-dqn" for count in (1, 64) for method in METHODS]
)


@dataclass(frozen=True)
class Agent:
    """A network, its symmetrised forms, and the same by hand.

    Args:
        order: The order of the group.
        units: The units of each hidden layer.
        seed: The seed of weights and states.
    """

    order: int
    units: int
    seed: int

    @property
    def group(self) -> EnvironmentGroup:
        """The group."""
        return GROUPS[self.order]

    @cached_property
    def base(self) -> QNetwork:
        """The network."""
        torch.manual_seed(self.seed)
        numbers, actions = self.group.states.shape[1], self.group.permutations.shape[1]
        config = QNetworkConfig(state_shape=numbers, num_actions=actions, hidden_sizes=[self.units] * 2)
        return QNetwork(config).eval()

    def symmetrized(self, method: str) -> Any:
        """The symmetrised network."""
        return hf_equi.symmetrize(self.base, self.group, method).eval()

    def states(self, count: int) -> Tensor:
        """Random states."""
        return torch.randn(count, self.group.states.shape[1], generator=torch.Generator().manual_seed(self.seed))

    def members(self, states: Tensor) -> list[Tensor]:
        """The members of orbits, as one would write them for this group."""
        if self.order == 2:
            return [states, -states]
        x, y = states.unbind(1)
        return [states, torch.stack([-y, x], 1), -states, torch.stack([y, -x], 1)]

    def by_hand(self, method: str, states: Tensor, at_once: bool) -> Tensor:
        """The actions, without the library."""
        members = self.members(states)
        if at_once:
            values = self.base(states=torch.cat(members)).q_values.chunk(self.order)
        else:
            values = [self.base(states=member).q_values for member in members]
        pairs = zip(values, self.group.permutations, strict=True)
        back = torch.stack([said[:, moved] for said, moved in pairs])  # (G, B, A)
        if method == "equitune":
            return back.mean(0).argmax(1)
        surest = back.softmax(2).amax(2).argmax(0)
        return back[surest, torch.arange(len(states))].argmax(1)


@dataclass(frozen=True)
class Choices:
    """The workload.

    Args:
        seed: The seed of weights and states.
        smoke: Whether each way runs once, with few units.
    """

    seed: int
    smoke: bool

    def claims(self) -> Iterator[Claim]:
        """The claims, in the order of the table."""
        agents = {(order, units): self._agent(order, units) for order in GROUPS for units in UNITS}
        for order, units, count in CASES:
            yield from self._cases(agents[order, units], units, count)
        for order, count in POLICIES:
            agent, bound = agents[order, UNITS[0]], BOUNDS[order, count]
            observations = agent.states(count).numpy()
            plain = {"QPolicy": self._time(partial(QPolicy(agent.base).predict, observations))}
            for method in METHODS:
                run = self._time(partial(QPolicy(agent.symmetrized(method)).predict, observations))
                text = f"policy of {method}, order {order}, {_environments(count)}"
                yield Claim(f"order-{order}-{count}-{method}-policy", text, run, plain, bound, unit="µs")
                if order == 2:
                    dqn = {"DQN.predict": self._time(partial(stable_baselines3(agent.base).predict, observations))}
                    text = f"the same beside Stable-Baselines3, {method}, {_environments(count)}"
                    yield Claim(f"order-{order}-{count}-{method}-dqn", text, run, dqn, None, unit="µs")

    def _cases(self, agent: Agent, units: int, count: int) -> Iterator[Claim]:
        """The claims about one network and one number of environments."""
        states, name = agent.states(count), f"order-{agent.order}-{units}-{count}"
        base = {"the base alone": self._time(lambda: agent.base.greedy_actions(states))}
        what = f"order {agent.order}, {units} units, {_environments(count)}"
        ready = torch.cat(agent.members(states))
        floor = self._time(lambda: agent.base.greedy_actions(ready))
        yield Claim(f"{name}-floor", f"the base on all members, {what}", floor, base, None, unit="µs")
        for method in METHODS:
            model = agent.symmetrized(method)
            hands = {
                said: partial(agent.by_hand, method, states, at_once)
                for said, at_once in (("all at once", True), ("a loop", False))
            }
            with torch.no_grad():
                _check(model.greedy_actions(states), *(hand() for hand in hands.values()))
            run = self._time(partial(model.greedy_actions, states))
            bound = BOUNDS[agent.order, count]
            yield Claim(f"{name}-{method}-base", f"{method}, {what}", run, base, bound, unit="µs")
            ways = {said: self._time(hand) for said, hand in hands.items()}
            yield Claim(f"{name}-{method}-hand", f"{method} and by hand, {what}", run, ways, 1.0, unit="µs")

    def _agent(self, order: int, units: int) -> Agent:
        return Agent(order, 16 if self.smoke else units, self.seed)

    def _time(self, run: Callable[[], object]) -> Measure:
        """Measure the microseconds of a call."""
        calls = 1

        def several() -> None:
            for _ in range(calls):
                run()

        once = timed(several)

        def measure() -> float:
            nonlocal calls
            took = once()
            while took < SECONDS and not self.smoke:
                calls *= 2
                took = once()
            return 1e6 * took / calls

        return measure


def stable_baselines3(base: QNetwork) -> Any:
    """Return an agent of Stable-Baselines3 with the weights of a network."""
    from stable_baselines3 import DQN

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "agent.zip")
        base.to_stable_baselines3(path)
        return DQN.load(path, device="cpu")


def _environments(count: int) -> str:
    return "one environment" if count == 1 else f"{count} environments"


def _check(*chosen: Tensor) -> None:
    """End the run if two ways do not choose the same actions."""
    for actions in chosen[1:]:
        if not torch.equal(chosen[0], actions):
            differ = int((chosen[0] != actions).sum())
            raise SystemExit(f"{differ} of {len(actions)} actions differ, so the times cannot be compared.")


def create(arguments: argparse.Namespace) -> Choices:
    """Make the workload of a command line."""
    return Choices(arguments.seed, arguments.smoke)


def claims(workload: Choices, smoke: bool) -> list[Claim]:
    """Return all claims, in the order of the table."""
    return list(workload.claims())


def main() -> None:
    """Measure and write the page."""
    Benchmark("Q-networks", DESCRIPTION, SUMMARY, NAMES, claims, create).run()


if __name__ == "__main__":
    main()
