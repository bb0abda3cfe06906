"""The configuration of models that select members by a canonicalizer."""

from __future__ import annotations

from typing import Any

from huggingface_hub.dataclasses import strict

from hf_equi.canonicalization import LearnedMember
from hf_equi.canonicalization.learned_member import RELAXATIONS
from hf_equi.canonicalization.theta import plain_theta
from hf_equi.checks import check_count, check_share, check_weight
from hf_equi.errors import ConfigurationError
from hf_equi.groups import ContinuousGroup
from hf_equi.models.configuration_equi import EquiConfig

__all__ = ["CANONICAL_SETTINGS", "EquiCanonicalizedConfig"]

CANONICAL_SETTINGS = ("theta", "prior_weight", "temperature", "relaxation")
"""The settings of `"canonical"` and `"canonical_lambda"` besides the canonicalizer."""


@strict
class EquiCanonicalizedConfig(EquiConfig):
    r"""A base config, a group, and a method that may have a canonicalizer or weights.

    Args:
        lambda_units (`int`, *optional*, defaults to 100):
            The number of units in the hidden layers of a network that weighs members.
        lambda_dropout (`float`, *optional*, defaults to 0.0):
            The dropout of that network.
        canonicalizer_settings, theta, task_weight, prior_weight, temperature, relaxation:
            The canonicalizer and its training, as the config of each task says.

    Raises:
        ConfigurationError: As in `EquiConfig`; for a dropout outside 0 to 1, less than one unit, a negative weight, or
            a Θ that is missing, empty, repeats an element or is not in the group.
    """

    lambda_units: int = 100
    lambda_dropout: float = 0.0
    canonicalizer_settings: dict[str, Any] | None = None
    theta: Any = None
    task_weight: float = 1.0
    prior_weight: float = 100.0
    temperature: float = 1.0
    relaxation: str = "straight_through"

    def __post_init__(self, **kwargs: Any) -> None:
        self.theta = plain_theta(self.theta)
        super().__post_init__(**kwargs)

    @property
    def canonical_settings(self) -> dict[str, Any]:
        """The settings from which methods with a canonicalizer are made."""
        return {
            "canonicalizer_settings": self.canonicalizer_settings,
            **{name: getattr(self, name) for name in CANONICAL_SETTINGS},
        }

    def _check(self) -> None:
        super()._check()
        check_weight("task_weight", self.task_weight)
        check_weight("prior_weight", self.prior_weight)
        check_share("lambda_dropout", self.lambda_dropout)
        check_count("lambda_units", self.lambda_units, "size")
        if self.group is None:
            return
        group, select = self.read_group(), self.create_method().select
        if isinstance(group, ContinuousGroup):
            self._check_continuous(group)
        if isinstance(select, LearnedMember):
            select.theta_in(group)

    def _check_continuous(self, group: ContinuousGroup) -> None:
        """Refuse settings of scores, which have no meaning for a group whose elements are computed.

        Raises:
            ConfigurationError: For a temperature or a relaxation.
        """
        if self.temperature != 1.0 or self.relaxation != RELAXATIONS[0]:
            raise ConfigurationError(
                "temperature= and relaxation= say how the choice of an element by scores passes gradients, but of "
                f"{group!r} the element itself is computed: leave them out"
            )
