"""The public names of this package, once: type checkers read them here, and `__init__.py` too."""

from hf_equi.environments.dqn import EquiDQNPolicy as EquiDQNPolicy
from hf_equi.environments.dqn import equivariant_dqn as equivariant_dqn
from hf_equi.environments.policy import QPolicy as QPolicy
from hf_equi.environments.torus_gridworld import TorusGridworld as TorusGridworld
from hf_equi.environments.walled_gridworld import WalledGridworld as WalledGridworld
