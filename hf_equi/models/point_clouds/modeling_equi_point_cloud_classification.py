"""EquiForPointCloudClassification: a classifier of point clouds that does not care how they are turned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from transformers.utils import ModelOutput

from hf_equi.models.cards.kinds import CardKind
from hf_equi.models.point_clouds.card import PointCloudClassifierCard
from hf_equi.models.point_clouds.configuration_equi_point_clouds import EquiPointCloudClassificationConfig
from hf_equi.models.point_clouds.model import EquiPointCloudModel
from hf_equi.networks.point_clouds.inputs import check_labels
from hf_equi.networks.point_clouds.losses import class_loss
from hf_equi.networks.point_clouds.modeling_point_clouds import PointCloudClassifier, PointCloudModel

__all__ = ["EquiForPointCloudClassification", "EquiPointCloudClassifierOutput"]


@dataclass
class EquiPointCloudClassifierOutput(ModelOutput):
    """The output of `EquiForPointCloudClassification`.

    Args:
        loss: `()` with `labels`; with `task_weight=0` that of the canonicalizer.
        logits: `(batch, classes)`; log-probabilities with `average="probabilities"`.
        chosen_element: The element of the member that equizero took: `(batch,)`, or its matrix, `(batch, n, n)`.
        margin: `(batch,)` how much lower its loss was than that of the next member; for scores of a canonicalizer, how
            much higher the best one was than the next.
        group_weights: `(batch, members)` the weights of λ, which add up to 1.
        prior_loss: `()` the mean distance of a canonicalizer's element to the identity, without its weight.
        canonical_element: `(batch, n, n)` the element h(x) that takes the canonical cloud, which the base reads, to
            the given one; `(batch, members, n, n)` for frames; `(batch,)` for a finite group.
        identity_share: `()` the share of clouds for which it is the identity, for a finite group.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    chosen_element: torch.Tensor | None = None
    margin: torch.Tensor | None = None
    group_weights: torch.Tensor | None = None
    prior_loss: torch.Tensor | None = None
    canonical_element: torch.Tensor | None = None
    identity_share: torch.Tensor | None = None


class EquiForPointCloudClassification(EquiPointCloudModel):
    r"""A classifier of point clouds that ignores how a cloud is turned, mirrored or moved, without retraining.

    $$ M_G(gx) = M_G(x), \qquad M_G(x) = \text{combine}_g\; M(gx) $$

    over all g of a finite group, over a frame of a continuous one, or for the one g that a canonicalizer computes.

    Args:
        config: The model's configuration.
        base: The base model, shared and not copied; by default a new one from the configuration.
        canonicalizer: For `"canonical"` and `"canonical_lambda"`: a `hf_equi.canonicalization.Canonicalizer`, held and
            not copied, or a rule; by default a new network of vector neurons, which has to be trained.

    Raises:
        UnsupportedModelError: For a base that is not a `PointCloudClassifier`.
        ConfigurationError: For a configuration without a group; for a canonicalizer that does not fit.

    Cost: |G| base forwards for a finite group; 4 for the frames of SO(3), 8 for those of O(3), 2 about z; one for
    vector neurons. Guarantee: exact to rounding where the base is continuous. A base that reads nearest neighbours
    jumps where two are equally far, so there rounding can show.

    References:
        arXiv 2310.01647, section 4.3; arXiv 2110.03336 for frames.

    Example:
        >>> from hf_equi import symmetrize
        >>> from hf_equi.groups import SO3
        >>> from hf_equi.networks import PointNetConfig, PointNetForPointCloudClassification
        >>> base = PointNetForPointCloudClassification(PointNetConfig(num_labels=10)).eval()
        >>> model, cloud, turn = symmetrize(base, SO3()), torch.randn(1, 50, 3), SO3().sample(1)[0].float()
        >>> torch.allclose(model(cloud).logits, model(cloud @ turn.mT).logits, atol=1e-4)
        True
    """

    config_class = EquiPointCloudClassificationConfig
    base_class: ClassVar[type[PointCloudModel]] = PointCloudClassifier
    card_kind: ClassVar[CardKind] = PointCloudClassifierCard()

    def forward(
        self,
        points: torch.Tensor | None = None,
        mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> EquiPointCloudClassifierOutput | tuple[Any, ...]:
        """Classify point clouds.

        Args:
            points: `(batch, points, 3)`.
            mask: `(batch, points)`, 0 where a cloud is padded.
            labels: `(batch,)` classes, for the loss.
            return_dict: `False` for a tuple; by default as in the config.
            **kwargs: Other arguments of a base of your own; hidden states and attentions are refused.

        Raises:
            ActionError: For clouds that are refused, as `read_cloud`.
            ConfigurationError: Without points; for labels of another shape or kind; for hidden states or attentions.
        """
        extras = self.checked_extras(kwargs)
        points, kept = self._cloud(points, mask)
        if self._prior_only:
            selection = self._select_by_prior(points, kept)
            prior = EquiPointCloudClassifierOutput(self.penalised(None, selection))
            return self.returned(self._said(prior, selection), return_dict)
        if labels is not None:
            check_labels(labels, (points.shape[0],), self.base.config.num_labels)
        given = {"points": points, **({} if kept is None else {"mask": kept}), **extras}
        rows, log_weights = self._read(given, self._run)
        logits, decision = rows.combine("logits", self.method.combine, log_weights)
        loss = None
        if labels is not None:
            loss = class_loss(logits, labels, None, self.base.config.label_smoothing)
            loss = loss if rows.outputs["penalty"] is None else loss + rows.outputs["penalty"].mean()
        loss = self.penalised(loss, rows.selection)
        weights = None if log_weights is None else log_weights.softmax(1)
        result = EquiPointCloudClassifierOutput(loss, logits, decision.chosen_element, decision.margin, weights)
        return self.returned(self._said(result, rows.selection), return_dict)

    def _run(self, **rows: Any) -> dict[str, Any]:
        """Return the base's outputs for some rows."""
        out = self.base(**rows, return_dict=True)
        logits = out.logits if self.config.average == "logits" else out.logits.log_softmax(-1)
        return {"logits": logits, "features": out.features, "penalty": out.penalty}

    @torch.no_grad()
    def predict(self, clouds: Any) -> list[dict[str, Any]]:
        """Classify clouds or files by the model's processor.

        Args:
            clouds: As in `PointCloudProcessor`: files, arrays, or one of them.

        Returns:
            For each `{"label": its class, "score": its probability}`.

        Raises:
            ConfigurationError: Without a processor, and as the processor.

        Example:
            >>> model.predict(["chair.off", "table.ply"])  # doctest: +SKIP
        """
        several = clouds if isinstance(clouds, Sequence) and not isinstance(clouds, str) else [clouds]
        read = self._require_processor()(several, return_tensors="pt")
        given = {name: read[name].to(self.device) for name in ("points", "mask") if name in read}
        scores, classes = self(**given, return_dict=True).logits.float().softmax(-1).max(-1)
        names = self.config.id2label
        pairs = zip(scores.tolist(), classes.tolist(), strict=True)
        return [{"label": names[number], "score": score} for score, number in pairs]
