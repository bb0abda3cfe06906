"""The configurations of models of point clouds."""

from __future__ import annotations

from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig
from transformers.configuration_utils import SubConfigSpec

from hf_equi.checks import check_choice
from hf_equi.errors import ConfigurationError
from hf_equi.groups import ContinuousGroup
from hf_equi.models.configuration_canonicalized import CANONICAL_SETTINGS, EquiCanonicalizedConfig
from hf_equi.models.point_clouds.groups import POINT_GROUPS, check_space, default_canonicalizer
from hf_equi.registration import create_method
from hf_equi.symmetrizers import EqualWeights, FeatureWeights, Method, SmallestMember, WholeGroup
from hf_equi.symmetrizers.combine import AVERAGES

__all__ = [
    "EquiNBodyConfig",
    "EquiPointCloudClassificationConfig",
    "EquiPointCloudConfig",
    "EquiPointCloudSegmentationConfig",
]


@strict
class EquiPointCloudConfig(EquiCanonicalizedConfig):
    r"""A base config, a group of space, and a method.

    Args:
        canonicalizer_settings (`dict`, *optional*):
            The canonicalizer of `"canonical"` and `"canonical_lambda"`, as its `to_dict` gives it; by default a
            network of vector neurons, behind a centre if the group translates.
        theta (`list`, *optional*):
            Θ of `"canonical_lambda"`: matrices, about z also angles such as `"90°"`, or elements of a finite group.
        task_weight (`float`, *optional*, defaults to 1.0):
            The weight of the loss for labels when a model with a canonicalizer trains. With 0 only the canonicalizer
            trains, and no labels are needed.
        prior_weight (`float`, *optional*, defaults to 100.0):
            The weight of the prior: the squared distance of the canonicalizer's element to the identity, or for a
            finite group the cross-entropy of its scores. 0 for no prior.
        temperature, relaxation:
            How the choice of a member by scores passes gradients, for a finite group.
        lambda_units, lambda_dropout:
            As in `EquiCanonicalizedConfig`.
        base_config, group, method, orbit_chunk_size, hf_equi_version, format_version, stores_base:
            As in `EquiConfig`.
        base_name, base_revision, adapter:
            As in `EquiConfig`.

    Raises:
        ConfigurationError: As in `EquiCanonicalizedConfig`; for a group of the plane.
    """

    task: ClassVar[str]
    group_class: ClassVar[Any] = POINT_GROUPS
    keys_to_ignore_at_inference: ClassVar[list[str]] = [
        "chosen_element",
        "margin",
        "group_weights",
        "prior_loss",
        "canonical_element",
        "identity_share",
    ]

    @property
    def canonical_settings(self) -> dict[str, Any]:
        """The settings from which methods with a canonicalizer are made, with the default one of the group."""
        settings = super().canonical_settings
        if settings["canonicalizer_settings"] is None and self.group is not None:
            settings["canonicalizer_settings"] = default_canonicalizer(self.read_group())
        return settings

    def create_method(self) -> Method:
        """Make the method.

        Raises:
            ConfigurationError: For an unknown method (the message lists the known ones) or setting.
        """
        method: Method = create_method(self.task, self.method, **self._method_settings, **self.canonical_settings)
        method.check_parts((EqualWeights, FeatureWeights), chooses=True, what="models of point clouds")
        return method

    @property
    def _method_settings(self) -> dict[str, Any]:
        """The other settings of methods."""
        return {}

    def _check(self) -> None:
        super()._check()
        if self.group is not None:
            check_space(self.read_group())

    def _check_continuous(self, group: ContinuousGroup) -> None:
        """Refuse settings of scores, and methods that list all elements."""
        super()._check_continuous(group)
        if isinstance(self.create_method().select, WholeGroup | SmallestMember):
            raise ConfigurationError(
                f"method={self.method!r} lists all elements, but {group!r} has infinitely many: choose a finite "
                "subgroup, such as MatrixGroup.cube()"
            )


@strict
class _ClassesConfig(EquiPointCloudConfig):
    """What models with classes add: how members are averaged, and how one is chosen."""

    method_settings: ClassVar[tuple[str, ...]] = ("method", "average", "loss", *CANONICAL_SETTINGS)

    average: str = "logits"
    loss: str = "max_probability"

    def __post_init__(self, **kwargs: Any) -> None:
        check_choice("average", self.average, AVERAGES)
        super().__post_init__(**kwargs)

    @property
    def _method_settings(self) -> dict[str, Any]:
        return {"average": self.average, "loss": self.loss}

    def _read_base(self) -> None:
        """Copy the names of the classes."""
        base: Any = self.base_config
        if base is not None:
            self.id2label, self.label2id = dict(base.id2label), dict(base.label2id)

    def follow_base(self) -> None:
        """Copy the names of the classes of a base that was not made from this config."""
        self._read_base()


