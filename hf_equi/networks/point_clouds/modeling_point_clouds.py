"""What networks of point clouds have in common: their inputs, outputs and losses.

Letters: B batch, N points, C classes or parts, F features.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.functional import one_hot
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.utils import ModelOutput

from hf_equi.bases.loading import SafeLoadingMixin
from hf_equi.networks.point_clouds.inputs import check_categories, read_cloud
from hf_equi.networks.point_clouds.layers import SmallLinear
from hf_equi.networks.point_clouds.losses import class_loss

__all__ = [
    "PointCloudClassifier",
    "PointCloudClassifierOutput",
    "PointCloudModel",
    "PointCloudSegmenter",
    "PointCloudSegmenterOutput",
]


@dataclass
class PointCloudClassifierOutput(ModelOutput):
    """The output of a `PointCloudClassifier`.

    Args:
        loss: `()` with `labels`.
        logits: `(B, C)`.
        features: `(B, F)` what the head reads, with `output_features`.
        penalty: `(B,)` what the network itself adds to the loss of each cloud, if it adds anything.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    features: torch.Tensor | None = None
    penalty: torch.Tensor | None = None


@dataclass
class PointCloudSegmenterOutput(ModelOutput):
    """The output of a `PointCloudSegmenter`.

    Args:
        loss: `()` with `labels`.
        logits: `(B, N, C)`; those of padded points mean nothing.
        features: `(B, F)` the pooled features of each cloud, with `output_features`.
        penalty: As in `PointCloudClassifierOutput`.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    features: torch.Tensor | None = None
    penalty: torch.Tensor | None = None


class PointCloudModel(SafeLoadingMixin, PreTrainedModel):
    """A network of point clouds."""

    config: Any
    base_model_prefix = "model"
    main_input_name = "points"
    accepts_loss_kwargs = False
    _supports_sdpa = False

    @property
    def feature_size(self) -> int:
        """F, the size of the features of a cloud."""
        raise NotImplementedError(f"{type(self).__name__} must define feature_size")

    @property
    def least_points(self) -> int:
        """The fewest points that a cloud must have."""
        return 1

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Initialise as torch does."""
        if isinstance(module, nn.Linear):
            bound = 0.0 if isinstance(module, SmallLinear) else module.in_features**-0.5
            for parameter in module.parameters():
                init.uniform_(parameter, -bound, bound)
        elif isinstance(module, nn.BatchNorm1d):
            tensors: Any = module  # which torch allows to have no statistics
            init.ones_(tensors.weight)
            init.zeros_(tensors.bias)
            init.zeros_(tensors.running_mean)
            init.ones_(tensors.running_var)
            init.zeros_(tensors.num_batches_tracked)

    def _returned(self, result: Any, return_dict: bool | None) -> Any:
        wanted = self.config.return_dict if return_dict is None else return_dict
        return result if wanted else result.to_tuple()


class PointCloudClassifier(PointCloudModel):
    """A network that classifies point clouds: the base of those in this library, and of your own.

    A subclass defines `feature_size`, `cloud_features`, and a `head`, from features to logits.
    """

    head: nn.Module

    @abstractmethod
    def cloud_features(
        self, points: torch.Tensor, kept: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the features of clouds, `(B, F)`, and what is added to the loss of each, `(B,)` or `None`.

        Args:
            points: `(B, N, 3)`, with zeros where they are padded.
            kept: `(B, N)` bool, which points there are; `None` for all.
        """

    def forward(
        self,
        points: torch.Tensor,
        mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        output_features: bool = False,
        return_dict: bool | None = None,
    ) -> PointCloudClassifierOutput | tuple[Any, ...]:
        """Classify point clouds.

        Args:
            points: `(B, N, 3)` of any precision; the network computes in its own.
            mask: `(B, N)`, 0 where a cloud is padded, so that clouds of different sizes go in one batch.
            labels: `(B,)` classes: the loss is the cross-entropy.
            output_features: Whether to return what the head reads.
            return_dict: `False` for a tuple; by default as in the config.

        Raises:
            ActionError: As `read_cloud`.
            ConfigurationError: As `class_loss`.
        """
        points, kept = read_cloud(points, mask, self.least_points)
        features, penalty = self.cloud_features(points.to(self.dtype), kept)
        logits = self.head(features)
        loss = None
        if labels is not None:
            loss = class_loss(logits, labels, None, self.config.label_smoothing)
            loss = loss if penalty is None else loss + penalty.mean()
        result = PointCloudClassifierOutput(loss, logits, features if output_features else None, penalty)
        return self._returned(result, return_dict)  # type: ignore[no-any-return]


class PointCloudSegmenter(PointCloudModel):
    """A network that says to which part of a shape each point belongs: the base of those here, and of your own.

    A subclass defines `feature_size`, and `part_logits`.
    """

    @abstractmethod
    def part_logits(
        self, points: torch.Tensor, kept: torch.Tensor | None, category: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Return the logits of parts, `(B, N, C)`, features `(B, F)`, and what is added to each loss, or `None`.

        Args:
            points: `(B, N, 3)`, with zeros where they are padded.
            kept: `(B, N)` bool, which points there are; `None` for all.
            category: `(B, categories)` one-hot, the category of each cloud, if the network reads it.
        """

    def forward(
        self,
        points: torch.Tensor,
        mask: torch.Tensor | None = None,
        categories: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        output_features: bool = False,
        return_dict: bool | None = None,
    ) -> PointCloudSegmenterOutput | tuple[Any, ...]:
        """Say to which part each point belongs.

        Args:
            points: `(B, N, 3)`.
            mask: `(B, N)`, 0 where a cloud is padded.
            categories: `(B,)` the category of each shape, for a network with `num_categories`.
            labels: `(B, N)` parts, -100 where there is none: the loss is the cross-entropy over points.
            output_features: Whether to return the pooled features.
            return_dict: `False` for a tuple; by default as in the config.

        Raises:
            ActionError: As `read_cloud`.
            ConfigurationError: As `check_categories` and `class_loss`.
        """
        points, kept = read_cloud(points, mask, self.least_points)
        count = self.config.num_categories
        check_categories(categories, points.shape[0], count)
        category = None
        if categories is not None:
            category = one_hot(categories.to(points.device).long(), count).to(self.dtype)
        logits, features, penalty = self.part_logits(points.to(self.dtype), kept, category)
        loss = None
        if labels is not None:
            loss = class_loss(logits, labels, kept, self.config.label_smoothing)
            loss = loss if penalty is None else loss + penalty.mean()
        result = PointCloudSegmenterOutput(loss, logits, features if output_features else None, penalty)
        return self._returned(result, return_dict)  # type: ignore[no-any-return]
