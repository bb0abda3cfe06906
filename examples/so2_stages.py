"""The cells of the regression on vectors: targets, models, training, and the record of each cell and seed."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from data import write_json
from machine import Clock, machine
from so2_models import ACTION, GROUP, WIDTH, WIDTH_BESIDE_LAMBDA, FirstVector, ResidualMLP, Symmetrised, Unmoved
from torch import nn

from hf_equi.canonicalization import LearnedCanonical, LearnedCanonicalLambda, LearnedMembers
from hf_equi.symmetrizers import EqualWeights, Mean, Method

THETAS = (("0°", "180°"), ("0°", "90°"), ("0°", "90°", "180°"), ("0°", "90°", "180°", "270°"))
"""Θ as in Table 13."""
BEST = THETAS[2]
"""The best of them in Table 13, for the other tables."""


@dataclass(frozen=True)
class Settings:
    """How a cell is trained. The defaults are the published settings; they do not name the optimiser, here Adam."""

    samples: int = 10_000
    batch: int = 500
    rate: float = 5e-3
    epochs: int = 100


def invariant(x: torch.Tensor) -> torch.Tensor:
    r"""Return $\sin |x_1| - |x_2|^3 / 2 + \cos \angle(x_1, x_2)$, `(B, 1)`, the target of 2104.09459, §7.1."""
    one, other = x.norm(dim=-1).unbind(1)
    return (one.sin() - other**3 / 2 + _cosine(x)).unsqueeze(1)


def equivariant(x: torch.Tensor) -> torch.Tensor:
    r"""Return $\sin |x_1|\, x_2 + \cos \angle(x_1, x_2)\, J x_1$ with J a quarter turn, `(B, 2)`.

    It turns with x. A mirror image of x does not have the mirror image of it, because of J.
    """
    first, second = x.unbind(1)
    quarter_turned = torch.stack([-first[:, 1], first[:, 0]], 1)
    return first.norm(dim=-1, keepdim=True).sin() * second + _cosine(x).unsqueeze(1) * quarter_turned


def _cosine(x: torch.Tensor) -> torch.Tensor:
    return nn.functional.cosine_similarity(x[:, 0], x[:, 1], dim=-1)


TARGETS: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], int]] = {
    "invariant": (invariant, 1),
    "equivariant": (equivariant, 2),
}
"""The targets, and how many numbers each is."""


@dataclass(frozen=True)
class Cell:
    """One row of a table.

    Args:
        target: `"invariant"` or `"equivariant"`.
        theta: Θ; empty for the network alone and for canonicalization alone.
        poses: Whether h moves inputs into their canonical pose.
        weighs: Whether λ weighs the members. Otherwise they count alike.
        printed: Whether outputs move back as equation 5 is printed.
    """

    target: str
    theta: tuple[str, ...] = ()
    poses: bool = True
    weighs: bool = True
    printed: bool = False

    @property
    def name(self) -> str:
        """Its name in folders, as in `"canon-lambda-0-90"`."""
        parts = ["canon"] * self.poses + ["lambda"] * (self.weighs and bool(self.theta))
        parts += [angle.rstrip("°") for angle in self.theta] + ["printed"] * self.printed
        return "-".join(parts) or "mlp"

    def make(self) -> nn.Module:
        """Make the model, with new weights."""
        _, outputs = TARGETS[self.target]
        moves = self.target == "equivariant"
        if not self.theta and not self.poses:
            return Plain(ResidualMLP(WIDTH, outputs))
        weighs = self.weighs and bool(self.theta)
        base = ResidualMLP(WIDTH_BESIDE_LAMBDA if weighs else WIDTH, outputs)
        canonicalizer = FirstVector() if self.poses else Unmoved()
        return Symmetrised(base, method_of(self), canonicalizer, moves=moves, printed=self.printed)


class Plain(nn.Module):
    """The network alone."""

    def __init__(self, base: ResidualMLP) -> None:
        super().__init__()
        self.base = base

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the outputs, `(B, outputs)`."""
        return self.base(x)[0]


def method_of(cell: Cell) -> Method:
    """Return the method of a cell."""
    if not cell.theta:
        return LearnedCanonical()
    if cell.weighs:
        return LearnedCanonicalLambda(theta=cell.theta)
    return Method(LearnedMembers(cell.theta), EqualWeights(), Mean())


ALONE = Cell("invariant", poses=False)
TABLE = (ALONE, Cell("invariant"), *(Cell("invariant", theta) for theta in THETAS))
"""Table 13."""
ABLATION = (
    Cell("invariant", BEST, poses=False, weighs=False),
    Cell("invariant", BEST, poses=False),
    Cell("invariant", BEST, weighs=False),
)
EQUIVARIANT = (
    Cell("equivariant", poses=False),
    Cell("equivariant"),
    Cell("equivariant", BEST),
    Cell("equivariant", BEST, printed=True),
)
PARTS = {"table": TABLE, "ablation": ABLATION, "equivariant": EQUIVARIANT}


