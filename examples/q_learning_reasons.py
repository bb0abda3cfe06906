"""Why a symmetrised policy is better or worse than its base: what the network says of mirrored states, and knows.

A method reads the network in a state s and in its twins gs. The twins of states that the policy visits may be states
that it never visits. These measurements say how far the twins are from what was visited, where the symmetrised policy
goes, how much the values of a state and of its twin differ, how that compares with the gap that decides between two
actions, and what the values are worth.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import mean
from typing import Any

import torch
from q_learning_play import Environment, Episodes, anyhow, greedy, play, seeds_of

from hf_equi import EquiQNetwork
from hf_equi.actions import state_action, values_action

STATES = 2000
"""How many states are compared, at most."""
COVERED = 0.95
"""The share of held-out states of the path that count as near to what was visited."""
_ROUNDING = 1e-6


def reasons(
    environment: Environment, ways: Mapping[str, EquiQNetwork], seen: torch.Tensor | None, episodes: int
) -> dict[str, Any]:
    """Measure a pretrained network.

    Args:
        environment: Its environment.
        ways: The network under each method; `"base"` is the network itself.
        seen: States from its training, if they are known.
        episodes: How many episodes give the states of its path; half of them are held out.

    Returns:
        `"near"`, `"elsewhere"`, `"agreement"` and `"onwards"`, as the functions of these names say.
    """
    seeds = seeds_of("path", episodes)
    path = play(environment, greedy(ways["base"]), seeds)
    half = episodes // 2
    visited, held_out = (Episodes(path.states[part], path.rewards[part]) for part in (slice(half), slice(half, None)))
    states = held_out.drawn(STATES, 0)
    anywhere = play(environment, anyhow(environment, 0), seeds).drawn(STATES, 0)
    reference = visited.drawn(STATES, 1)
    known = {"its path": reference} | ({} if seen is None else {"its training": seen})
    first = torch.stack([torch.from_numpy(own[0]) for own in held_out.states])
    mixed = play(environment, greedy(ways["equitune"]), seeds)
    return {
        "near": {name: near(environment, states, own) for name, own in known.items()},
        "elsewhere": elsewhere(environment, states, reference, mixed.drawn(STATES, 0)),
        "agreement": {
            "its path": agreement(environment, ways, states),
            "random play": agreement(environment, ways, anywhere),
        },
        "onwards": {
            "first states": onwards(environment, ways, first),
            "its path": onwards(environment, ways, held_out.drawn(len(first), 2)),
            "equitune's path": onwards(environment, ways, mixed.drawn(len(first), 2)),
        },
    }


def near(environment: Environment, states: torch.Tensor, reference: torch.Tensor) -> dict[str, float]:
    """Return which twins are as near to reference states as the states themselves, nearly all of which count as near.

    Distances are those to the nearest reference state, in standard deviations of each number of a state.

    Args:
        environment: The environment.
        states: Some states.
        reference: What they are compared with.

    Returns:
        `"states"` and `"twins"`, the shares that are near; `"distance"` and `"twin distance"`, medians.
    """
    action = state_action(environment.group)
    own = distances(states, reference)
    twins = torch.cat([distances(action.apply(g, states), reference) for g in range(1, environment.group.order)])
    limit = own.quantile(COVERED) + _ROUNDING
    return {
        "states": _share(own <= limit),
        "twins": _share(twins <= limit),
        "distance": float(own.median()),
        "twin distance": float(twins.median()),
    }


def elsewhere(
    environment: Environment, states: torch.Tensor, reference: torch.Tensor, others: torch.Tensor
) -> dict[str, float]:
    """Return whether another policy goes where the base has been, or a twin of the base would have been.

    Args:
        environment: The environment.
        states: States of the base's path, nearly all of which count as near to `reference`.
        reference: Other states of its path.
        others: States of the other policy's path.

    Returns:
        `"near path"` and `"near path or twins"`, the shares of its states that are near; `"distance"`, the median of
        the distance to either.
    """
    action = state_action(environment.group)
    limit = distances(states, reference).quantile(COVERED) + _ROUNDING
    # The nearest of the twins of the reference is as far as the nearest state of the reference is from a twin.
    found = torch.stack([distances(action.apply(g, others), reference) for g in range(environment.group.order)])
    return {
        "near path": _share(found[0] <= limit),
        "near path or twins": _share(found.amin(0) <= limit),
        "distance": float(found.amin(0).median()),
    }


def distances(states: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Return how far the nearest reference state is, in standard deviations of the reference, `(N,)`."""
    rows = reference.flatten(1).double()
    scale = rows.std(0)
    scale = scale.where(scale > 0, 1.0)
    return torch.cdist(states.flatten(1).double() / scale, rows / scale).amin(1)


