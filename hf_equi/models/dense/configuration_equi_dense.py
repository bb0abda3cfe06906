"""The configuration of EquiForDensePrediction."""

from __future__ import annotations

from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig
from transformers.configuration_utils import SubConfigSpec

from hf_equi.actions import HeatMapAction, PixelAction, PlaneAction
from hf_equi.checks import check_choice
from hf_equi.errors import ConfigurationError
from hf_equi.groups import ContinuousGroup
from hf_equi.models.configuration_canonicalized import CANONICAL_SETTINGS
from hf_equi.models.dense.kinds import KINDS, DenseKind
from hf_equi.models.dense.methods import create
from hf_equi.models.vision.class_names import ClassNames
from hf_equi.models.vision.configuration_equi_pixels import EquiPixelConfig
from hf_equi.models.vision.image_actions import image_action
from hf_equi.symmetrizers import Method

__all__ = ["EquiDenseConfig"]


@strict
class EquiDenseConfig(ClassNames, EquiPixelConfig):
    r"""Configuration of `EquiForDensePrediction`.

    Args:
        predicts (`str`, *optional*, defaults to `"segmentation"`):
            What the base says of each pixel: `"segmentation"`, `"depth"` or `"key_points"`. `symmetrize` finds it.
        method (`str`, *optional*, defaults to `"equitune"`):
            `"equitune"`, `"equizero"` (not for depth), `"lambda"`, `"mixture"`, `"canonical"`, `"canonical_lambda"`
            or `"identity"`.
        level (`str`, *optional*):
            For segmentation, what is averaged: `"logits"` (default) or `"probabilities"`. Depths and heat maps are
            averaged themselves, `"values"`.
        confidence (`str`, *optional*):
            Where equizero chooses: at each `"pixel"` (default for segmentation), for each `"key_point"` (default for
            key points), or one member for the whole `"image"`.
        loss (`str`, *optional*):
            What equizero minimises in segmentation: `"max_probability"` (default; minus the largest probability) or
            `"entropy"`. For key points it is minus the peak of the heat map, `"max_similarity"`.
        flip_pairs (`list[list[int]]`, *optional*):
            The channels that mirrors exchange, such as left and right key points. `symmetrize` reads those of key
            points off the base's config. Classes are not exchanged unless they are named here.
        padding, lambda_units, lambda_dropout:
            As in `EquiPixelConfig`.
        canonicalizer_settings, theta, task_weight, prior_weight, temperature, relaxation:
            As in `EquiPixelConfig`.
        base_config, group, orbit_chunk_size, hf_equi_version, format_version, stores_base:
            As in `EquiConfig`.
        base_name, base_revision, adapter:
            As in `EquiConfig`.

    Raises:
        ActionError: For pairs that do not exchange channels.
        ConfigurationError: As in `EquiPixelConfig`; for settings that these outputs do not have; for mirrors of key
            points whose pairs are unknown.

    Example:
        >>> EquiDenseConfig(method="equizero").confidence, EquiDenseConfig(predicts="depth").level
        ('pixel', 'values')
    """

    model_type = "equi_dense"
    sub_configs_defaults: ClassVar[dict[str, SubConfigSpec]] = {
        "base_config": SubConfigSpec(config_class=AutoConfig, model_type="segformer")
    }
    method_settings: ClassVar[tuple[str, ...]] = ("method", "level", "loss", *CANONICAL_SETTINGS)

    predicts: str = "segmentation"
    level: str | None = None
    confidence: str | None = None
    loss: str | None = None
    flip_pairs: Any = None
    image_size: Any = None
    num_channels: int | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        check_choice("predicts", self.predicts, KINDS)
        for name, known in self._choices().items():
            if getattr(self, name) is None and known:
                setattr(self, name, known[0])
        self.flip_pairs = _pairs(self.flip_pairs)
        self.copy_classes(kwargs)
        super().__post_init__(**kwargs)

    @property
    def kind(self) -> DenseKind:
        """What the base says of each pixel."""
        return KINDS[self.predicts]

    def _choices(self) -> dict[str, tuple[str, ...]]:
        """Return what can be chosen for these outputs, the defaults first."""
        return {"level": self.kind.levels, "confidence": self.kind.confidences, "loss": self.kind.losses}

    def _read_base(self) -> None:
        """Give the base these classes, and copy the entries that pipelines look for."""
        self.copy_sizes()
        self.name_classes()

    def follow_base(self) -> None:
        """Copy the classes of a base that was not made from this config."""
        self.follow_classes()
        self._read_base()
        self._check()

    def _check(self) -> None:
        for name, known in self._choices().items():
            value = getattr(self, name)
            if not known and value is not None:
                raise ConfigurationError(
                    f"{name}={value!r}: a model that {self.kind.what} has no such setting. Leave it out."
                )
            if known:
                check_choice(name, value, known, f" to a model that {self.kind.what}")
        super()._check()
        if self.group is not None:
            self.output_action(self.read_group())

    def output_action(self, group: Any) -> PixelAction | PlaneAction | HeatMapAction:
        """Return how a group moves the output maps, `(R, C, h, w)`.

        Raises:
            ActionError: For pairs that do not exchange channels.
            ConfigurationError: For mirrors of key points whose pairs are unknown; for pairs that nothing exchanges.
        """
        pixels = image_action(group, self.padding)
        mirrors = group.mirrors if isinstance(group, ContinuousGroup) else any(one[0] for one in group.motions)
        if self.flip_pairs is None:
            if mirrors and self.kind.exchanges:
                raise ConfigurationError(
                    f"{group!r} mirrors images, which makes a left hand a right one, but neither the base's config "
                    "nor its labels say which key points these are: pass the pairs, flip_pairs=[[1, 2], ...], or [] "
                    "if there are none"
                )
            return pixels
        if not mirrors:
            raise ConfigurationError(
                f"flip_pairs= are channels that mirrors exchange, but {group!r} has no mirrors: leave them out"
            )
        channels = self.kind.channels(self.base_config)
        return HeatMapAction(pixels, self.flip_pairs, channels)

    def create_method(self) -> Method:
        """Make the method with its settings.

        Raises:
            ConfigurationError: For an unknown method (the message lists the known ones) or setting, and for one that
                these outputs do not have.
        """
        average = "probabilities" if self.level == "probabilities" else "logits"
        return create(self.method, average, self.loss, **self.canonical_settings)


def _pairs(given: Any) -> list[list[int]] | None:
    """Return pairs as plain lists.

    Raises:
        ConfigurationError: For anything but a sequence of pairs of whole numbers.
    """
    if given is None:
        return None
    if not isinstance(given, (list, tuple)) or not all(map(_is_pair, given)):
        raise ConfigurationError(
            f"flip_pairs={given!r} are not pairs of channels: pass a list such as [[1, 2], [3, 4]], or [] if mirrors "
            "exchange none"
        )
    return [list(pair) for pair in given]


def _is_pair(pair: Any) -> bool:
    return isinstance(pair, (list, tuple)) and len(pair) == 2 and all(type(one) is int for one in pair)
