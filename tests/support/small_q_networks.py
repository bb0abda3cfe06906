"""Q-networks of a few units, the groups that they are symmetrised by, and archives of agents."""

from __future__ import annotations

import base64
import io
import itertools
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from hf_equi import QNetwork, QNetworkConfig
from hf_equi.groups import EnvironmentGroup

TURN, MIRROR = [[0.0, -1.0], [1.0, 0.0]], [[-1.0, 0.0], [0.0, 1.0]]
SQUARE = EnvironmentGroup(states=[TURN, MIRROR], actions=[[1, 2, 3, 0, 4], [2, 1, 0, 3, 4]])
"""Positions in a square, with steps to the right, up, left and down, and one that stays."""
STILL = EnvironmentGroup(states=[[1, 1]], actions=[[0, 1, 2, 3, 4]])


def network(seed: int = 0, sure: float = 10.0, **settings: Any) -> QNetwork:
    """A Q-network that evaluates, whose values differ by about `sure`; by default of positions and five steps."""
    torch.manual_seed(seed)
    made = QNetwork(QNetworkConfig(**{"state_shape": 2, "num_actions": 5, "hidden_sizes": [16, 16], **settings}))
    with torch.no_grad():
        made.head.weight.mul_(sure)
    return made.eval()


def states(batch: int, *shape: int) -> torch.Tensor:
    """States that no element fixes."""
    return torch.randn(batch, *(shape or (2,)), generator=torch.Generator().manual_seed(1))


def targets(batch: int, actions: int = 5) -> torch.Tensor:
    """Targets of some actions, NaN for the others."""
    found = torch.randn(batch, actions, generator=torch.Generator().manual_seed(2))
    found[0, 1:3] = torch.nan
    return found


def write_archive(path: Path, weights: Any, data: Any = None, **parts: bytes) -> Path:
    """An archive like that of an agent, from weights or bytes, and from data or bytes."""
    if not isinstance(weights, bytes):
        file = io.BytesIO()
        torch.save(weights, file)
        weights = file.getvalue()
    data = data if isinstance(data, bytes) else json.dumps(described() if data is None else data).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {"data": data, "policy.pth": weights, **parts}.items():
            archive.writestr(name, content)
    return path


def described(
    states: Mapping[str, Any] | None = None, actions: Mapping[str, Any] | None = None, **policy: Any
) -> dict[str, Any]:
    """The data of an agent, whose pickles must not be read."""
    box = {"dtype": "float32", "_shape": [4], "low": "[-4.8 -inf]"}
    pickled = {":serialized:": base64.b64encode(b"not a pickle").decode()}
    return {
        "policy_class": {":type:": "<class 'abc.ABCMeta'>", **pickled},
        "policy_kwargs": {":type:": "<class 'dict'>", **pickled, **policy} if policy else {},
        "observation_space": {":type:": "<class 'gymnasium.spaces.box.Box'>", **pickled, **box, **(states or {})},
        "action_space": {
            ":type:": "<class 'gymnasium.spaces.discrete.Discrete'>",
            **pickled,
            "n": "2",
            "start": "0",
            **(actions or {}),
        },
    }


def layers(sizes: list[int], *names: str) -> dict[str, torch.Tensor]:
    """Random weights of linear layers of some sizes, under some names."""
    generator = torch.Generator().manual_seed(3)
    found = {}
    for name, (before, after) in zip(names, itertools.pairwise(sizes), strict=True):
        found[f"{name}.weight"] = torch.randn(after, before, generator=generator)
        found[f"{name}.bias"] = torch.randn(after, generator=generator)
    return found


def dqn_weights(*sizes: int) -> dict[str, torch.Tensor]:
    """The weights of a DQN with its target network."""
    sizes = sizes or (4, 8, 8, 2)
    names = [f"q_net.{2 * place}" for place in range(len(sizes) - 1)]
    found = layers([*sizes], *(f"q_net.{name}" for name in names))
    return found | {name.replace("q_net.", "q_net_target.", 1): 2 * weight for name, weight in found.items()}
