"""Time models of point clouds against their base, a plain loop and one large batch, as ratios.

python benchmarks/point_clouds.py --output docs/benchmarks.md
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from command import Benchmark
from timing import Claim, Measure, timed
from torch import Tensor

import hf_equi
from hf_equi.bases.neighbours import gathered, nearest
from hf_equi.canonicalization import VectorNeurons
from hf_equi.groups import SO3, MatrixGroup
from hf_equi.networks import (
    DGCNNConfig,
    DGCNNForPointCloudClassification,
    PointNetConfig,
    PointNetForPointCloudClassification,
)

DESCRIPTION = """\
Clouds have 1,024 points. The networks are a DGCNN with 20 neighbours and a PointNet, in their published sizes, with 40
classes and random weights. *the base* is the network that is not symmetrised. *pairs* is the same DGCNN as it is
published: it makes the features of all pairs of neighbours, which the library does not. Both say the same. *a loop*
calls the base once for each of the 24 rotations of a cube, *one batch* with all of them at once; both then take the
mean. Canonical has a network of vector neurons with 5 or 20 neighbours, frames are four of principal axes.

An edge convolution that reads no pairs makes the base fast. So the vector neurons, which read pairs, weigh more beside
it than beside the published form. The code of arXiv 2310.01647 has 20 neighbours, as the default here.
"""
SUMMARY = "Time models of point clouds against their base and ways by hand."
CANONICAL, EQUITUNE = 1.15, 1.05
"""The largest ratios: of canonical to the base, and of equitune to the faster way by hand."""
NETWORKS = ("dgcnn", "point_net")
NEIGHBOURS = (5, 20)
NAMES = (
    "dgcnn-pairs",
    *(f"{network}-canonical-{count}" for network in NETWORKS for count in NEIGHBOURS),
    "dgcnn-canonical-pairs",
    *(f"{network}-frames" for network in NETWORKS),
    *(f"{network}-equitune-24" for network in NETWORKS),
)


@dataclass(frozen=True)
class Clouds:
    """The workload.

    Args:
        seed: The seed of weights and clouds.
        smoke: Whether clouds are small.
    """

    seed: int
    smoke: bool

    def claims(self) -> Iterator[Claim]:
        """The claims, in the order of the table."""
        bases = {name: self._base(name) for name in NETWORKS}
        clouds, one = self._clouds(2 if self.smoke else 8), self._clouds(1)
        dgcnn = bases["dgcnn"]
        pairs = {"pairs": self._time(partial(as_published, dgcnn, clouds))}
        _check(dgcnn(clouds).logits, as_published(dgcnn, clouds))
        yield Claim(
            "dgcnn-pairs", "the DGCNN and its published form", self._run(dgcnn, clouds), pairs, None, unit="ms"
        )
        for name, base in bases.items():
            plain = {"the base": self._run(base, clouds)}
            for count in NEIGHBOURS:
                model = canonical(base, count)
                bound = CANONICAL if name == "dgcnn" else None
                text = f"canonical, {count} neighbours, {name}"
                yield Claim(f"{name}-canonical-{count}", text, self._run(model, clouds), plain, bound, unit="ms")
        run = self._run(canonical(dgcnn, NEIGHBOURS[0]), clouds)
        yield Claim("dgcnn-canonical-pairs", "canonical and the published form", run, pairs, None, unit="ms")
        for name, base in bases.items():
            plain = {"the base": self._run(base, clouds)}
            model = hf_equi.symmetrize(base, SO3()).eval()
            yield Claim(f"{name}-frames", f"4 frames, {name}", self._run(model, clouds), plain, None, unit="ms")
        for name, base in bases.items():
            model = hf_equi.symmetrize(base, MatrixGroup.cube()).eval()
            hands = {said: partial(by_hand, base, one, said) for said in ("a loop", "one batch")}
            _check(model(one).logits, *(hand() for hand in hands.values()))
            ways = {said: self._time(hand) for said, hand in hands.items()}
            text = f"equitune, 24 rotations, {name}"
            yield Claim(f"{name}-equitune-24", text, self._run(model, one), ways, EQUITUNE, unit="ms")

    def _base(self, name: str) -> Any:
        torch.manual_seed(self.seed)
        if name == "dgcnn":
            return DGCNNForPointCloudClassification(DGCNNConfig(num_labels=40)).eval()
        return PointNetForPointCloudClassification(PointNetConfig(num_labels=40)).eval()

    def _clouds(self, batch: int) -> Tensor:
        drawn = torch.randn(batch, 64 if self.smoke else 1024, 3, generator=torch.Generator().manual_seed(self.seed))
        return drawn / drawn.norm(dim=2).amax(1)[:, None, None]

    def _run(self, model: Any, clouds: Tensor) -> Measure:
        return self._time(lambda: model(clouds))

    @staticmethod
    def _time(run: Callable[[], object]) -> Measure:
        """Measure the milliseconds of a call."""

        def call() -> None:
            with torch.no_grad():
                run()

        once = timed(call)
        return lambda: 1e3 * once()


def canonical(base: Any, neighbours: int) -> Any:
    """Return the base, canonicalized by vector neurons."""
    canonicalizer = VectorNeurons(SO3(), neighbours=neighbours)
    return hf_equi.symmetrize(base, SO3(), "canonical", canonicalizer=canonicalizer).eval()


@torch.no_grad()
def as_published(base: Any, points: Tensor) -> Tensor:
    """Return the logits of a DGCNN by the features of all pairs."""
    found, each = points, []
    for edge in base.edges:
        near = gathered(found, nearest(found, None, edge.neighbours))
        own = found.unsqueeze(2).expand_as(near)
        pairs = edge.activation(edge.norm(edge.linear(torch.cat([near - own, own], 3))))
        found = pairs.amax(2)
        each.append(found)
    last = base.last(torch.cat(each, 2))
    logits: Tensor = base.head(torch.cat([last.amax(1), last.mean(1)], 1))
    return logits


@torch.no_grad()
def by_hand(base: Any, cloud: Tensor, way: str) -> Tensor:
    """Return the mean over the rotations of a cube, without the library."""
    turns = MatrixGroup.cube().matrices.to(cloud)
    if way == "a loop":
        return torch.stack([base(cloud @ turn.mT).logits for turn in turns]).mean(0)
    return base(cloud @ turns.mT).logits.mean(0, keepdim=True)  # type: ignore[no-any-return]


def _check(*logits: Tensor) -> None:
    """End the run if two ways do not say the same. Neighbours that are equally far may differ by rounding."""
    for other in logits[1:]:
        if not torch.allclose(logits[0], other, atol=1e-3):
            raise SystemExit(f"Logits differ by {float((logits[0] - other).abs().max()):.2g}: times say nothing.")


def create(arguments: argparse.Namespace) -> Clouds:
    """Make the workload of a command line."""
    return Clouds(arguments.seed, arguments.smoke)


def claims(workload: Clouds, smoke: bool) -> list[Claim]:
    """Return all claims, in the order of the table."""
    with torch.no_grad():
        return list(workload.claims())


def main() -> None:
    """Measure and write the page."""
    Benchmark("Point clouds", DESCRIPTION, SUMMARY, NAMES, claims, create).run()


if __name__ == "__main__":
    main()
