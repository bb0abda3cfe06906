"""The task that makes an EquiQNetwork in `symmetrize`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from hf_equi.errors import ConfigurationError
from hf_equi.groups import EnvironmentGroup
from hf_equi.models.configuration_equi import EquiConfig
from hf_equi.models.q_network.modeling_equi_q_network import EquiQNetwork
from hf_equi.models.task import Request, Task
from hf_equi.networks.q_network import QNetwork, QNetworkConfig

__all__ = ["QNetworkTask"]

_OF_WEIGHTS = ("lambda_units", "lambda_dropout")


class QNetworkTask(Task):
    """Q-networks, and policies with discrete actions."""

    what = "Q-network"
    model_class = EquiQNetwork
    entries: ClassVar[tuple[str, ...]] = ("orbit_chunk_size", *_OF_WEIGHTS)
    group_class: ClassVar[Any] = EnvironmentGroup
    group_example = "hf_equi.groups.EnvironmentGroup(states=[[-1, -1, -1, -1]], actions=[[1, 0]])"

    @property
    def mapping(self) -> Mapping[Any, Any]:
        """Q-networks alone, of all models that `AutoModel` knows."""
        return {QNetworkConfig: QNetwork}

    def make_config(self, request: Request) -> EquiConfig:
        """The config, checked.

        Raises:
            ConfigurationError: For settings that the method does not read, and as in `EquiQNetworkConfig`.
        """
        config = super().make_config(request)
        if config.create_method().feature_weights is None and (unread := set(request.settings) & {*_OF_WEIGHTS}):
            raise ConfigurationError(
                f"{', '.join(sorted(unread))}: the method {request.method!r} does not use these settings, which "
                "belong to 'lambda'"
            )
        return config
