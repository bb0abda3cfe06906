"""What a task has to say to be symmetrised: which models are its own, and how one is made equivariant."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from transformers import PreTrainedConfig, PreTrainedModel

from hf_equi.errors import ConfigurationError, UnsupportedModelError
from hf_equi.groups import DemographicGroup
from hf_equi.models.checkpoints import hub_name
from hf_equi.models.configuration_equi import EquiConfig

__all__ = ["Request", "Task"]


@dataclass(frozen=True)
class Request:
    """What `symmetrize` was asked for.

    Args:
        base_config: Of the base.
        group: The group.
        method: The method's name.
        tokenizer: The base's tokenizer.
        settings: What else was given: settings of the method and of the task, those that are not `None`.
        hub: What the base is loaded with by its name, or `None` for a base that is an object.
    """

    base_config: PreTrainedConfig
    group: DemographicGroup
    method: str
    tokenizer: Any
    settings: dict[str, Any] = field(default_factory=dict)
    hub: dict[str, Any] | None = None

    def common(self, *names: str) -> dict[str, Any]:
        """The entries of a config that all tasks have, with some of the settings."""
        entries: dict[str, Any] = {
            "base_config": self.base_config,
            "group": self.group.to_dict(),
            "method": self.method,
            **{name: self.settings[name] for name in names if name in self.settings},
        }
        if self.hub is not None:  # of an object nobody knows the revision
            entries["base_name"], entries["base_revision"] = hub_name(self.base_config, **self.hub)
        return entries


class Task(ABC):
    """A kind of model that `symmetrize` wraps."""

    name: ClassVar[str]
    what: ClassVar[str]
    """What its models are called in messages."""
    auto_class: ClassVar[Any]
    """The Auto class that loads its bases."""
    settings: ClassVar[frozenset[str]]
    """The settings of `symmetrize` that it takes."""

    @property
    @abstractmethod
    def mapping(self) -> Mapping[Any, Any]:
        """The base classes by their configs."""

    @abstractmethod
    def check_base(self, base: PreTrainedModel | type[PreTrainedModel]) -> None:
        """Refuse a base that cannot be wrapped."""

    @abstractmethod
    def owns(self, model: PreTrainedModel) -> bool:
        """Whether a model is one of this task's."""

    @abstractmethod
    def make_config(self, request: Request) -> EquiConfig:
        """The config of the symmetrised model, checked.

        Raises:
            ActionError: For words that the tokenizer cannot move.
            ConfigurationError: For an unknown method or setting.
        """

    @abstractmethod
    def wrap(self, config: EquiConfig, base: PreTrainedModel, request: Request) -> Any:
        """The base in its wrapper, with its tokenizer."""

    def knows(self, config: PreTrainedConfig) -> bool:
        """Whether a config may be that of a base; code from the Hub says so itself."""
        remote = getattr(config, "auto_map", None) or {}
        return type(config) in self.mapping or self.auto_class.__name__ in remote

    def names_architecture(self, config: PreTrainedConfig) -> bool:
        """Whether the class that a checkpoint was saved from is one of this task's."""
        known = getattr(config, "architectures", None) or []
        return type(config) in self.mapping and self.mapping[type(config)].__name__ in known

    def check_config(self, config: PreTrainedConfig) -> None:
        """Refuse a config whose model cannot be wrapped; code from the Hub is checked when its class is known."""
        if type(config) in self.mapping:
            self.check_base(self.mapping[type(config)])

    def check_model(self, model: PreTrainedModel) -> None:
        """Refuse a model of another task."""
        if not self.owns(model):
            raise UnsupportedModelError(
                f"{type(model).__name__} is no {self.what}: load one with {self.auto_class.__name__}"
            )
        self.check_base(model)

    def check_settings(self, given: dict[str, Any]) -> None:
        """Refuse settings of other tasks."""
        if unknown := sorted(set(given) - self.settings):
            raise ConfigurationError(f"{', '.join(unknown)}: a {self.what} has no use for them (task={self.name!r})")