@dataclass(frozen=True)
class Run:
    """A cell and a seed. The seed draws the data, the first weights and the order of the samples."""

    output: Path
    cell: Cell
    seed: int
    settings: Settings = Settings()

    @property
    def path(self) -> Path:
        """The file of the record."""
        return self.output / self.cell.target / self.cell.name / f"seed{self.seed}.json"

    def results(self) -> dict[str, Any] | None:
        """Return the record, or `None` if the run is not finished."""
        return json.loads(self.path.read_text(encoding="utf-8")) if self.path.is_file() else None

    def finish(self) -> dict[str, Any]:
        """Train, measure, and write the record."""
        clock = Clock()
        train, test = (self.data(part) for part in ("train", "test"))
        torch.manual_seed(self.seed)
        model = self.cell.make()
        curve = fit(model, train, test, self.settings)
        record = {
            "parameters": sum(weight.numel() for weight in model.parameters()),
            "train_loss": loss_of(model, *train),
            "test_loss": loss_of(model, *test),
            "asymmetry": asymmetry(model, test[0]),
            "curve": curve,
        }
        if isinstance(model, Plain) and self.cell.target == "equivariant":
            record["untrained"] = untrained(model.base, *test)
        record |= {"settings": vars(self.settings), "machine": machine(), "seconds": clock.seconds}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_json(self.path, record)
        return record

    def data(self, part: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw standard normal vectors `(samples, 2, 2)`, with their targets."""
        generator = torch.Generator().manual_seed(2 * self.seed + (part == "test"))
        x = torch.randn(self.settings.samples, 2, 2, generator=generator)
        return x, TARGETS[self.cell.target][0](x)


def fit(
    model: nn.Module,
    train: tuple[torch.Tensor, torch.Tensor],
    test: tuple[torch.Tensor, torch.Tensor],
    settings: Settings,
) -> dict[int, float]:
    """Train with Adam at a constant rate, and return the test loss after every tenth epoch."""
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.rate)
    curve = {}
    for epoch in range(1, settings.epochs + 1):
        for chosen in torch.randperm(len(train[0])).split(settings.batch):
            x, y = (values[chosen] for values in train)
            loss = nn.functional.mse_loss(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if epoch % 10 == 0:
            curve[epoch] = loss_of(model, *test)
    return curve


@torch.no_grad()
def loss_of(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """Return the mean squared error."""
    found = torch.cat([model(part) for part in x.split(1000)])
    return float(nn.functional.mse_loss(found, y))


@torch.no_grad()
def asymmetry(model: nn.Module, x: torch.Tensor) -> float:
    """Return the root of the mean squared difference of M(gx) and gM(x), with a random rotation g for each sample."""
    g = GROUP.sample(len(x), torch.Generator().manual_seed(0)).to(x)
    still, moved = (torch.cat([model(part) for part in one.split(1000)]) for one in (x, ACTION.apply(g, x)))
    expected = ACTION.apply(g, still) if still.shape[1] == 2 else still
    return math.sqrt(nn.functional.mse_loss(moved, expected))


def untrained(base: ResidualMLP, x: torch.Tensor, y: torch.Tensor) -> dict[str, dict[str, float]]:
    """Return the test losses of both forms of equation 5, with equal weights, by Θ, without any training of them.

    Args:
        base: A network that was trained alone.
        x: The samples.
        y: Their targets. For comparison the base is also the target itself, which is equivariant exactly.
    """
    bases = {"trained network": base, "the target": lambda rows: (equivariant(rows), rows.flatten(1))}
    found: dict[str, dict[str, float]] = {}
    for theta in THETAS:
        cell = Cell("equivariant", theta, weighs=False)
        for name, one in bases.items():
            for printed in (False, True):
                make = partial(Symmetrised, one, method_of(cell), FirstVector(), moves=True, printed=printed)
                form = "printed" if printed else "with the inverse of θ"
                found.setdefault(" ".join(theta), {})[f"{name}, {form}"] = loss_of(make(), x, y)
    return found


def runs_of(
    output: Path, seeds: Iterable[int], parts: Iterable[str], settings: Settings | None = None
) -> Iterable[Run]:
    """Give the runs, part by part and seed by seed."""
    for part in parts:
        for seed in seeds:
            for cell in PARTS[part]:
                yield Run(output, cell, seed, settings or Settings())
