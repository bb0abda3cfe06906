"""EquiForPointCloudSegmentation: parts of shapes that do not depend on how a shape is turned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from transformers.utils import ModelOutput

from hf_equi.bases.orbit_reader import OrbitRows
from hf_equi.models.cards.kinds import CardKind
from hf_equi.models.point_clouds.card import PointCloudSegmenterCard
from hf_equi.models.point_clouds.configuration_equi_point_clouds import EquiPointCloudSegmentationConfig
from hf_equi.models.point_clouds.model import EquiPointCloudModel
from hf_equi.networks.point_clouds.inputs import check_categories, check_labels
from hf_equi.networks.point_clouds.losses import class_loss
from hf_equi.networks.point_clouds.modeling_point_clouds import PointCloudModel, PointCloudSegmenter

__all__ = ["EquiForPointCloudSegmentation", "EquiPointCloudSegmenterOutput"]


@dataclass
class EquiPointCloudSegmenterOutput(ModelOutput):
    """The output of `EquiForPointCloudSegmentation`.

    Args:
        loss: As in `EquiPointCloudClassifierOutput`.
        logits: `(batch, points, parts)`; those of padded points mean nothing.
        chosen_element, margin, group_weights, prior_loss, canonical_element, identity_share:
            As in `EquiPointCloudClassifierOutput`: one member is chosen for a whole cloud.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    chosen_element: torch.Tensor | None = None
    margin: torch.Tensor | None = None
    group_weights: torch.Tensor | None = None
    prior_loss: torch.Tensor | None = None
    canonical_element: torch.Tensor | None = None
    identity_share: torch.Tensor | None = None


class EquiForPointCloudSegmentation(EquiPointCloudModel):
    r"""A network that finds the parts of a shape, whichever way the shape is turned, mirrored or moved.

    $$ M_G(gx)_i = M_G(x)_i, \qquad M_G(x)_i = \text{combine}_g\; M(gx)_i $$

    for every point i: its part moves with it, so it stays the same.

    Args:
        config: The model's configuration.
        base: The base model, shared and not copied; by default a new one from the configuration.
        canonicalizer: As in `EquiForPointCloudClassification`.

    Raises:
        UnsupportedModelError: For a base that is not a `PointCloudSegmenter`.
        ConfigurationError: As in `EquiForPointCloudClassification`.

    Cost: as that of `EquiForPointCloudClassification`. Guarantee: the same.

    References:
        arXiv 2310.01647, section 4.3.

    Example:
        >>> from hf_equi import symmetrize
        >>> from hf_equi.groups import MatrixGroup
        >>> from hf_equi.networks import PointNetForPointCloudSegmentation, PointNetSegmentationConfig
        >>> config = PointNetSegmentationConfig(num_labels=4, num_categories=0, channels=[16, 32])
        >>> model = symmetrize(PointNetForPointCloudSegmentation(config).eval(), MatrixGroup.cube())
        >>> cloud = torch.randn(1, 50, 3)
        >>> torch.allclose(model(cloud).logits, model(cloud[..., [1, 2, 0]]).logits, atol=1e-5)
        True
    """

    config_class = EquiPointCloudSegmentationConfig
    base_class: ClassVar[type[PointCloudModel]] = PointCloudSegmenter
    card_kind: ClassVar[CardKind] = PointCloudSegmenterCard()

    def forward(
        self,
        points: torch.Tensor | None = None,
        mask: torch.Tensor | None = None,
        categories: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> EquiPointCloudSegmenterOutput | tuple[Any, ...]:
        """Say to which part each point belongs.

        Args:
            points: `(batch, points, 3)`.
            mask: `(batch, points)`, 0 where a cloud is padded.
            categories: `(batch,)` the category of each shape, for a base that reads it.
            labels: `(batch, points)` parts, -100 where there is none, for the loss.
            return_dict: `False` for a tuple; by default as in the config.
            **kwargs: Other arguments of a base of your own; hidden states and attentions are refused.

        Raises:
            ActionError: For clouds that are refused, as `read_cloud`.
            ConfigurationError: Without points; for labels or categories of another shape or kind; for hidden states or
                attentions.
        """
        extras = self.checked_extras(kwargs)
        points, kept = self._cloud(points, mask)
        if self._prior_only:
            selection = self._select_by_prior(points, kept)
            prior = EquiPointCloudSegmenterOutput(self.penalised(None, selection))
            return self.returned(self._said(prior, selection), return_dict)
        check_categories(categories, points.shape[0], self.base.config.num_categories)
        if labels is not None:
            check_labels(labels, points.shape[:2], self.base.config.num_labels)
        named = {"mask": kept, "categories": categories}
        given = {"points": points, **{name: value for name, value in named.items() if value is not None}, **extras}
        rows, log_weights = self._read(given, self._run)
        losses = self._losses(rows, kept)
        logits, decision = rows.combine("logits", self.method.combine, log_weights, losses)
        loss = None
        if labels is not None:
            loss = class_loss(logits, labels, kept, self.base.config.label_smoothing)
            loss = loss if rows.outputs["penalty"] is None else loss + rows.outputs["penalty"].mean()
        loss = self.penalised(loss, rows.selection)
        weights = None if log_weights is None else log_weights.softmax(1)
        result = EquiPointCloudSegmenterOutput(loss, logits, decision.chosen_element, decision.margin, weights)
        return self.returned(self._said(result, rows.selection), return_dict)

    def _run(self, **rows: Any) -> dict[str, Any]:
        """Return the base's outputs for some rows."""
        out = self.base(**rows, return_dict=True)
        logits = out.logits if self.config.average == "logits" else out.logits.log_softmax(-1)
        return {"logits": logits, "features": out.features, "penalty": out.penalty}

    def _losses(self, rows: OrbitRows, kept: torch.Tensor | None) -> torch.Tensor | None:
        """Return the mean loss of the points of each row, `(R,)`, for a method that chooses by it."""
        loss = self.method.loss
        if loss is None:
            return None
        scores = rows.outputs["logits"].detach()
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        scores = scores if loss.of_logits else scores.log_softmax(-1)
        return loss(scores, None if kept is None else kept[rows.orbit.batch_of_row])

    @torch.no_grad()
    def predict(self, clouds: Any, categories: Any = None) -> list[dict[str, Any]]:
        """Find the parts of clouds or files by the model's processor.

        Args:
            clouds: As in `PointCloudProcessor`: files, arrays, or one of them.
            categories: The category of each shape, for a base that reads it.

        Returns:
            For each `{"points": (n, 3) the points that were read, "parts": (n,) their parts}`, as arrays. The points
            are those that the processor sampled, in the units of the cloud.

        Raises:
            ConfigurationError: Without a processor, and as the processor.

        Example:
            >>> model.predict(["chair.npy"], categories=[3])  # doctest: +SKIP
        """
        several = clouds if isinstance(clouds, Sequence) and not isinstance(clouds, str) else [clouds]
        processor = self._require_processor()
        read = processor(several, return_tensors="pt")
        given = {name: read[name].to(self.device) for name in ("points", "mask") if name in read}
        if categories is not None:
            given["categories"] = torch.as_tensor(categories, device=self.device)
        parts = self(**given, return_dict=True).logits.argmax(-1).cpu().numpy()
        clouds = processor.original(read)
        return [{"points": cloud, "parts": part[: len(cloud)]} for cloud, part in zip(clouds, parts, strict=True)]
