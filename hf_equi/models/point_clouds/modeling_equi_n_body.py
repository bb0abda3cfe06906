"""EquiForNBody: predicted motions that turn, and move, with the bodies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from transformers.utils import ModelOutput

from hf_equi.actions import Action
from hf_equi.models.cards.kinds import CardKind
from hf_equi.models.point_clouds.card import NBodyCard
from hf_equi.models.point_clouds.configuration_equi_point_clouds import EquiNBodyConfig
from hf_equi.models.point_clouds.model import EquiPointCloudModel
from hf_equi.networks.point_clouds.inputs import check_vectors
from hf_equi.networks.point_clouds.modeling_n_body_network import NBodyNetwork, motion_losses
from hf_equi.networks.point_clouds.modeling_point_clouds import PointCloudModel

__all__ = ["EquiForNBody", "EquiNBodyOutput"]


@dataclass
class EquiNBodyOutput(ModelOutput):
    """The output of `EquiForNBody`.

    Args:
        loss: `()` with `labels`; with `task_weight=0` that of the canonicalizer.
        positions: `(batch, bodies, 3)` where the bodies will be.
        velocities: `(batch, bodies, 3)` how they will move, if the base predicts it.
        group_weights, prior_loss, canonical_element, identity_share:
            As in `EquiPointCloudClassifierOutput`.
    """

    loss: torch.Tensor | None = None
    positions: torch.Tensor | None = None
    velocities: torch.Tensor | None = None
    group_weights: torch.Tensor | None = None
    prior_loss: torch.Tensor | None = None
    canonical_element: torch.Tensor | None = None
    identity_share: torch.Tensor | None = None


class EquiForNBody(EquiPointCloudModel):
    r"""A network that predicts how bodies move, and turns and translates its predictions with them.

    $$ M_G(gx, R_g v) = g M_G(x, v), \qquad M_G(x, v) = \text{combine}_g\; g^{-1} M(gx, R_g v) $$

    Positions turn and are translated, velocities turn. Charges stay.

    Args:
        config: The model's configuration.
        base: The base model, shared and not copied; by default a new one from the configuration.
        canonicalizer: As in `EquiForPointCloudClassification`; it reads positions.

    Raises:
        UnsupportedModelError: For a base that is not an `NBodyNetwork`.
        ConfigurationError: As in `EquiForPointCloudClassification`.

    Cost: as that of `EquiForPointCloudClassification`. Guarantee: exact to rounding, which grows with the distance of
    the bodies from the origin if the group translates.

    References:
        arXiv 2211.06489, section 5.2; arXiv 2310.01647.

    Example:
        >>> from hf_equi import symmetrize
        >>> from hf_equi.actions import PointAction, VectorAction
        >>> from hf_equi.groups import SE3
        >>> from hf_equi.networks import NBodyNetwork, NBodyNetworkConfig
        >>> model = symmetrize(NBodyNetwork(NBodyNetworkConfig(use_charges=False)).eval(), SE3())
        >>> g, (x, v) = SE3().sample(1)[0].float(), torch.randn(2, 1, 5, 3)
        >>> moved = model(PointAction(SE3()).apply(g, x), velocities=VectorAction(SE3()).apply(g, v)).positions
        >>> torch.allclose(moved, PointAction(SE3()).apply(g, model(x, velocities=v).positions), atol=1e-4)
        True
    """

    config_class = EquiNBodyConfig
    base_class: ClassVar[type[PointCloudModel]] = NBodyNetwork
    card_kind: ClassVar[CardKind] = NBodyCard()
    main_input_name = "positions"
    what_is_read = "systems"

    def input_actions(self) -> dict[str, Action]:
        """The group's action on positions and on velocities."""
        return {"positions": self.action, "velocities": self.vector_action}

    def forward(
        self,
        positions: torch.Tensor | None = None,
        velocities: torch.Tensor | None = None,
        charges: torch.Tensor | None = None,
        mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        velocity_labels: torch.Tensor | None = None,
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> EquiNBodyOutput | tuple[Any, ...]:
        """Predict how bodies move.

        Args:
            positions: `(batch, bodies, 3)`.
            velocities: `(batch, bodies, 3)`.
            charges: `(batch, bodies)`, for a base that reads them.
            mask: `(batch, bodies)`, 0 where a system is padded.
            labels: `(batch, bodies, 3)` later positions, for the loss.
            velocity_labels: `(batch, bodies, 3)` later velocities, for the loss of a base that predicts them.
            return_dict: `False` for a tuple; by default as in the config.
            **kwargs: None that an `NBodyNetwork` takes; hidden states and attentions are refused.

        Raises:
            ActionError: For positions, velocities or charges that are refused, as in `NBodyNetwork`.
            ConfigurationError: Without positions; for charges or labels that the base does not use; for hidden states
                or attentions.
        """
        extras = self.checked_extras(kwargs)
        positions, kept = self._cloud(positions, mask)
        if self._prior_only:
            selection = self._select_by_prior(positions, kept)
            prior = EquiNBodyOutput(self.penalised(None, selection))
            return self.returned(self._said(prior, selection), return_dict)
        velocities = check_vectors(velocities, positions, kept, "velocities")
        self.base.check_charges(charges, positions)
        named = {"mask": kept, "charges": charges}
        given = {
            "positions": positions,
            "velocities": velocities,
            **{name: value for name, value in named.items() if value is not None},
            **extras,
        }
        outputs = {"positions": self.action, "velocities": self.vector_action}
        rows, log_weights = self._read(given, self._run, outputs)
        combine = self.method.combine
        moved, _ = rows.combine("positions", combine, log_weights)
        faster = None
        if rows.outputs["velocities"] is not None:
            faster, _ = rows.combine("velocities", combine, log_weights)
        loss = motion_losses(moved, faster, labels, velocity_labels, kept)
        loss = self.penalised(loss, rows.selection)
        weights = None if log_weights is None else log_weights.softmax(1)
        return self.returned(self._said(EquiNBodyOutput(loss, moved, faster, weights), rows.selection), return_dict)

    def _run(self, **rows: Any) -> dict[str, Any]:
        """Return the base's outputs for some rows."""
        out = self.base(**rows, return_dict=True)
        return {"positions": out.positions, "velocities": out.velocities, "features": out.features}
