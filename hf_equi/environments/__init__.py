"""Reinforcement learning: policies of Q-networks, training in Stable-Baselines3, and two environments with symmetries.

Public names load on first use. The import registers the environments with gymnasium, if it is installed.
"""

from __future__ import annotations

from importlib.util import find_spec

from hf_equi.stubs import lazy_names, read_stub

__all__, __getattr__, __dir__ = lazy_names(__name__, read_stub(__name__))

if find_spec("gymnasium") is not None:
    from hf_equi.environments._gymnasium import register

    register("TorusGridworld", "torus_gridworld", max_episode_steps=100)
    register("WalledGridworld", "walled_gridworld", max_episode_steps=100)
