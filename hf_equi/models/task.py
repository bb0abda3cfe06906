"""What a task must define to be symmetrised: which models belong to it, and how one is made equivariant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from transformers import AutoModel, PreTrainedConfig, PreTrainedModel

from hf_equi.bases.compat import LOADING
from hf_equi.bases.signatures import parameters
from hf_equi.checks import nearest
from hf_equi.errors import ConfigurationError, UnsupportedModelError
from hf_equi.models.configuration_equi import EquiConfig, class_names
from hf_equi.models.hub.origins import hub_name

__all__ = ["Request", "Task"]


@dataclass(frozen=True)
class Request:
    """The arguments of a call of `symmetrize`.

    Args:
        base_config: The base's config.
        group: The group.
        method: The method's name.
        companion: What prepares the base's inputs, its tokenizer or its processor; `None` if there is none.
        settings: The other arguments: settings of the method and of the task, without those that are `None`.
        hub: The arguments for loading the base by its name, or `None` for a base that is an object.
        base: The base that is an object; `None` if it is loaded later.
    """

    base_config: PreTrainedConfig
    group: Any
    method: str
    companion: Any
    settings: dict[str, Any] = field(default_factory=dict)
    hub: dict[str, Any] | None = None
    base: PreTrainedModel | None = None

    def common(self, *names: str) -> dict[str, Any]:
        """Return the config entries that all tasks have, and those of the settings that are named."""
        entries: dict[str, Any] = {
            "base_config": self.base_config,
            "group": self.group.to_dict(),
            "method": self.method,
            **{name: self.settings[name] for name in names if name in self.settings},
        }
        if self.hub is not None:  # the revision of an object is unknown
            entries["base_name"], entries["base_revision"] = hub_name(self.base_config, **self.hub)
        return entries


class Task:
    """A kind of model that `symmetrize` wraps: which bases belong to it, and how one is made equivariant.

    A subclass sets its `model_class`, `what`, `group_class` and `group_example`, and the `entries` of its config that
    `symmetrize` takes. `hf_equi.register_task` makes it known under a name.
    """

    name: str
    """The name, as in `symmetrize(task=...)`; the registration sets it."""
    what: ClassVar[str]
    """What messages call its models."""
    model_class: ClassVar[Any]
    """The subclass of `EquiPreTrainedModel` that wraps its bases. If there are several, it is the most common one."""
    entries: ClassVar[tuple[str, ...]] = ("orbit_chunk_size",)
    """The entries of the config that `symmetrize` takes as settings."""
    companions: ClassVar[tuple[str, ...]] = ()
    """The other settings: what prepares inputs, and what is not stored."""
    commands: ClassVar[tuple[str, ...]] = ()
    """The commands of `hf-equi` that read its models, besides `convert` and `publish`, which read all models."""
    group_class: ClassVar[Any]
    """The class of the groups that act on its inputs, or several."""
    group_example: ClassVar[str]
    """Code that makes such a group, for messages."""

    @classmethod
    def check_complete(cls) -> None:
        """Refuse a task that does not define everything it must.

        Raises:
            ConfigurationError: For such a task, and for one that claims every model that `AutoModel` knows.
        """
        missing = [name for name in ("what", "model_class", "group_class", "group_example") if not hasattr(cls, name)]
        if missing:
            raise ConfigurationError(f"The task {cls.__name__} must define {', '.join(missing)}")
        if cls.model_class.auto_class is AutoModel and cls.mapping is Task.mapping:
            raise ConfigurationError(
                f"AutoModel knows the models of all tasks, so {cls.__name__} would claim them all: name its own "
                f"bases, mapping = {{TheirConfig: TheirModel}}"
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
        """The classes of its bases, by their configs."""
        known: Mapping[Any, Any] = self.auto_class._model_mapping
        return known

    def check_base(self, base: PreTrainedModel | type[PreTrainedModel]) -> None:
        """Refuse a base that cannot be wrapped."""
        self.model_class.check_base(base)

    def owns(self, model: PreTrainedModel) -> bool:
        """Return whether a model belongs to this task, by its class."""
        return isinstance(model, self.classes(model.config))

    def make_config(self, request: Request) -> EquiConfig:
        """Make and check the config of the symmetrised model.

        Raises:
            ActionError: For words that the tokenizer cannot move.
            ConfigurationError: For an unknown method or setting.
        """
        config: EquiConfig = self.model_class.config_class(**request.common(*self.entries))
        return config

    def wrap(self, config: EquiConfig, base: PreTrainedModel, request: Request) -> Any:
        """Return the base in its wrapper, with what prepares its inputs."""
        return self.model_class(config, base)

    def prepare(self, name: str | None, given: dict[str, Any], hub: dict[str, Any]) -> Any:
        """Return what prepares the base's inputs, if anything does: the given one, or the one beside the weights.

        Args:
            name: A folder or Hub name, or `None` for a base that is an object.
            given: The settings of the call.
            hub: The arguments for loading it.

        Raises:
            ConfigurationError: If there is none but the task needs one, or if it is of another kind.
        """
        return None

    def check_group(self, group: Any) -> None:
        """Refuse a group that does not act on this task's inputs."""
        if not isinstance(group, self.group_class):
            raise ConfigurationError(
                f"A group that acts on a {self.what} must be of the class {class_names(self.group_class)}, not "
                f"{type(group).__name__}. Make one: {self.group_example}."
            )

    def knows(self, config: PreTrainedConfig) -> bool:
        """Return whether a config may belong to a base; code from the Hub states it itself, except by `AutoModel`."""
        remote = getattr(config, "auto_map", None) or {}
        return type(config) in self.mapping or (
            self.auto_class is not AutoModel and self.auto_class.__name__ in remote
        )

    def names_architecture(self, config: PreTrainedConfig) -> bool:
        """Return whether the class that saved the checkpoint belongs to this task."""
        known = getattr(config, "architectures", None)
        return isinstance(known, list) and any(model.__name__ in known for model in self.classes(config))

    def classes(self, config: PreTrainedConfig) -> tuple[type[PreTrainedModel], ...]:
        """Return the base classes of a config: usually one, or none."""
        if type(config) not in self.mapping:
            return ()
        found = self.mapping[type(config)]
        return found if isinstance(found, tuple) else (found,)

    def check_config(self, config: PreTrainedConfig) -> None:
        """Refuse a config whose model cannot be wrapped; code from the Hub is checked once its class is known.

        Raises:
            UnsupportedModelError: For such a config, and for one of another task.
        """
        if not self.knows(config):
            raise UnsupportedModelError(
                f"A {config.model_type!r} model is not a {self.what} (task={self.name!r}): leave task= out, so that "
                "it is found from the model"
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
        """Refuse names that neither `symmetrize` nor `from_pretrained` knows, such as a misspelt setting.

        Args:
            names: The names of the arguments other than settings.
            config: The base's config.

        Raises:
            ConfigurationError: For such a name. A class from the Hub may take arguments of its own.
        """
        if getattr(config, "auto_map", None):
            return
        taken = LOADING.union(*(parameters(kind.__init__) for kind in self.classes(config)))
        for name in names:
            if name not in taken and not hasattr(config, name):
                near = nearest(name, [*self.settings, *LOADING])
                raise ConfigurationError(
                    f"{name}= is not known. {f'Did you mean {near}=? ' if near else ''}A {self.what} takes the "
                    f"settings {', '.join(sorted(self.settings))}, the arguments of from_pretrained, and entries of "
                    f"the config of a {config.model_type!r} model."
                )
