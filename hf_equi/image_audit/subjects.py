"""The models of an audit of images: a base, and its symmetrised versions that need no training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedModel

from hf_equi.auto import symmetrize
from hf_equi.bases.weights_fingerprint import weights_fingerprint
from hf_equi.checks import check_choice, did_you_mean
from hf_equi.errors import ConfigurationError
from hf_equi.groups import ImageGroup
from hf_equi.models.image_classification import EquiForImageClassification
from hf_equi.models.image_classification.methods import LOSSES, TASK, create
from hf_equi.models.vision.levels import LEVELS
from hf_equi.registration import method_names, read_settings

__all__ = ["BASE", "DEFAULT_METHODS", "Subject", "describe", "make_models", "make_subjects"]

BASE = "base"
DEFAULT_METHODS = (BASE, "equitune", "equitune:probabilities", "equizero")
_SETTINGS: dict[str, tuple[str, ...]] = {"level": tuple(LEVELS), "loss": LOSSES}
"""The settings that may follow the colon of a method."""


@dataclass(frozen=True)
class Subject:
    """A model that is audited.

    Args:
        name: Its name.
        model: The model.
        forwards: The most images that the base reads for one image of the model.
    """

    name: str
    model: PreTrainedModel
    forwards: int

    @property
    def base(self) -> PreTrainedModel:
        """What a method wraps, or the model itself."""
        return self.model.base if isinstance(self.model, EquiForImageClassification) else self.model


def make_models(
    base: PreTrainedModel, group: ImageGroup, methods: Sequence[str] = DEFAULT_METHODS
) -> dict[str, PreTrainedModel]:
    """Return the models by name, all around one base.

    Args:
        base: An image classifier. A symmetrised one is itself one of the models, and its base is the base.
        group: The group.
        methods: `"base"`, or a method of `symmetrize` that needs no training, with its own level or loss after a
            colon: `"equitune"`, `"equitune:probabilities"`, `"equizero:entropy"`.

    Raises:
        ConfigurationError: For an unknown method, level or loss; for a method that has to be trained.
        UnsupportedModelError: For a model that cannot be wrapped.

    Example:
        >>> from transformers import ResNetConfig, ResNetForImageClassification
        >>> sizes = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"}
        >>> base = ResNetForImageClassification(ResNetConfig(**sizes)).eval()
        >>> [*make_models(base, ImageGroup.rotations(4), ["base", "equizero"])]
        ['base', 'equizero']
    """
    own = base if isinstance(base, EquiForImageClassification) else None
    bare = base if own is None else own.base
    models: dict[str, PreTrainedModel] = {}
    for name in dict.fromkeys(methods):
        method, _, setting = name.partition(":")
        models[name] = bare if method == BASE else symmetrize(bare, group, method, **_read(name, method, setting))
    if own is not None and own.group == group:
        models[f"this model ({own.config.method})"] = own
    return models


def _read(name: str, method: str, setting: str) -> dict[str, Any]:
    """Return the settings that a name asks for."""
    check_choice("method", method, [BASE, *method_names(TASK)], " to the audit of images")
    if method != BASE:
        create(method, "logits", LOSSES[0]).refuse_untrained(
            "train it (docs/vision_training.md), save the model, and audit its folder."
        )
    if not setting:
        return {}
    kinds = {"level": _SETTINGS["level"]}
    if read_settings(TASK, method, ["loss"]):
        kinds["loss"] = _SETTINGS["loss"]
    for kind, known in kinds.items():
        if setting in known:
            return {kind: setting}
    choices = [one for values in kinds.values() for one in values]
    advice = did_you_mean(setting, choices, f"use one of {', '.join(choices)}.")
    raise ConfigurationError(f"{name!r}: {method} has no setting {setting!r}: {advice}")


def make_subjects(models: Any) -> tuple[Subject, ...]:
    """Return the models of an audit, checked.

    Raises:
        ConfigurationError: Without models; for a model that is not a classifier of images with a single label, that is
            in training mode, or that has different classes from the first.
    """
    if not hasattr(models, "items") or not models:
        raise ConfigurationError('models needs at least one model by name, as in {"base": model, "equitune": other}.')
    subjects = [_make_subject(name, model) for name, model in models.items()]
    first = subjects[0]
    for other in subjects[1:]:
        if other.model.config.id2label != first.model.config.id2label:
            raise ConfigurationError(
                f"The models {first.name!r} and {other.name!r} have different classes: audit each alone."
            )
    return tuple(subjects)


def _make_subject(name: object, model: object) -> Subject:
    if not isinstance(name, str) or not name.strip():
        raise ConfigurationError(f"A model has the name {name!r}: name it, as in {{'base': model}}.")
    if not isinstance(model, PreTrainedModel):
        raise ConfigurationError(f"The model {name!r} is a {type(model).__name__}: pass a PreTrainedModel.")
    if model.training:
        raise ConfigurationError(
            f"The model {name!r} is in training mode, so its answers are noisy: call model.eval()."
        )
    kind = getattr(model.config, "problem_type", None)
    if (model.config.num_labels or 0) < 2 or kind not in (None, "single_label_classification"):
        raise ConfigurationError(
            f"The model {name!r} does {kind or 'regression'}, but the audit counts how often a single label is right: "
            "audit a single-label classifier."
        )
    return Subject(name, model, model.base_forwards if isinstance(model, EquiForImageClassification) else 1)


def describe(subject: Subject) -> dict[str, Any]:
    """Return plain JSON that differs between models that may answer differently."""
    config = subject.model.config
    settings: dict[str, Any] = {}
    if isinstance(subject.model, EquiForImageClassification):
        settings = {name: getattr(config, name) for name in ("method", "level", "loss", "group", "padding")}
        canonical = {name: getattr(config, name) for name in ("theta", "canonicalizer_settings")}
        settings |= {name: value for name, value in canonical.items() if value is not None}
    return {
        "name": subject.name,
        "class": type(subject.model).__name__,
        **settings,
        "dtype": str(subject.model.dtype).removeprefix("torch."),
        "device": subject.model.device.type,
        "weights": weights_fingerprint(subject.model),
    }