def agreement(environment: Environment, ways: Mapping[str, EquiQNetwork], states: torch.Tensor) -> dict[str, float]:
    """Return how much a network says the same of a state and of its twins.

    Args:
        environment: The environment.
        ways: The network under each method.
        states: Some states.

    Returns:
        Medians: `"asymmetry"`, |Q(s, a) - Q(gs, ga)|; `"relative asymmetry"`, the same of Q less its mean over
        actions, which is what decides; `"gap"` and `"twin gap"`, between the two best actions. Shares: `"twins
        disagree"`, of twins with another best action; and for each method how often it takes another action than the
        base.
    """
    actions, values = state_action(environment.group), values_action(environment.group)
    base = ways["base"]
    with torch.no_grad():
        own = base(states=states).q_values
        twins = torch.stack(
            [
                values.invert(g, base(states=actions.apply(g, states)).q_values)
                for g in range(1, environment.group.order)
            ]
        )
    difference = twins - own
    chosen = base.greedy_actions(states)
    found = {
        "asymmetry": float(difference.abs().median()),
        "relative asymmetry": float((difference - difference.mean(-1, keepdim=True)).abs().median()),
        "gap": float(_gaps(own).median()),
        "twin gap": float(_gaps(twins).median()),
        "twins disagree": _share(twins.argmax(-1) != own.argmax(-1)),
    }
    methods = [name for name in ways if name != "base"]
    return found | {f"{name} differs": _share(ways[name].greedy_actions(states) != chosen) for name in methods}


def onwards(environment: Environment, ways: Mapping[str, EquiQNetwork], starts: torch.Tensor) -> dict[str, float]:
    """Return what comes of some states, and whether the network knew it.

    A twin is the state moved by an element other than the identity, each as likely. Where the environment has the
    symmetry, what the base can reach from there is what the twin of its policy can reach from the state.

    Args:
        environment: The environment.
        ways: The network under each method.
        starts: The states to go on from.

    Returns:
        Means: the `"return"` of the base from there and its `"twin return"`, and those of the other methods; its
        discounted return, `"worth"`, the highest value that the network gives, `"value"`, the mean of the absolute
        difference, `"error"`; and the same three of twins.
    """
    noise = torch.Generator().manual_seed(0)
    moves = torch.randint(1, environment.group.order, (len(starts),), generator=noise)
    twins = state_action(environment.group).apply(moves, starts)
    seeds = seeds_of("onwards", len(starts))
    found: dict[str, float] = {}
    for prefix, states in (("", starts), ("twin ", twins)):
        played = play(environment, greedy(ways["base"]), seeds, states)
        with torch.no_grad():
            value = ways["base"](states=states).q_values.amax(1).tolist()
        found |= {
            f"{prefix}return": mean(played.returns),
            f"{prefix}worth": mean(played.discounted),
            f"{prefix}value": mean(value),
            f"{prefix}error": mean(abs(a - b) for a, b in zip(value, played.discounted, strict=True)),
        }
    for name in ways:
        if name != "base":
            found[f"{name} return"] = mean(play(environment, greedy(ways[name]), seeds, starts).returns)
    return found


def _gaps(values: torch.Tensor) -> torch.Tensor:
    best = values.topk(2, dim=-1).values
    return best[..., 0] - best[..., 1]


def _share(found: torch.Tensor) -> float:
    return float(found.double().mean())
