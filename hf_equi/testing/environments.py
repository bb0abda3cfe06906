"""Check that an environment has the symmetries that a group claims, on its own dynamics."""

from __future__ import annotations

from typing import Any

import torch

from hf_equi.checks import check_between, check_count, check_seed
from hf_equi.errors import ConfigurationError, EquivarianceError, HfEquiWarning, warn
from hf_equi.groups import EnvironmentGroup
from hf_equi.testing.laws import law_differs, most_different, strangest
from hf_equi.testing.places import Place, place_of
from hf_equi.testing.probing import Probe, Transition, shown_state, visited

__all__ = ["FALSE_ALARMS", "assert_environment_symmetric"]

FALSE_ALARMS = 1e-3
"""The probability that some comparison of random steps or first states fails by chance, at most."""
_PLACED = 16
"""The number of steps of episodes to take again from where they began, and how often each."""


def assert_environment_symmetric(
    env: Any,
    group: EnvironmentGroup,
    place: Place | None = None,
    *,
    states: Any = 32,
    draws: int = 32,
    starts: int = 100,
    tolerance: float | None = None,
    seed: int = 0,
) -> None:
    r"""Check that an environment has the symmetries of a group, also where episodes end and begin.

    $$ T(gs' \mid gs, ga) = T(s' \mid s, a), \qquad r(gs, ga) = r(s, a), \qquad p_0(gs) = p_0(s) $$

    T are transitions, r rewards, $p_0$ is the law of first states. Steps that are not random are compared to the
    tolerance. Random ones, and first states, are compared by a permutation test of the energy distance, which fails an
    environment that has the symmetry for one seed in a thousand at most.

    Args:
        env (`gymnasium.Env`): Its observations are arrays, its actions `Discrete`. It may be wrapped.
        group (`EnvironmentGroup`): The symmetries.
        place (`Callable`, *optional*): `place(env, observation)` puts the environment into a state. Known for
            CartPole, Acrobot, and environments with a method `set_observation(observation)`.
        states (`int` or array of shape `(n, ...)`, *optional*, defaults to 32): How many states to try, from random
            episodes (the first of each, the last before its end, others), or the states.
        draws (`int`, *optional*, defaults to 32): How often each random step is drawn.
        starts (`int`, *optional*, defaults to 100): How many first states each side has. 0 leaves their law out: the
            optimal policy does not depend on it, mean returns do.
        tolerance (`float`, *optional*): The largest difference of observations; by default that of their dtype in
            `TOLERANCES`. Rewards may differ by 1e-6, or by this if you give more.
        seed (`int`, *optional*, defaults to 0): The seed of the environment, the states and the test.

    Raises:
        EquivarianceError: If an equation fails; the message names the element, the state, the action and the
            difference. Also if the group does not act on the environment's states and actions.
        ConfigurationError: If no `place` is known, or steps of episodes cannot be repeated from where it puts the
            environment; for rewards or observations that are NaN; for arguments of another kind.

    Warns `HfEquiWarning` if no step ended an episode. Cost: 2 |G| steps for each state and action, each after a
    `reset`; `draws` |G| more if steps are random.

    Example:
        >>> import gymnasium
        >>> from hf_equi.groups import CARTPOLE
        >>> assert_environment_symmetric(gymnasium.make("CartPole-v1"), CARTPOLE, states=8)

    References: arXiv 2006.16908, section 3.2. Székely and Rizzo 2013, "Energy statistics".
    """
    _check_arguments(env, group, (states, draws, starts, tolerance, seed))
    noise = torch.Generator("cpu").manual_seed(seed)
    probe = Probe(env, group, place_of(env) if place is None else place, tolerance)
    env.reset(seed=seed)
    steps = visited(env, max(_PLACED, states if isinstance(states, int) else 0), noise)
    pairs = probe.pairs([step.state for step in steps[:states]] if isinstance(states, int) else states)
    share = FALSE_ALARMS / (2 * group.order - 1)  # for each of the comparisons
    _check_place(probe, steps, share, noise)
    _check_steps(probe, pairs, draws, share, noise)
    if starts:
        _check_starts(probe, starts, share, noise)


def _check_arguments(env: Any, group: Any, numbers: tuple[Any, int, int, float | None, int]) -> None:
    if not hasattr(env, "unwrapped"):
        raise ConfigurationError(f"env={env!r} is not an environment: pass gymnasium.make(...)")
    if not isinstance(group, EnvironmentGroup):
        raise ConfigurationError(f"group= is a {type(group).__name__}: pass an EnvironmentGroup, such as CARTPOLE")
    states, draws, starts, tolerance, seed = numbers
    if tolerance is not None and tolerance != 0:
        check_between("tolerance", tolerance)
    if isinstance(states, int):
        check_count("states", states, "number of states", ", or an array of states")
    check_count("draws", draws, "number of draws", least=2)
    check_count("starts", starts, "number of first states", least=0)
    check_seed(seed)


