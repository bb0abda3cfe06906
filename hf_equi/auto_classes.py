"""Registration with the Auto classes of transformers, without loading them at `import hf_equi`.

The Auto classes import torch and most of transformers, and a model class imports the Auto classes. Registering at
import would therefore make `import hf_equi` slow, and registering inside the import of an Auto class would run into
half-loaded modules. So a stand-in, which needs nothing, is registered as soon as `AutoConfig` exists. The first
checkpoint that is read through it loads and registers the real classes, at a time when no import is in progress.
"""

from __future__ import annotations

import sys
from functools import partial
from importlib import import_module
from importlib.abc import MetaPathFinder
from threading import get_ident
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from hf_equi.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
    from types import ModuleType

__all__ = ["InstalledClass", "ModelPlace", "places", "register_classes", "watch", "when_imported"]

_AUTO_CONFIG = "transformers.models.auto.configuration_auto"


# By the first, `Trainer` knows that it must shift labels before it smooths them. By the second, the pipeline for
# segmentation knows its models, and would otherwise log an error.
_READ_BY_NAME = {
    "AutoModelForCausalLM": "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",
    "AutoModelForSemanticSegmentation": "MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING_NAMES",
}


class ModelPlace(NamedTuple):
    """Where a model's classes are, and which Auto classes make it.

    Args:
        model_type: The `model_type` of its config.
        package: The package that has both classes.
        config: The name of the config's class.
        model: The name of the model's class.
        auto_classes: The names of the Auto classes in transformers.
        headless: The name of the class that `AutoModel` makes, if the model has one without its head.
    """

    model_type: str
    package: str
    config: str
    model: str
    auto_classes: tuple[str, ...]
    headless: str | None = None

    @property
    def models(self) -> dict[str, str]:
        """Return the name of the class that each Auto class makes."""
        made = dict.fromkeys(self.auto_classes, self.model)
        return made if self.headless is None else {**made, "AutoModel": self.headless}


class InstalledClass:
    """A class that is imported from an installed package, never from a copy of its source beside a checkpoint."""

    @classmethod
    def register_for_auto_class(cls, auto_class: Any = None) -> None:
        """Do nothing: a checkpoint names a module that imports the package.

        With `trust_remote_code=True`, transformers calls this on the class that this module gives. A save would then
        copy the source of that class into the checkpoint, and name the copy in the config. The copy cannot be imported
        alone.

        Args:
            auto_class: Ignored.
        """


_PLACES: dict[str, ModelPlace] = {}


def watch(place: ModelPlace) -> None:
    """Make the Auto classes know a model, whether it or transformers is imported first.

    Raises:
        ConfigurationError: If another model has this model type.
    """
    if _PLACES.get(place.model_type, place) != place:
        raise ConfigurationError(
            f"The model type {place.model_type!r} is taken by {_PLACES[place.model_type]}: choose another one"
        )
    _PLACES[place.model_type] = place
    when_imported(_AUTO_CONFIG, partial(_register_stand_in, place))
    # For configs made by hand: they reach `AutoModelFor….from_config` without passing the stand-in.
    when_imported(place.package, partial(_register_place, place))


def places() -> tuple[ModelPlace, ...]:
    """Return the models that are known by their place."""
    return tuple(_PLACES.values())


def when_imported(name: str, action: Callable[[], None]) -> None:
    """Call `action` each time that module `name` has run: after its import, after a reload, and now if it is loaded.

    Args:
        name: Full name of a module.
        action: Called without arguments, with the module in `sys.modules`. It must not need modules that may import
            `name` themselves, because these are only half loaded by then.
    """
    if _WATCH not in sys.meta_path:
        sys.meta_path.insert(0, _WATCH)
    _WATCH.actions.setdefault(name, []).append(action)
    if name in sys.modules:
        action()


