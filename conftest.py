"""What pytest leaves out: the examples of modules that need an extra which is not installed."""

from __future__ import annotations

from importlib.util import find_spec

NEEDED = {
    "gymnasium": (
        "environments/_gymnasium.py",
        "environments/torus_gridworld.py",
        "environments/walled_gridworld.py",
        "testing/environments.py",
    ),
    "stable_baselines3": ("environments/dqn.py",),
}
collect_ignore = [f"hf_equi/{file}" for name, files in NEEDED.items() if find_spec(name) is None for file in files]
