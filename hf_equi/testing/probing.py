"""Steps of an environment from chosen states, and those of their images pulled back."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import torch

from hf_equi.actions import state_action
from hf_equi.errors import ConfigurationError, EquivarianceError, HfEquiError
from hf_equi.groups import EnvironmentGroup
from hf_equi.testing.places import Place
from hf_equi.testing.tolerances import tolerance_of

__all__ = ["Probe", "Transition", "shown_state", "visited"]

_REWARD = 1e-6
"""The difference of rewards that counts as rounding, unless `tolerance` is larger."""
_MOST_STEPS = 1000
_MOST_SHOWN = 16
_CHANGES = 0.25
"""How often a random episode changes its action: one that is kept for a while leads further."""


class Transition(NamedTuple):
    """A step of an episode.

    Args:
        state: The observation before.
        action: The number of the action, from 0.
        outcome: What it led to, as `Probe` has outcomes.
    """

    state: torch.Tensor
    action: int
    outcome: torch.Tensor


class Probe:
    """An environment whose steps are compared with those of its images.

    An outcome is a row of numbers: the next observation, pulled back, the reward, and whether the episode ended.

    Args:
        env: The environment.
        group: Its symmetries.
        place: Puts it into a state.
        tolerance: The difference of observations that counts as equal; `None` for that of their dtype.

    Attributes:
        group: The symmetries.
        limits: The differences that count as equal, one for each number of an outcome.
        shape: The shape of an observation.
        first_action: The number of the environment's first action.

    Raises:
        EquivarianceError: If the group does not act on the environment's observations and actions.
    """

    def __init__(self, env: Any, group: EnvironmentGroup, place: Place, tolerance: float | None) -> None:
        self._env, self.group, self._place = env, group, place
        shape, actions = (
            tuple(getattr(env.observation_space, "shape", None) or ()),
            getattr(env.action_space, "n", None),
        )
        if actions != group.permutations.shape[1]:
            raise EquivarianceError(
                f"{group!r} permutes {group.permutations.shape[1]} actions, but the environment has "
                f"{env.action_space}: give a permutation of its own actions."
            )
        fits = len(shape) == 3 if group.states is None else shape == tuple(group.states.shape[1:2])
        if not fits:
            moved = "images" if group.states is None else f"states of {group.states.shape[1]} numbers"
            raise EquivarianceError(
                f"{group!r} moves {moved}, but the environment's observations are {env.observation_space}: give signs "
                "or a matrix for its own observations, or wrap it."
            )
        self.shape: tuple[int, ...] = shape
        self._action, self.first_action = state_action(group), int(getattr(env.action_space, "start", 0))
        self._dtype = torch.as_tensor(env.reset()[0]).dtype
        limit = tolerance_of(self._dtype) if tolerance is None else tolerance
        limits = [limit] * math.prod(self.shape) + [max(_REWARD, tolerance or 0.0), 0.0]
        self.limits = torch.tensor(limits, dtype=torch.float64, device="cpu")

    def pairs(self, states: Iterable[Any]) -> list[tuple[torch.Tensor, int]]:
        """Return states with all actions; refuse states that an element moves to where the environment cannot be."""
        found = [torch.as_tensor(state).to(self._dtype) for state in states]
        if not found:
            raise EquivarianceError("states= is empty: without a state, nothing would be compared.")
        for state in found:
            if tuple(state.shape) != self.shape:
                raise EquivarianceError(
                    f"states= needs observations of the shape {self.shape}; received {tuple(state.shape)}."
                )
            for g in range(self.group.order):
                moved = self._moved(g, state)
                if not g and not self._env.observation_space.contains(moved.numpy()):
                    raise ConfigurationError(
                        f"The state {shown_state(state)} is not in {self._env.observation_space}."
                    )
                if not self._env.observation_space.contains(moved.numpy()):
                    raise EquivarianceError(
                        f"The environment is not symmetric: element {self.name(g)} moves the state "
                        f"{shown_state(state)} to {shown_state(moved)}, which is not in {self._env.observation_space}."
                    )
        return [(state, action) for state in found for action in range(self.group.permutations.shape[1])]

    def outcomes(self, g: int, pairs: list[tuple[torch.Tensor, int]], draws: int) -> torch.Tensor:
        """Return outcomes of ga in gs, pulled back, `(pairs, draws, numbers)` float64."""
        steps = [self._step(g, *pair) for pair in pairs for _ in range(draws)]
        observations = torch.stack([observation for observation, _, _ in steps])
        back = self._action.invert(g, observations).reshape(len(steps), -1).double()
        rest = torch.tensor([[reward, ended] for _, reward, ended in steps], dtype=torch.float64, device="cpu")
        found = torch.cat([back, rest], dim=1).view(len(pairs), draws, -1)
        wrong = found.isnan().flatten(1).any(1)
        if bool(wrong.any()):  # NaN differs from nothing by more than a limit
            state, action = pairs[int(wrong.int().argmax())]
            raise ConfigurationError(
                f"NaN cannot be compared: action {int(self.group.permutations[g, action]) + self.first_action} in "
                f"{shown_state(self._moved(g, state))} leads to a reward or an observation that is NaN."
            )
        return found

    def starts(self, g: int, count: int) -> torch.Tensor:
        """Return the images of first states, `(1, count, numbers)` float64."""
        states = torch.stack([_copied(self._env.reset()[0]) for _ in range(count)])
        return self._action.apply(g, states).reshape(1, count, -1).double()

    def name(self, g: int) -> str:
        """Return an element as messages write it."""
        return f"{g} ({self.group.names[g]})"

    def told(self, g: int, state: torch.Tensor, action: int, own: torch.Tensor, other: torch.Tensor) -> str:
        """Return two outcomes in words, and by how much they differ."""
        moved = int(self.group.permutations[g, action])
        gap = (own - other).abs()
        number = int(gap[:-2].argmax())
        return (
            f"Action {action + self.first_action} in s = {shown_state(state)} leads to {self.shown(own)}. Action "
            f"{moved + self.first_action} in gs = {shown_state(self._moved(g, state))} leads to g times "
            f"{self.shown(other)}. Observations differ by up to {float(gap[number]):.3g}, in number {number}; "
            f"rewards by {float(gap[-2]):.3g}; ends of the episode by {float(gap[-1]):.3g}."
        )

    def _step(self, g: int, state: torch.Tensor, action: int) -> tuple[torch.Tensor, float, bool]:
        """Return what the action ga leads to in gs: the observation, the reward, whether the episode ended."""
        self._env.reset()  # so that wrappers count steps from here
        try:
            self._place(self._env, self._moved(g, state).numpy())
        except HfEquiError as error:
            raise EquivarianceError(
                f"The environment cannot be put into the image of the state {shown_state(state)} under element "
                f"{self.name(g)}: {error}"
            ) from error
        observation, reward, ended, _, _ = self._env.step(int(self.group.permutations[g, action]) + self.first_action)
        return _copied(observation), float(reward), bool(ended)

    def _moved(self, g: int, state: torch.Tensor) -> torch.Tensor:
        return self._action.apply(g, state[None])[0].clone()  # places may keep what they are given

    def shown(self, outcome: torch.Tensor) -> str:
        """Return an outcome as messages write it."""
        end = float(outcome[-1])
        ends = {0.0: "goes on", 1.0: "ends"}.get(end, f"ends with probability {end:.2g}")
        return f"{shown_state(outcome[:-2].reshape(self.shape))} (reward {float(outcome[-2]):.3g}, the episode {ends})"


def visited(env: Any, count: int, noise: torch.Generator) -> list[Transition]:
    """Return steps of random episodes: the first and the last one of each, and two others.

    Args:
        env: The environment.
        count: The number of steps.
        noise: What draws actions and steps.
    """
    found: list[Transition] = []
    while len(found) < count:
        steps = _episode(env, noise)
        others = torch.randint(len(steps), (2,), generator=noise, device="cpu").tolist()
        found += [steps[place] for place in (0, len(steps) - 1, *others)]
    return found[:count]


def _episode(env: Any, noise: torch.Generator) -> list[Transition]:
    """Return the steps of a random episode."""
    state, action, ended = _copied(env.reset()[0]), 0, False
    steps: list[Transition] = []
    first = int(getattr(env.action_space, "start", 0))
    while not ended and len(steps) < _MOST_STEPS:
        if not steps or float(torch.rand((), generator=noise, device="cpu")) < _CHANGES:
            action = int(torch.randint(int(env.action_space.n), (), generator=noise, device="cpu"))
        observation, reward, terminated, truncated, _ = env.step(first + action)
        following = _copied(observation)
        rest = torch.tensor([reward, terminated], dtype=torch.float64, device="cpu")
        steps.append(Transition(state, action, torch.cat([following.flatten().double(), rest])))
        state, ended = following, terminated or truncated
    return steps


def _copied(observation: Any) -> torch.Tensor:
    return torch.as_tensor(observation).clone()  # some environments use their arrays again


def shown_state(state: torch.Tensor) -> str:
    """Return an observation as messages write it: its numbers, or of many numbers those that are not 0."""
    if state.numel() <= _MOST_SHOWN:
        return str([float(f"{number:.4g}") + 0.0 for number in state.flatten().tolist()])
    places = [str(tuple(place)) for place in state.nonzero().tolist()]
    more = ", …" * (len(places) > _MOST_SHOWN)
    return f"the array of the shape {tuple(state.shape)} that is not 0 at {', '.join(places[:_MOST_SHOWN])}{more}"
