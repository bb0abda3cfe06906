"""Networks that score the actions of an agent: Q-networks and policies."""

from __future__ import annotations

from hf_equi.networks.q_network.configuration_q_network import QNetworkConfig
from hf_equi.networks.q_network.modeling_q_network import QNetwork, QNetworkOutput

__all__ = ["QNetwork", "QNetworkConfig", "QNetworkOutput"]
