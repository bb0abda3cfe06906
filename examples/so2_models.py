"""The networks of the regression on vectors, and the model that the parts of a method make of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from hf_equi.actions import VectorAction
from hf_equi.bases.orbit_reader import OrbitReader
from hf_equi.canonicalization import ContinuousCanonicalizer
from hf_equi.groups import SO2
from hf_equi.symmetrizers import Method
from hf_equi.symmetrizers.weigh import normalise_log_weights

GROUP = SO2()
ACTION = VectorAction(GROUP)
COORDINATES = 4
"""Those of an input, two vectors of the plane."""
WIDTH, WIDTH_BESIDE_LAMBDA = 200, 182
"""With these there are as many parameters as published. λ, on the 182 features, has two layers of 91 units."""
LAMBDA_UNITS = WIDTH_BESIDE_LAMBDA // 2

Base = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""From vectors `(R, 2, 2)` to outputs `(R, outputs)` and features `(R, F)`."""


class ResidualMLP(nn.Module):
    """Five layers with residual connections, and a linear head."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Linear(COORDINATES, width)
        self.others = nn.ModuleList(nn.Linear(width, width) for _ in range(4))
        self.head = nn.Linear(width, outputs)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return outputs and features."""
        features = self.first(x.flatten(1)).relu()
        for layer in self.others:
            features = features + layer(features).relu()
        return self.head(features), features


class FirstVector(ContinuousCanonicalizer):
    """h(x) is the rotation that turns the first axis towards the first vector. It has no weights."""

    group = GROUP
    learns = False

    def poses(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> tuple[torch.Tensor, None]:
        """Return h(x), `(B, 1, 2, 2)`."""
        a, b = nn.functional.normalize(x[:, 0], dim=-1).unbind(-1)
        return torch.stack([a, -b, b, a], -1).view(-1, 1, 2, 2), None


class Unmoved(ContinuousCanonicalizer):
    """h(x) is the identity, so it does not follow x: for the ablation without h."""

    group = GROUP
    learns = False

    def poses(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> tuple[torch.Tensor, None]:
        """Return the identity, `(B, 1, 2, 2)`."""
        return GROUP.identity.to(x).expand(len(x), 1, 2, 2), None


class Symmetrised(nn.Module):
    r"""What the parts of a method make of a base: select, read the orbit, weigh, combine.

    Args:
        base: The base.
        method: The method. Its part that selects has `canonicalizer` as its network.
        canonicalizer: h.
        moves: Whether the output is a vector that turns with the input.
        printed: Whether outputs move back by h(x), as equation 5 is printed, instead of $h(x)θ^{-1}$.
    """

    def __init__(
        self,
        base: Base,
        method: Method,
        canonicalizer: ContinuousCanonicalizer,
        *,
        moves: bool = False,
        printed: bool = False,
    ) -> None:
        super().__init__()
        self.base = base
        self.method, self.canonicalizer = method, canonicalizer
        self.lambda_network = method.weigh.create_network(WIDTH_BESIDE_LAMBDA, LAMBDA_UNITS, 0.0)
        self.reader = OrbitReader({"x": ACTION}, {"y": ACTION} if moves else {})
        self.printed = printed

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the outputs, `(B, outputs)`."""
        selection = self.method.select.with_network(self.canonicalizer)(ACTION, x)
        rows = self.reader.read(self, self._run, {"x": x}, selection)
        weigh = self.method.feature_weights
        log_weights = None
        if weigh is not None:
            features = rows.by_member("features")  # (B, K, F)
            log_weights = normalise_log_weights(weigh.with_network(self.lambda_network).log_weights(features))
        return rows.combine("y", self.method.combine, log_weights)[0]

    def _run(self, rows: dict[str, Any]) -> dict[str, torch.Tensor]:
        """Call the base. The reader moves its outputs back by h(x)θ⁻¹."""
        y, features = self.base(rows["x"])
        if self.printed:  # then h(x)θ⁻¹ θy = h(x)y is left; each orbit has its rows in the order of Θ
            theta = self.method.select.theta_in(GROUP).to(y)
            y = ACTION.apply(theta.repeat(len(y) // len(theta), 1, 1), y)
        return {"y": y, "features": features}
