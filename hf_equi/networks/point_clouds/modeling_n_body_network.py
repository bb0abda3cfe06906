"""A graph network that predicts how bodies move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers.utils import ModelOutput

from hf_equi.errors import ActionError, ConfigurationError
from hf_equi.networks.point_clouds.configuration_n_body_network import NBodyNetworkConfig
from hf_equi.networks.point_clouds.inputs import check_vectors, read_cloud
from hf_equi.networks.point_clouds.layers import pooled_mean
from hf_equi.networks.point_clouds.losses import motion_loss
from hf_equi.networks.point_clouds.modeling_point_clouds import PointCloudModel

__all__ = ["NBodyNetwork", "NBodyOutput", "motion_losses"]


@dataclass
class NBodyOutput(ModelOutput):
    """The output of `NBodyNetwork`.

    Args:
        loss: `()` with `labels`.
        positions: `(B, N, 3)` where the bodies will be; those of padded bodies mean nothing.
        velocities: `(B, N, 3)` how they will move, if the network predicts it.
        features: `(B, F)` the mean features of the bodies, with `output_features`.
    """

    loss: torch.Tensor | None = None
    positions: torch.Tensor | None = None
    velocities: torch.Tensor | None = None
    features: torch.Tensor | None = None


class NBodyNetwork(PointCloudModel):
    r"""A graph network that reads positions, velocities and charges, and predicts later positions.

    $$ m_{ij} = f(h_i, h_j, q_i q_j, \lVert x_i - x_j \rVert^2), \quad
    h_i \leftarrow h_i + g\Big(h_i, \sum_{j \ne i} m_{ij}\Big), \quad \hat x_i = x_i + w(h_i) $$

    with $h_i$ a linear map of position and velocity in the first round. So it is not equivariant by itself, and reads
    where the origin and the axes are.

    Args:
        config: The model's configuration.

    References:
        The graph network that arXiv 2102.09844, section 5.1, compares with, and that arXiv 2310.01647 canonicalizes.
        There it predicts positions themselves; here it predicts how far a body moves.

    Example:
        >>> from hf_equi.networks import NBodyNetwork, NBodyNetworkConfig
        >>> network = NBodyNetwork(NBodyNetworkConfig())
        >>> charges = torch.tensor([[1.0, -1.0, 1.0, 1.0, -1.0]])
        >>> network(torch.randn(1, 5, 3), velocities=torch.randn(1, 5, 3), charges=charges).positions.shape
        torch.Size([1, 5, 3])
    """

    config: NBodyNetworkConfig
    config_class = NBodyNetworkConfig
    main_input_name = "positions"

    def __init__(self, config: NBodyNetworkConfig) -> None:
        super().__init__(config)
        size = config.hidden_size
        self.embedding = nn.Linear(6, size)
        self.messages = nn.ModuleList([_Messages(size, config.use_charges) for _ in range(config.num_hidden_layers)])
        outputs = 6 if config.predict_velocities else 3
        self.head = nn.Sequential(nn.Linear(size, size), nn.SiLU(), nn.Linear(size, outputs))
        self.post_init()  # type: ignore[no-untyped-call]

    @property
    def feature_size(self) -> int:
        """The features of a body."""
        return self.config.hidden_size

    def forward(
        self,
        positions: torch.Tensor,
        velocities: torch.Tensor,
        charges: torch.Tensor | None = None,
        mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        velocity_labels: torch.Tensor | None = None,
        output_features: bool = False,
        return_dict: bool | None = None,
    ) -> NBodyOutput | tuple[Any, ...]:
        """Predict how bodies move.

        Args:
            positions: `(B, N, 3)`.
            velocities: `(B, N, 3)`.
            charges: `(B, N)`, for a network that reads them.
            mask: `(B, N)`, 0 where a system is padded.
            labels: `(B, N, 3)` later positions: the loss is the mean squared error of their coordinates.
            velocity_labels: `(B, N, 3)` later velocities, whose error is added, for a network that predicts them.
            output_features: Whether to return the mean features.
            return_dict: `False` for a tuple; by default as in the config.

        Raises:
            ActionError: As `read_cloud` and `check_vectors`; for charges of another shape.
            ConfigurationError: As `motion_loss`; for charges or labels that the network does not use.
        """
        positions, kept = read_cloud(positions, mask, name="positions")
        velocities = check_vectors(velocities, positions, kept, "velocities")
        self.check_charges(charges, positions)
        where = positions.to(self.dtype)
        found = self.embedding(torch.cat([where, velocities.to(self.dtype)], 2))
        pairs = self._pairs(where, charges)
        for layer in self.messages:
            found = layer(found, pairs, kept)
        change = self.head(found)
        moved = where + change[..., :3]
        faster = velocities.to(self.dtype) + change[..., 3:] if self.config.predict_velocities else None
        loss = motion_losses(moved, faster, labels, velocity_labels, kept)
        features = pooled_mean(found, kept) if output_features else None
        return self._returned(NBodyOutput(loss, moved, faster, features), return_dict)  # type: ignore[no-any-return]

    def check_charges(self, charges: Any, positions: torch.Tensor) -> None:
        """Refuse charges that are missing, do not belong here, or have another shape.

        Raises:
            ActionError: For another shape or kind.
            ConfigurationError: If they are missing, or the network does not read them.
        """
        if (charges is None) == self.config.use_charges:
            raise ConfigurationError(
                "charges= are needed: pass one for each body, or make a network with use_charges=False"
                if charges is None
                else "charges= are not read by this network: its config has use_charges=False"
            )
        if charges is None:
            return
        shape = tuple(positions.shape[:2])
        if not isinstance(charges, torch.Tensor) or tuple(charges.shape) != shape or not charges.is_floating_point():
            given = (
                f"{charges.dtype} of the shape {tuple(charges.shape)}"
                if isinstance(charges, torch.Tensor)
                else charges
            )
            raise ActionError(f"charges= needs floating numbers of the shape {shape}; received {given}.")

    def _pairs(self, where: torch.Tensor, charges: torch.Tensor | None) -> torch.Tensor:
        """Return what is known of each pair of bodies, `(B, N, N, 2)`; without charges `(B, N, N, 1)`."""
        squares = (where.unsqueeze(2) - where.unsqueeze(1)).square().sum(3, keepdim=True)
        if charges is None:
            return squares
        charges = charges.to(where)
        return torch.cat([(charges.unsqueeze(2) * charges.unsqueeze(1)).unsqueeze(3), squares], 3)


class _Messages(nn.Module):
    """One round of messages between all bodies."""

    def __init__(self, size: int, use_charges: bool) -> None:
        super().__init__()
        self.pair = nn.Sequential(
            nn.Linear(2 * size + 1 + use_charges, size), nn.SiLU(), nn.Linear(size, size), nn.SiLU()
        )
        self.body = nn.Sequential(nn.Linear(2 * size, size), nn.SiLU(), nn.Linear(size, size))

    def forward(self, x: torch.Tensor, pairs: torch.Tensor, kept: torch.Tensor | None) -> torch.Tensor:
        """Return the features of bodies after the messages, `(B, N, F)` to `(B, N, F)`."""
        count = x.shape[1]
        one, other = (x.unsqueeze(axis).expand(-1, count, count, -1) for axis in (2, 1))
        messages = self.pair(torch.cat([one, other, pairs], 3))
        heard = ~torch.eye(count, dtype=torch.bool, device=x.device)
        if kept is not None:
            heard = heard & kept.unsqueeze(1)
        told = torch.where(heard.unsqueeze(-1), messages, 0).sum(2)
        changed: torch.Tensor = x + self.body(torch.cat([x, told], 2))
        return changed


def motion_losses(
    positions: torch.Tensor,
    velocities: torch.Tensor | None,
    labels: torch.Tensor | None,
    velocity_labels: torch.Tensor | None,
    mask: torch.Tensor | None,
) -> torch.Tensor | None:
    """Return the loss of predicted motions; `None` without labels.

    Args:
        positions: `(B, N, 3)` predicted.
        velocities: `(B, N, 3)` predicted, or `None`.
        labels: `(B, N, 3)` positions, or `None`.
        velocity_labels: `(B, N, 3)` velocities, or `None`.
        mask: `(B, N)` bool, which bodies there are.

    Raises:
        ConfigurationError: As `motion_loss`; for labels of velocities that are not predicted.
    """
    if velocity_labels is not None and velocities is None:
        raise ConfigurationError(
            "velocity_labels= are given, but this network predicts positions alone: leave them out, or make one with "
            "predict_velocities=True"
        )
    losses = []
    if labels is not None:
        losses.append(motion_loss(positions, labels, mask, "labels"))
    if velocity_labels is not None and velocities is not None:
        losses.append(motion_loss(velocities, velocity_labels, mask, "velocity_labels"))
    return sum(losses[1:], losses[0]) if losses else None
