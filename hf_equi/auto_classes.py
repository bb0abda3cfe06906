"""How the Auto classes of transformers come to know this library without `import hf_equi` loading them.

The Auto classes import torch and most of transformers, and a model class imports the Auto classes. Registering at
import would therefore make `import hf_equi` slow, and registering inside the import of an Auto class would run into
half-loaded modules. So what is registered as soon as `AutoConfig` exists is a stand-in, which needs nothing. The first
checkpoint read through it loads and registers the real classes, at a time when no import is in progress.
"""

from __future__ import annotations

import sys
from functools import partial
from importlib import import_module
from importlib.abc import MetaPathFinder
from typing import TYPE_CHECKING, Any, NamedTuple

from hf_equi.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

__all__ = ["ModelPlace", "places", "register_classes", "watch", "when_imported"]

_AUTO_CONFIG = "transformers.models.auto.configuration_auto"


class ModelPlace(NamedTuple):
    """Where a model's classes are, and which Auto classes make it.

    Args:
        model_type: Of its config.
        package: Which has both classes.
        config: The name of the config's class.
        model: The name of the model's class.
        auto_classes: Names in transformers.
        headless: The name of the class that `AutoModel` makes, of a model that has one without its head.
    """

    model_type: str
    package: str
    config: str
    model: str
    auto_classes: tuple[str, ...]
    headless: str | None = None

    @property
    def models(self) -> dict[str, str]:
        """The name of the class that each Auto class makes."""
        made = dict.fromkeys(self.auto_classes, self.model)
        return made if self.headless is None else {**made, "AutoModel": self.headless}


_PLACES: dict[str, ModelPlace] = {}


def watch(place: ModelPlace) -> None:
    """Make the Auto classes know a model, whichever of it and transformers is imported first.

    Raises:
        ConfigurationError: For a model type that another model has.
    """
    if _PLACES.get(place.model_type, place) != place:
        raise ConfigurationError(
            f"The model type {place.model_type!r} is that of {_PLACES[place.model_type]}: choose another one"
        )
    _PLACES[place.model_type] = place
    when_imported(_AUTO_CONFIG, partial(_register_stand_in, place))
    # For configs made by hand: they reach `AutoModelFor….from_config` without passing the stand-in.
    when_imported(place.package, partial(_register_place, place))


def places() -> tuple[ModelPlace, ...]:
    """The models that are known by their place."""
    return tuple(_PLACES.values())


def when_imported(name: str, action: Callable[[], None]) -> None:
    """Call `action` once module `name` has run: now if it has already, else right after its first import.

    Args:
        name: Full name of a module.
        action: Called without arguments, with the module in `sys.modules`. It must not need modules that may import
            `name` themselves, for these are only half loaded by then.
    """
    if name in sys.modules:
        action()
        return
    watching = next((one for one in sys.meta_path if isinstance(one, _ImportWatcher) and one.name == name), None)
    if watching is None:
        sys.meta_path.insert(0, watching := _ImportWatcher(name))
    watching.actions.append(action)


class _ImportWatcher(MetaPathFinder):
    """Finds one module by asking all other finders, and adds some calls to its loading."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.actions: list[Callable[[], None]] = []

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self.name:
            return None
        others = (finder for finder in list(sys.meta_path) if finder is not self)
        spec = next(filter(None, (finder.find_spec(fullname, path, target) for finder in others)), None)
        if spec is not None and spec.loader is not None:
            self._extend(spec.loader)
        return spec

    def _extend(self, loader: Any) -> None:
        # Set on the instance: a loader of another class would hide `get_source` and its like from inspect.
        run_module = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run_module(module)
            if self in sys.meta_path:
                sys.meta_path.remove(self)
            for action in self.actions:
                action()

        loader.exec_module = exec_module


class _StandIn:
    """What `AutoConfig` holds for a model type until it is used: each use is passed on to the real class."""

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
    """Make `AutoConfig` and some `AutoModelFor…` classes know a model, and `AutoImageProcessor` its own processor.

    Args:
        config: The class of its config.
        model: Its class.
        auto_classes: Those that make it.
    """
    import transformers  # noqa: PLC0415

    transformers.AutoConfig.register(config.model_type, config, exist_ok=True)
    for auto_class in auto_classes:
        auto_class.register(config, model, exist_ok=True)
        if auto_class is transformers.AutoModelForCausalLM:
            _note_causal(config.model_type, model.__name__)
    if (processor := getattr(model, "image_processor_class", None)) and transformers.utils.is_vision_available():
        kinds = dict.fromkeys(("pil", "torchvision"), processor)
        transformers.AutoImageProcessor.register(config, image_processor_classes=kinds, exist_ok=True)


def _note_causal(model_type: str, model: str) -> None:
    """Add to the names by which `Trainer` knows that labels are to be shifted before they are smoothed."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES  # noqa: PLC0415

    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES[model_type] = model