@strict
class EquiPointCloudClassificationConfig(_ClassesConfig):
    r"""Configuration of `EquiForPointCloudClassification`.

    Args:
        method (`str`, *optional*, defaults to `"equitune"`):
            `"equitune"`, `"equizero"`, `"lambda"`, `"mixture"`, `"canonical"`, `"canonical_lambda"` or `"identity"`.
        average (`str`, *optional*, defaults to `"logits"`):
            What a mean is taken of: `"logits"` or `"probabilities"`.
        loss (`str`, *optional*, defaults to `"max_probability"`):
            What equizero minimises: `"max_probability"` (minus the largest probability) or `"entropy"`.
        lambda_units, lambda_dropout:
            As in `EquiPointCloudConfig`.
        canonicalizer_settings, theta, task_weight, prior_weight, temperature, relaxation:
            As in `EquiPointCloudConfig`.
        base_config, group, orbit_chunk_size, hf_equi_version, format_version, stores_base:
            As in `EquiConfig`.
        base_name, base_revision, adapter:
            As in `EquiConfig`.

    Raises:
        ConfigurationError: As in `EquiPointCloudConfig`; for another average or loss.

    Example:
        >>> EquiPointCloudClassificationConfig(method="equizero", loss="entropy").create_method().loss.name
        'entropy'
    """

    model_type = "equi_point_cloud_classification"
    task = "point_cloud_classification"
    sub_configs_defaults: ClassVar[dict[str, SubConfigSpec]] = {
        "base_config": SubConfigSpec(config_class=AutoConfig, model_type="dgcnn")
    }


@strict
class EquiPointCloudSegmentationConfig(_ClassesConfig):
    r"""Configuration of `EquiForPointCloudSegmentation`.

    Args:
        method, average, loss:
            As in `EquiPointCloudClassificationConfig`; equizero chooses by the mean loss of the points.
        lambda_units, lambda_dropout:
            As in `EquiPointCloudConfig`.
        canonicalizer_settings, theta, task_weight, prior_weight, temperature, relaxation:
            As in `EquiPointCloudConfig`.
        base_config, group, orbit_chunk_size, hf_equi_version, format_version, stores_base:
            As in `EquiConfig`.
        base_name, base_revision, adapter:
            As in `EquiConfig`.

    Raises:
        ConfigurationError: As in `EquiPointCloudClassificationConfig`.

    Example:
        >>> EquiPointCloudSegmentationConfig(method="equitune", average="probabilities").method
        'equitune'
    """

    model_type = "equi_point_cloud_segmentation"
    task = "point_cloud_segmentation"
    sub_configs_defaults: ClassVar[dict[str, SubConfigSpec]] = {
        "base_config": SubConfigSpec(config_class=AutoConfig, model_type="dgcnn_segmentation")
    }


@strict
class EquiNBodyConfig(EquiPointCloudConfig):
    r"""Configuration of `EquiForNBody`.

    Args:
        method (`str`, *optional*, defaults to `"equitune"`):
            `"equitune"`, `"lambda"`, `"mixture"`, `"canonical"`, `"canonical_lambda"` or `"identity"`. Equizero needs
            probabilities, which positions do not have.
        lambda_units, lambda_dropout:
            As in `EquiPointCloudConfig`.
        canonicalizer_settings, theta, task_weight, prior_weight, temperature, relaxation:
            As in `EquiPointCloudConfig`. Canonicalizers read positions.
        base_config, group, orbit_chunk_size, hf_equi_version, format_version, stores_base:
            As in `EquiConfig`.
        base_name, base_revision, adapter:
            As in `EquiConfig`.

    Raises:
        ConfigurationError: As in `EquiPointCloudConfig`.

    Example:
        >>> EquiNBodyConfig(method="mixture").create_method().selects_one
        True
    """

    model_type = "equi_n_body"
    task = "n_body"
    sub_configs_defaults: ClassVar[dict[str, SubConfigSpec]] = {
        "base_config": SubConfigSpec(config_class=AutoConfig, model_type="n_body_network")
    }
    method_settings: ClassVar[tuple[str, ...]] = ("method", *CANONICAL_SETTINGS)
