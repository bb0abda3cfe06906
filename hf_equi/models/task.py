"""What a task has to say to be symmetrised: which models are its own, and how one is made equivariant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, ClassVar

from transformers import AutoModel, PreTrainedConfig, PreTrainedModel

from hf_equi.bases.compat import LOADING
from hf_equi.bases.signatures import parameters
from hf_equi.errors import ConfigurationError, UnsupportedModelError
from hf_equi.groups import FiniteGroup
from hf_equi.models.configuration_equi import EquiConfig
from hf_equi.models.hub.origins import hub_name

__all__ = ["Request", "Task"]


@dataclass(frozen=True)
class Request:
    """What `symmetrize` was asked for.

    Args:
        base_config: Of the base.
        group: The group.
        method: The method's name.
        companion: What prepares the base's inputs: its tokenizer, or its processor; `None` where there is none.
        settings: What else was given: settings of the method and of the task, those that are not `None`.
        hub: What the base is loaded with by its name, or `None` for a base that is an object.
    """

    base_config: PreTrainedConfig
    group: Any
    method: str
    companion: Any
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


class Task:
    """A kind of model that `symmetrize` wraps: which bases are its own, and how one is made equivariant.

    A subclass names its `model_class`, `what`, `group_class` and `group_example`, and the `entries` of its config that
    `symmetrize` takes. `hf_equi.register_task` makes it known under a name.
    """

    name: str
    """As in `symmetrize(task=...)`; given by the registration."""
    what: ClassVar[str]
    """What its models are called in messages."""
    model_class: ClassVar[Any]
    """The subclass of `EquiPreTrainedModel` that wraps its bases; where there are several, the one for most."""
    entries: ClassVar[tuple[str, ...]] = ("orbit_chunk_size",)
    """The entries of the config that `symmetrize` takes as settings."""
    companions: ClassVar[tuple[str, ...]] = ()
    """What else it takes: what prepares inputs, and what is not stored."""
    commands: ClassVar[tuple[str, ...]] = ()
    """The commands of `hf-equi` that read its models, beside `convert` and `publish`, which read all."""
    group_class: ClassVar[type[FiniteGroup]]
    """The groups that act on its inputs."""
    group_example: ClassVar[str]
    """How to make one, for messages."""

    @classmethod
    def check_complete(cls) -> None:
        """Refuse a task that lacks what it has to name.

        Raises:
            ConfigurationError: For such a task, and for one that claims all that `AutoModel` knows.
        """
        missing = [name for name in ("what", "model_class", "group_class", "group_example") if not hasattr(cls, name)]
        if missing:
            raise ConfigurationError(f"The task {cls.__name__} has to name {', '.join(missing)}")
        if cls.model_class.auto_class is AutoModel and cls.mapping is Task.mapping:
            raise ConfigurationError(
                f"AutoModel knows the models of all tasks, and {cls.__name__} would claim them: name its own bases, "
                "mapping = {TheirConfig: TheirModel}"
            )

    @property
    def settings(self) -> frozenset[str]:
        """The settings of `symmetrize` that it takes."""
        return frozenset({*self.entries, *self.companions})

    @property
    def auto_class(self) -> Any:
        """The Auto class that loads its bases."""
        return self.model_class.auto_class

    @property
    def mapping(self) -> Mapping[Any, Any]:
        """The base classes by their configs."""
        known: Mapping[Any, Any] = self.auto_class._model_mapping
        return known

    def check_base(self, base: PreTrainedModel | type[PreTrainedModel]) -> None:
        """Refuse a base that cannot be wrapped."""
        self.model_class.check_base(base)

    def owns(self, model: PreTrainedModel) -> bool:
        """Whether a model is one of this task's: by its class."""
        return isinstance(model, self.classes(model.config))

    def make_config(self, request: Request) -> EquiConfig:
        """The config of the symmetrised model, checked.

        Raises:
            ActionError: For words that the tokenizer cannot move.
            ConfigurationError: For an unknown method or setting.
        """
        config: EquiConfig = self.model_class.config_class(**request.common(*self.entries))
        return config

    def wrap(self, config: EquiConfig, base: PreTrainedModel, request: Request) -> Any:
        """The base in its wrapper, with what prepares its inputs."""
        return self.model_class(config, base)

    def prepare(self, name: str | None, given: dict[str, Any], hub: dict[str, Any]) -> Any:
        """What prepares the base's inputs, if anything does: what was given, or what lies beside the weights.

        Args:
            name: A folder or Hub name, or `None` for a base that is an object.
            given: The settings of the call.
            hub: What it is loaded with.

        Raises:
            ConfigurationError: If there is none and the task needs one, or it is of another kind.
        """
        return None

    def check_group(self, group: Any) -> None:
        """Refuse a group that does not act on this task's inputs."""
        if not isinstance(group, self.group_class):
            raise ConfigurationError(
                f"A group that acts on a {self.what} is of the kind {self.group_class.__name__}, not "
                f"{type(group).__name__}. "
                f"Make one: {self.group_example}."
            )

    def knows(self, config: PreTrainedConfig) -> bool:
        """Whether a config may be that of a base; code from the Hub says so itself."""
        remote = getattr(config, "auto_map", None) or {}
        return type(config) in self.mapping or self.auto_class.__name__ in remote

    def names_architecture(self, config: PreTrainedConfig) -> bool:
        """Whether the class that a checkpoint was saved from is one of this task's."""
        known = getattr(config, "architectures", None)
        return isinstance(known, list) and any(model.__name__ in known for model in self.classes(config))

    def classes(self, config: PreTrainedConfig) -> tuple[type[PreTrainedModel], ...]:
        """The base classes of a config: mostly one, or none."""
        if type(config) not in self.mapping:
            return ()
        found = self.mapping[type(config)]
        return found if isinstance(found, tuple) else (found,)

    def check_config(self, config: PreTrainedConfig) -> None:
        """Refuse a config whose model cannot be wrapped; code from the Hub is checked when its class is known.

        Raises:
            UnsupportedModelError: For such a config, and for one of another task.
        """
        if not self.knows(config):
            raise UnsupportedModelError(
                f"A {config.model_type!r} model is not a {self.what} (task={self.name!r}): leave task= out, and it is "
                "found from the model"
            )
        for model in self.classes(config):
            self.check_base(model)

    def check_model(self, model: PreTrainedModel) -> None:
        """Refuse a model of another task."""
        if not self.owns(model):
            raise UnsupportedModelError(
                f"{type(model).__name__} is not a {self.what}: load one with {self.auto_class.__name__}"
            )
        self.check_base(model)

    def check_settings(self, given: dict[str, Any]) -> None:
        """Refuse settings of other tasks."""
        if unknown := sorted(set(given) - self.settings):
            raise ConfigurationError(
                f"{', '.join(unknown)}: a {self.what} does not use these settings (task={self.name!r})"
            )

    def check_loading(self, names: Iterable[str], config: PreTrainedConfig) -> None:
        """Refuse what neither `symmetrize` nor `from_pretrained` knows, such as a misspelt setting.

        Args:
            names: What was given beside the settings.
            config: Of the base.

        Raises:
            ConfigurationError: For such a name. A class from the Hub may take arguments of its own.
        """
        if getattr(config, "auto_map", None):
            return
        taken = LOADING.union(*(parameters(kind.__init__) for kind in self.classes(config)))
        for name in names:
            if name not in taken and not hasattr(config, name):
                near = get_close_matches(name, [*self.settings, *LOADING], 1)
                raise ConfigurationError(
                    f"{name}= is not known. {f'Did you mean {near[0]}=? ' if near else ''}A {self.what} takes the "
                    f"settings {', '.join(sorted(self.settings))}, the arguments of from_pretrained, and entries of "
                    f"the config of a {config.model_type!r} model."
                )
