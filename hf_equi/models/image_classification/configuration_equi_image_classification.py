"""The configuration of EquiForImageClassification."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig
from transformers.configuration_utils import SubConfigSpec

from hf_equi.errors import ConfigurationError
from hf_equi.models.configuration_canonicalized import CANONICAL_SETTINGS
from hf_equi.models.image_classification.methods import create
from hf_equi.models.vision.class_names import ClassNames, entry_of
from hf_equi.models.vision.configuration_equi_vision import EquiVisionConfig
from hf_equi.symmetrizers import Method

__all__ = ["EquiImageClassificationConfig"]


@strict
class EquiImageClassificationConfig(ClassNames, EquiVisionConfig):
    r"""Configuration of `EquiForImageClassification`.

    Args:
        loss (`str`, *optional*, defaults to `"max_probability"`):
            What equizero minimises: `"max_probability"` (minus the largest probability) or `"entropy"`. For comparison
            with what the authors' code computes: `"published_least_confident"`. In multi-label classification the
            largest probability is that of a class being present, and the entropy is the sum of the entropies of all
            classes.
        method (`str`, *optional*, defaults to `"equitune"`):
            `"equitune"`, `"equizero"`, `"lambda"`, `"attention"`, `"canonical"`, `"canonical_lambda"` or
            `"identity"`.
        level, padding, lambda_units, lambda_dropout, lambda_features, objective:
            As in `EquiVisionConfig`.
        canonicalizer_settings, theta, task_weight, prior_weight, temperature, relaxation:
            As in `EquiVisionConfig`.
        base_config, group, orbit_chunk_size, hf_equi_version, format_version, stores_base:
            As in `EquiConfig`.
        base_name, base_revision, adapter:
            As in `EquiConfig`.

    Raises:
        ConfigurationError: As in `EquiVisionConfig`, and for an unknown loss.

    Example:
        >>> EquiImageClassificationConfig(method="equizero", loss="entropy").level
        'features'
    """

    model_type = "equi_image_classification"
    sub_configs_defaults: ClassVar[dict[str, SubConfigSpec]] = {
        "base_config": SubConfigSpec(config_class=AutoConfig, model_type="vit")
    }

    method_settings: ClassVar[tuple[str, ...]] = ("method", "level", "loss", *CANONICAL_SETTINGS)

    loss: str = "max_probability"
    problem_type: Literal["regression", "single_label_classification", "multi_label_classification"] | None = None
    image_size: Any = None
    num_channels: int | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        self.copy_classes(kwargs)
        if self.problem_type is None:
            self.problem_type = entry_of(self.base_config, "problem_type")
        super().__post_init__(**kwargs)

    def _read_base(self) -> None:
        """Give the base these classes, and copy the entries that pipelines look for."""
        self.copy_sizes()
        self.name_classes()

    def name_classes(self) -> None:
        """Copy this config's classes and kind of problem to the base's config."""
        super().name_classes()
        base: Any = self.base_config
        base.problem_type = self.problem_type

    def follow_base(self) -> None:
        """Copy the classes and the kind of problem of a base that was not made from this config."""
        base: Any = self.base_config
        self.follow_classes()
        self.problem_type = base.problem_type
        self._read_base()
        self._check()

    def _check(self) -> None:
        super()._check()
        self.check_problem()

    def check_problem(self) -> None:
        """Refuse settings that have no meaning for the kind of problem.

        Raises:
            ConfigurationError: For probabilities, equizero or a second softmax with regression, and for a second
                softmax with multi-label classification.
        """
        regression = self.problem_type == "regression" or self.num_labels == 1
        unfit = {
            'level="probabilities"': regression and self.create_level().average == "probabilities",
            f'method="{self.method}"': regression and self.create_method().loss is not None,
            f"objective={self.objective!r}": self.objective != "cross_entropy"
            and (regression or self.problem_type == "multi_label_classification"),
        }
        if wrong := [name for name, is_unfit in unfit.items() if is_unfit]:
            raise ConfigurationError(
                f"{', '.join(wrong)}: this base does {'regression' if regression else self.problem_type}, which has "
                "no probabilities over classes. Use another setting."
            )

    def create_method(self) -> Method:
        """Make the method with its settings.

        Raises:
            ConfigurationError: For an unknown method (the message lists the known ones) or setting.
        """
        return create(self.method, self.create_level().average, self.loss, **self.canonical_settings)
