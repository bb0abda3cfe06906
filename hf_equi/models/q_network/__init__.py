"""Q-networks."""

from __future__ import annotations

from hf_equi.models.q_network.configuration_equi_q_network import EquiQNetworkConfig
from hf_equi.models.q_network.modeling_equi_q_network import EquiQNetwork, EquiQNetworkOutput

__all__ = ["EquiQNetwork", "EquiQNetworkConfig", "EquiQNetworkOutput"]
