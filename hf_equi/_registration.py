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

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

__all__ = ["install", "when_imported"]


def install() -> None:
    """Make the Auto classes know this library's model types, whichever of the two is imported first."""
    when_imported("transformers.models.auto.configuration_auto", _register_stand_ins)
    # For configs made by hand: they reach `AutoModelFor….from_config` without passing the stand-in.
    for package in {registered.package for registered in _MODELS.values()}:
        when_imported(package, partial(_register_package, package))


def when_imported(name: str, action: Callable[[], None]) -> None:
    """Call `action` once module `name` has run: now if it has already, else right after its first import.

    Args:
        name: Full name of a module.
        action: Called without arguments, with the module in `sys.modules`. It must not need modules that may import
            `name` themselves, for these are only half loaded by then.
    """
    if name in sys.modules:
        action()
    else:
        sys.meta_path.insert(0, _ImportWatcher(name, action))


class _ImportWatcher(MetaPathFinder):
    """Finds one module by asking all other finders, and adds a call to its loading."""

    def __init__(self, name: str, action: Callable[[], None]) -> None:
        self.name = name
        self.action = action

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
            self.action()

        loader.exec_module = exec_module


class _Model(NamedTuple):
    """Where a model type's classes are, and which Auto class makes its models."""

    package: str
    config: str
    model: str
    auto_class: str


_CAUSAL_LM, _SEQ2SEQ = "hf_equi.models.causal_lm", "hf_equi.models.seq2seq"
_RECURRENT = "hf_equi.networks.recurrent_seq2seq"
_CLIP, _CLASSIFICATION = "hf_equi.models.clip", "hf_equi.models.image_classification"
_MODELS = {
    "equi_lm": _Model(_CAUSAL_LM, "EquiLMConfig", "EquiLM", "AutoModelForCausalLM"),
    "equizero_lm": _Model(_CAUSAL_LM, "EquizeroLMConfig", "EquizeroLM", "AutoModelForCausalLM"),
    "equi_seq2seq": _Model(_SEQ2SEQ, "EquiSeq2SeqConfig", "EquiForSeq2SeqLM", "AutoModelForSeq2SeqLM"),
    "equi_clip": _Model(_CLIP, "EquiCLIPConfig", "EquiCLIPModel", "AutoModelForZeroShotImageClassification"),
    "equi_siglip": _Model(_CLIP, "EquiSiglipConfig", "EquiSiglipModel", "AutoModelForZeroShotImageClassification"),
    "equi_image_classification": _Model(
        _CLASSIFICATION,
        "EquiImageClassificationConfig",
        "EquiForImageClassification",
        "AutoModelForImageClassification",
    ),
    "recurrent_seq2seq": _Model(_RECURRENT, "RecurrentSeq2SeqConfig", "RecurrentSeq2Seq", "AutoModelForSeq2SeqLM"),
    "group_recurrent_seq2seq": _Model(
        _RECURRENT, "GroupRecurrentSeq2SeqConfig", "GroupRecurrentSeq2Seq", "AutoModelForSeq2SeqLM"
    ),
}
"""The model types of this library."""


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
        registered = _MODELS[cls.model_type]
        _register_package(registered.package)
        return getattr(import_module(registered.package), registered.config)


def _register_stand_ins() -> None:
    from transformers.models.auto.configuration_auto import AutoConfig

    for model_type, registered in _MODELS.items():
        stand_in = type(registered.config, (_StandIn,), {"model_type": model_type})
        AutoConfig.register(model_type, stand_in, exist_ok=True)


def _register_package(package: str) -> None:
    """Make `AutoConfig` and the `AutoModelFor…` classes know the models of a package."""
    import transformers

    for model_type, registered in _MODELS.items():
        if registered.package == package:
            module = import_module(package)
            config, model = getattr(module, registered.config), getattr(module, registered.model)
            transformers.AutoConfig.register(model_type, config, exist_ok=True)
            getattr(transformers, registered.auto_class).register(config, model, exist_ok=True)
            if registered.package == _CLIP:  # which transformers loads through both
                transformers.AutoModel.register(config, model, exist_ok=True)
            if registered.auto_class == "AutoModelForCausalLM":
                _note_causal(model_type, registered.model)


def _note_causal(model_type: str, model: str) -> None:
    """Add to the names by which `Trainer` knows that labels are to be shifted before they are smoothed."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES[model_type] = model
