"""The task that makes an EquiForDensePrediction in `symmetrize`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, ClassVar

from transformers import PreTrainedConfig, PreTrainedModel

from hf_equi.checks import check_choice
from hf_equi.errors import ConfigurationError
from hf_equi.models.configuration_equi import EquiConfig
from hf_equi.models.dense.configuration_equi_dense import EquiDenseConfig
from hf_equi.models.dense.key_points import pairs_of
from hf_equi.models.dense.kinds import KINDS, DenseKind, kind_of
from hf_equi.models.dense.modeling_equi_dense_prediction import EquiForDensePrediction
from hf_equi.models.task import Request
from hf_equi.models.vision.task import PIXEL_SETTINGS, VisionTask

__all__ = ["DenseTask"]


class _Bases(Mapping[Any, Any]):
    """The classes of all kinds by their configs, without loading those that nobody asks for."""

    def __getitem__(self, config: Any) -> tuple[Any, ...]:
        found = [kind.mapping[config] for kind in KINDS.values() if config in kind.mapping]
        if not found:
            raise KeyError(config)
        return tuple(one for each in found for one in (each if isinstance(each, tuple) else (each,)))

    def __contains__(self, config: object) -> bool:
        return any(config in kind.mapping for kind in KINDS.values())

    def __iter__(self) -> Iterator[Any]:
        return iter(dict.fromkeys(config for kind in KINDS.values() for config in kind.mapping))

    def __len__(self) -> int:
        return len(list(iter(self)))


class DenseTask(VisionTask):
    """Segmentation, depth and key points."""

    what = "model with an output for each pixel"
    model_class = EquiForDensePrediction
    entries: ClassVar[tuple[str, ...]] = (*PIXEL_SETTINGS, "loss", "confidence", "predicts", "flip_pairs")

    @property
    def mapping(self) -> Mapping[Any, Any]:
        """The classes of its bases, of all kinds, by their configs."""
        return _Bases()

    def knows(self, config: PreTrainedConfig) -> bool:
        """Return whether a config may belong to a base; code from the Hub states it itself."""
        remote = getattr(config, "auto_map", None) or {}
        return type(config) in self.mapping or any(kind.auto_class in remote for kind in KINDS.values())

    def owns(self, model: PreTrainedModel) -> bool:
        """Return whether its class is named like one that has an output for each pixel."""
        return any(kind.owns(model) for kind in KINDS.values())

    def make_config(self, request: Request) -> EquiConfig:
        """The config, checked.

        Raises:
            ConfigurationError: Also if the base could predict several things and `predicts=` does not say which, or
                if the processor makes images of a shape that the group does not act on.
        """
        kind = _kind(request)
        entries = {**request.common(*self.entries), "predicts": kind.name}
        if kind.exchanges and request.settings.get("flip_pairs") is None and _mirrors(request.group):
            entries["flip_pairs"] = pairs_of(request.base_config)
        config = EquiDenseConfig(**entries)
        self.check_request(request, config.create_method())
        _check_processor(request)
        return config

    def wrap(self, config: EquiConfig, base: PreTrainedModel, request: Request) -> EquiForDensePrediction:
        """Return the base in its wrapper, with its processor."""
        model = EquiForDensePrediction(config, base, request.settings.get("canonicalizer"))
        model.processor = request.companion
        return model


def _kind(request: Request) -> DenseKind:
    """Return what the base of a request predicts: by its class, by `predicts=`, or by the class that saved it."""
    asked, config = request.settings.get("predicts"), request.base_config
    check_choice("predicts", asked, (*KINDS, None))
    if request.base is not None:
        kind = kind_of(request.base)
        if asked not in (None, kind.name):
            raise ConfigurationError(
                f"predicts={asked!r}, but a {type(request.base).__name__} {kind.what}: leave predicts= out"
            )
        return kind
    remote = getattr(config, "auto_map", None) or {}
    known = [kind for kind in KINDS.values() if type(config) in kind.mapping or kind.auto_class in remote]
    named = [kind for kind in known if any(name.endswith(kind.suffix) for name in config.architectures or ())]
    found = [kind for kind in known if kind.name == asked] or ([] if asked else named or known)
    if len(found) != 1:
        choices = " or ".join(f"predicts={kind.name!r}" for kind in known)
        raise ConfigurationError(f"A {config.model_type!r} model predicts one of several things: choose {choices}")
    return found[0]


def _mirrors(group: Any) -> bool:
    return bool(getattr(group, "mirrors", False)) or any(one[0] for one in getattr(group, "motions", ()))


def _check_processor(request: Request) -> None:
    """Refuse a processor that makes images which a group with quarter turns cannot turn.

    Raises:
        ConfigurationError: For such a processor.
    """
    size: Any = getattr(request.companion, "size", None)
    read = size.get if isinstance(size, Mapping) else partial(getattr, size)
    height, width = (read(name, None) for name in ("height", "width"))
    if height != width and getattr(request.group, "needs_square", True):
        raise ConfigurationError(
            f"{request.group!r} turns images onto their sides, but the processor makes images of {height} × {width}: "
            "set a square size, or use ImageGroup.flips(...) or ImageGroup.rotations(2)"
        )