def _check_place(probe: Probe, steps: list[Transition], share: float, noise: torch.Generator) -> None:
    """Refuse a `place` from which steps of episodes lead elsewhere than they did: anything can look symmetric then.

    It cannot be told where steps from anywhere look like steps from the placed state, as on a torus.
    """
    pairs = [(step.state, step.action) for step in steps[:_PLACED]]
    single = torch.stack([step.outcome for step in steps[:_PLACED]])
    draws = probe.outcomes(0, pairs, _PLACED)
    worst = strangest(single, draws, 100 * probe.limits, share, noise)  # an observation rounds the state
    if worst is not None:
        raise ConfigurationError(
            "place= does not put the environment into the state that an observation describes. Action "
            f"{probe.first_action + pairs[worst][1]} in s = {shown_state(pairs[worst][0])} led to "
            f"{probe.shown(single[worst])} in an episode, but now leads to {probe.shown(draws[worst, 0])}. Set all of "
            "the state, to a copy."
        )


def _check_steps(
    probe: Probe, pairs: list[tuple[torch.Tensor, int]], draws: int, share: float, noise: torch.Generator
) -> None:
    """Compare steps, which are taken to be random if two draws of one differ."""
    outcomes = [probe.outcomes(g, pairs, 2) for g in range(probe.group.order)]
    if all(bool((one == one[:, :1]).all()) for one in outcomes):
        _check_sure_steps(probe, pairs, [one[:, 0] for one in outcomes])
    else:
        _check_random_steps(probe, pairs, draws, share, noise)
    if not any(bool(one[..., -1].any()) for one in outcomes):
        warn("No step ended an episode, so ends were not compared: pass states= close to an end.", HfEquiWarning)


def _check_sure_steps(probe: Probe, pairs: list[tuple[torch.Tensor, int]], outcomes: list[torch.Tensor]) -> None:
    """Compare steps that are not random."""
    for g in range(1, len(outcomes)):
        gaps = (outcomes[g] - outcomes[0]).abs()
        wrong = (gaps > probe.limits).any(1)
        if bool(wrong.any()):
            # An end on one side alone comes first, then the step that differs most.
            worst = int((gaps.amax(1) + 1e9 * gaps[:, -1]).where(wrong, -1.0).argmax())
            raise EquivarianceError(
                f"The environment is not symmetric: {int(wrong.sum())} of {len(wrong)} steps differ for element "
                f"{probe.name(g)}. {probe.told(g, *pairs[worst], outcomes[0][worst], outcomes[g][worst])}"
            )


def _check_random_steps(
    probe: Probe, pairs: list[tuple[torch.Tensor, int]], draws: int, share: float, noise: torch.Generator
) -> None:
    """Compare the laws of random steps."""
    own = probe.outcomes(0, pairs, draws)
    for g in range(1, probe.group.order):
        other = probe.outcomes(g, pairs, draws)
        p = law_differs(own, other, probe.limits, share, noise)
        if p is None:
            continue
        worst = most_different(own, other, probe.limits)
        raise EquivarianceError(
            f"The environment is not symmetric: the laws of its random steps differ for element {probe.name(g)} "
            f"(p = {p:.2g}). Means of {draws} draws where they differ most: "
            f"{probe.told(g, *pairs[worst], own[worst].mean(0), other[worst].mean(0))}"
        )


def _check_starts(probe: Probe, starts: int, share: float, noise: torch.Generator) -> None:
    """Compare the law of first states with that of their images."""
    limits = probe.limits[:-2]
    for g in range(1, probe.group.order):
        own, other = probe.starts(0, starts), probe.starts(g, starts)
        p = law_differs(own, other, limits, share, noise)
        if p is None:
            continue
        one, two = own[0].mean(0).reshape(probe.shape), other[0].mean(0).reshape(probe.shape)
        raise EquivarianceError(
            f"The first states of episodes are not symmetric: the law of gs differs from that of s for element "
            f"{probe.name(g)} (p = {p:.2g}). The mean of s is {shown_state(one)}, that of gs {shown_state(two)}, over "
            f"{starts} episodes each. Pass starts=0 to compare steps alone."
        )
