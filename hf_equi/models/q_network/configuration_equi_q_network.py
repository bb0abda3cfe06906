"""The configuration of EquiQNetwork."""

from __future__ import annotations

from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict
from transformers.configuration_utils import SubConfigSpec

from hf_equi.checks import check_count, check_share
from hf_equi.errors import ConfigurationError
from hf_equi.groups import EnvironmentGroup
from hf_equi.models.configuration_equi import EquiConfig
from hf_equi.networks.q_network import QNetworkConfig
from hf_equi.registration import create_method
from hf_equi.symmetrizers import EqualWeights, FeatureWeights, Method

__all__ = ["TASK", "EquiQNetworkConfig"]

TASK = "q_network"


@strict
class EquiQNetworkConfig(EquiConfig):
    r"""Configuration of `EquiQNetwork`.

    Args:
        method (`str`, *optional*, defaults to `"equitune"`):
            `"equitune"`, `"equizero"`, `"lambda"`, `"canonical"` or `"identity"`.
        lambda_units (`int`, *optional*, defaults to 100):
            The number of units in the hidden layers of the network of `"lambda"`.
        lambda_dropout (`float`, *optional*, defaults to 0.0):
            The dropout of that network.
        base_config, group, orbit_chunk_size, hf_equi_version, format_version, stores_base:
            As in `EquiConfig`; the group as the `to_dict` of an `EnvironmentGroup` gives it.
        base_name, base_revision, adapter:
            As in `EquiConfig`.

    Raises:
        ConfigurationError: As in `EquiConfig`; for a group that moves other states or another number of actions than
            the network has; for a dropout outside 0 to 1 or less than one unit.

    Example:
        >>> EquiQNetworkConfig(method="equizero").create_method().loss.name
        'max_probability'
    """

    model_type = "equi_q_network"
    sub_configs_defaults: ClassVar[dict[str, SubConfigSpec]] = {
        "base_config": SubConfigSpec(config_class=QNetworkConfig, model_type="q_network")
    }
    group_class: ClassVar[Any] = EnvironmentGroup
    keys_to_ignore_at_inference: ClassVar[list[str]] = ["chosen_element", "margin", "group_weights"]

    lambda_units: int = 100
    lambda_dropout: float = 0.0

    def create_method(self) -> Method:
        """Make the method.

        Raises:
            ConfigurationError: For an unknown method. The message lists the known ones.
        """
        method: Method = create_method(TASK, self.method)
        method.check_parts((EqualWeights, FeatureWeights), chooses=True, what="Q-networks")
        return method

    def _check(self) -> None:
        super()._check()
        check_share("lambda_dropout", self.lambda_dropout)
        check_count("lambda_units", self.lambda_units, "size")
        if self.group is not None and self.base_config is not None:
            _check_fit(self.read_group(), self.base_config)


def _check_fit(group: EnvironmentGroup, base: Any) -> None:
    """Refuse a group that does not act on the states and the actions of a network."""
    actions, shape = group.permutations.shape[1], tuple(base.state_shape)
    if actions != base.num_actions:
        raise ConfigurationError(
            f"{group!r} permutes {actions} actions, but the network scores {base.num_actions}: pass the group of its "
            "environment"
        )
    if group.states is not None:
        fits, moves = shape == tuple(group.states.shape[1:2]), f"states of {group.states.shape[1]} numbers"
    else:
        images = group.images
        square = len(shape) == 3 and shape[1] == shape[2]
        fits = len(shape) == 3 and (square or not getattr(images, "needs_square", False))
        moves = "square images" if getattr(images, "needs_square", False) else "images"
    if not fits:
        raise ConfigurationError(
            f"{group!r} moves {moves}, but the network reads states of the shape {shape}: pass the group of its "
            "environment"
        )