class _ImportWatch(MetaPathFinder):
    """Finds some modules by asking all other finders, and adds calls to their loading."""

    def __init__(self) -> None:
        self.actions: dict[str, list[Callable[[], None]]] = {}
        self._asking: set[tuple[int, str]] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        asked = (get_ident(), fullname)
        if fullname not in self.actions or asked in self._asking:  # asked by a finder that itself asks all others
            return None
        self._asking.add(asked)
        try:
            spec = self._ask_others(fullname, path, target)
        finally:
            self._asking.remove(asked)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = cast("Loader", _WatchedLoader(spec, self.actions[fullname]))
        return spec

    def _ask_others(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
        for finder in list(sys.meta_path):
            find_spec = getattr(finder, "find_spec", None)
            if finder is not self and find_spec is not None:
                spec: ModuleSpec | None = find_spec(fullname, path, target)
                if spec is not None:
                    return spec
        return None


class _WatchedLoader:
    """Stands in for the loader of one module until it runs, and leaves no trace.

    The loader itself may serve many modules, or be a class, so nothing can be set on it.
    """

    def __init__(self, spec: ModuleSpec, actions: list[Callable[[], None]]) -> None:
        self._spec, self._loader, self._actions = spec, spec.loader, actions

    def __getattr__(self, name: str) -> Any:
        if name == "_loader":  # this is a copy in the making
            raise AttributeError(name)
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        create = getattr(self._loader, "create_module", None)
        return None if create is None else create(spec)

    def exec_module(self, module: ModuleType) -> None:
        loader: Any = self._loader
        self._spec.loader = module.__loader__ = loader
        loader.exec_module(module)
        for action in list(self._actions):
            action()


_WATCH = _ImportWatch()


class _StandIn:
    """The entry of `AutoConfig` for a model type that has not been used yet; passes each use on to the real class."""

    model_type: str

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return cls.real()(*args, **kwargs)

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        return cls.real().from_dict(config_dict, **kwargs)

    @classmethod
    def from_pretrained(cls, *args: Any, **kwargs: Any) -> Any:
        return cls.real().from_pretrained(*args, **kwargs)

    @classmethod
    def real(cls) -> Any:
        place = _PLACES[cls.model_type]
        _register_place(place)
        return getattr(import_module(place.package), place.config)


def _register_stand_in(place: ModelPlace) -> None:
    from transformers.models.auto.configuration_auto import AutoConfig  # noqa: PLC0415

    stand_in = type(place.config, (_StandIn,), {"model_type": place.model_type})
    AutoConfig.register(place.model_type, stand_in, exist_ok=True)


def _register_place(place: ModelPlace) -> None:
    """Make the Auto classes know the real classes of a model."""
    import transformers  # noqa: PLC0415

    module = import_module(place.package)
    for auto_class, model in place.models.items():
        register_classes(getattr(module, place.config), getattr(module, model), [getattr(transformers, auto_class)])


def register_classes(config: Any, model: Any, auto_classes: Iterable[Any]) -> None:
    """Make `AutoConfig` and some `AutoModelFor…` classes know a model, and `AutoImageProcessor` its processor.

    Args:
        config: The class of its config.
        model: Its class.
        auto_classes: The Auto classes that make it.
    """
    import transformers  # noqa: PLC0415

    transformers.AutoConfig.register(config.model_type, config, exist_ok=True)
    for auto_class in auto_classes:
        auto_class.register(config, model, exist_ok=True)
        if auto_class.__name__ in _READ_BY_NAME:
            _note_name(_READ_BY_NAME[auto_class.__name__], config.model_type, model.__name__)
    if (processor := getattr(model, "image_processor_class", None)) and transformers.utils.is_vision_available():
        kinds = dict.fromkeys(("pil", "torchvision"), processor)
        transformers.AutoImageProcessor.register(config, image_processor_classes=kinds, exist_ok=True)


def _note_name(names: str, model_type: str, model: str) -> None:
    """Add to names that transformers reads without asking the Auto class."""
    from transformers.models.auto import modeling_auto  # noqa: PLC0415

    getattr(modeling_auto, names)[model_type] = model
