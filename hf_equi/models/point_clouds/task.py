"""The tasks that make models of point clouds in `symmetrize`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from transformers import PreTrainedModel

from hf_equi.canonicalization import LearnedMember
from hf_equi.canonicalization.fitting import check_settings, fitted
from hf_equi.errors import ConfigurationError
from hf_equi.models.configuration_canonicalized import CANONICAL_SETTINGS
from hf_equi.models.configuration_equi import EquiConfig
from hf_equi.models.point_clouds.groups import POINT_GROUPS, check_space
from hf_equi.models.point_clouds.modeling_equi_n_body import EquiForNBody
from hf_equi.models.point_clouds.modeling_equi_point_cloud_classification import EquiForPointCloudClassification
from hf_equi.models.point_clouds.modeling_equi_point_cloud_segmentation import EquiForPointCloudSegmentation
from hf_equi.models.point_clouds.processor import PointCloudProcessor
from hf_equi.models.processors import load_processor
from hf_equi.models.task import Request, Task
from hf_equi.models.unread_settings import refuse_unread
from hf_equi.networks import point_clouds as networks

__all__ = ["NBodyTask", "PointCloudClassificationTask", "PointCloudSegmentationTask", "PointCloudTask"]

_SETTINGS = ("orbit_chunk_size", "lambda_units", "lambda_dropout", "task_weight", *CANONICAL_SETTINGS)


class PointCloudTask(Task):
    """A kind of model of point clouds that `symmetrize` wraps."""

    entries: ClassVar[tuple[str, ...]] = _SETTINGS
    companions: ClassVar[tuple[str, ...]] = ("processor", "canonicalizer")
    group_class: ClassVar[Any] = POINT_GROUPS
    group_example = "hf_equi.groups.SO3() or MatrixGroup.cube()"

    def owns(self, model: PreTrainedModel) -> bool:
        """Return whether it is a network of this kind, of this library or of somebody's own."""
        return isinstance(model, self.model_class.base_class)

    def check_group(self, group: Any) -> None:
        """Refuse a group that does not act on points in space."""
        super().check_group(group)
        check_space(group)

    def prepare(self, name: str | None, given: dict[str, Any], hub: dict[str, Any]) -> Any:
        """Return the processor: the given one, or the one beside the weights, or `None`.

        Raises:
            ConfigurationError: If the given one is not a `PointCloudProcessor`.
        """
        processor = given.get("processor")
        if processor is not None and not isinstance(processor, PointCloudProcessor):
            raise ConfigurationError(
                f"processor={processor!r} is not a PointCloudProcessor: make one, such as PointCloudProcessor()"
            )
        return load_processor(PointCloudProcessor, name, hub) if processor is None and name is not None else processor

    def make_config(self, request: Request) -> EquiConfig:
        """The config, checked.

        Raises:
            ConfigurationError: For settings that the method does not read; for a canonicalizer that does not fit.
        """
        config: Any = super().make_config(request)
        method = config.create_method()
        refuse_unread(request.settings, method, request.method)
        found = None
        if "canonicalizer" in request.settings:
            found = fitted(request.settings["canonicalizer"], *self.model_class.read_by_canonicalizers(config))
        if isinstance(method.select, LearnedMember):
            check_settings(found, request.settings)
        return config  # type: ignore[no-any-return]

    def wrap(self, config: EquiConfig, base: PreTrainedModel, request: Request) -> Any:
        """Return the base in its wrapper, with its processor."""
        wrapped = self.model_class(config, base, request.settings.get("canonicalizer"))
        wrapped.processor = request.companion
        return wrapped


class PointCloudClassificationTask(PointCloudTask):
    """Classifiers of point clouds."""

    what = "model that classifies point clouds"
    model_class = EquiForPointCloudClassification
    entries: ClassVar[tuple[str, ...]] = (*_SETTINGS, "average", "loss")

    @property
    def mapping(self) -> Mapping[Any, Any]:
        """The classifiers of this library."""
        return {
            networks.PointNetConfig: networks.PointNetForPointCloudClassification,
            networks.DGCNNConfig: networks.DGCNNForPointCloudClassification,
        }


class PointCloudSegmentationTask(PointCloudTask):
    """Networks that find parts of shapes."""

    what = "model that finds parts in point clouds"
    model_class = EquiForPointCloudSegmentation
    entries: ClassVar[tuple[str, ...]] = (*_SETTINGS, "average", "loss")

    @property
    def mapping(self) -> Mapping[Any, Any]:
        """The networks of this library."""
        return {
            networks.PointNetSegmentationConfig: networks.PointNetForPointCloudSegmentation,
            networks.DGCNNSegmentationConfig: networks.DGCNNForPointCloudSegmentation,
        }


class NBodyTask(PointCloudTask):
    """Networks that predict how bodies move."""

    what = "model that predicts how bodies move"
    model_class = EquiForNBody

    @property
    def mapping(self) -> Mapping[Any, Any]:
        """The network of this library."""
        return {networks.NBodyNetworkConfig: networks.NBodyNetwork}
