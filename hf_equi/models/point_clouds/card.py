"""The cards of models of point clouds."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import torch

from hf_equi.actions import Action, PointAction, VectorAction
from hf_equi.canonicalization import LearnedMember
from hf_equi.canonicalization.base import is_complete
from hf_equi.groups import FiniteGroup
from hf_equi.models.cards.kinds import BASE, CardKind
from hf_equi.models.cards.measuring import Probe
from hf_equi.models.cards.random_inputs import seeded
from hf_equi.models.configuration_canonicalized import CANONICAL_SETTINGS
from hf_equi.models.unread_settings import unread_settings

__all__ = ["NBodyCard", "PointCloudCard", "PointCloudClassifierCard", "PointCloudSegmenterCard"]

_CLOUDS, _POINTS, _BODIES = 2, 128, 5
_CHOICE = (
    "**A choice.** The symmetry is exact unless the best two members have the same loss, to within rounding. Then the "
    "two sides may choose different members. The output holds the margin between the two."
)
_FRAMES = (
    "**Frames.** Principal axes jump where two of them are equally long, and so does the output. In a cloud with such "
    "axes, up to rounding, they are made from the points in their order."
)
_NEIGHBOURS = (
    "**Neighbours.** A base that reads nearest neighbours jumps where two points are equally far. There the rounding "
    "of a turn can show."
)


class PointCloudCard(CardKind):
    """What the cards of all models of point clouds share."""

    pipeline_tag = "other"
    tags: ClassVar[tuple[str, ...]] = ("point-clouds",)
    settings: ClassVar[tuple[str, ...]] = (
        "average",
        "loss",
        "lambda_units",
        "lambda_dropout",
        "task_weight",
        *CANONICAL_SETTINGS,
    )
    model_name: ClassVar[str]

    def config_settings(self, model: Any) -> dict[str, Any]:
        """The settings that the method uses."""
        select, found = model.method.select, super().config_settings(model)
        unread = unread_settings(model.method)
        if isinstance(select, LearnedMember):
            found["canonicalizer"] = type(select.network).__name__
            unread -= {"canonicalizer"}
            unread |= set() if isinstance(model.group, FiniteGroup) else {"temperature", "relaxation"}
            unread |= set() if select.needs_training else {"prior_weight", "temperature", "relaxation"}
        return {name: value for name, value in found.items() if name not in unread}

    def group_text(self, model: Any) -> str:
        """The group, in Markdown."""
        group = model.group
        return super().group_text(model) if isinstance(group, FiniteGroup) else f"`{group!r}`."

    def limits(self, model: Any) -> list[str]:
        """The limits of the method and of the base."""
        method, select = model.method, model.method.select
        found = [_CHOICE] if method.takes_best else []
        if (
            not isinstance(model.group, FiniteGroup)
            and not isinstance(select, LearnedMember)
            and not method.selects_one
        ):
            found.append(_FRAMES)
        if model.base.least_points > 1:
            found.append(_NEIGHBOURS)
        if isinstance(select, LearnedMember):
            found += [] if select.network.limit is None else [select.network.limit]
            if not is_complete(select.network.to_dict()):
                found.append(
                    "**A canonicalizer of its own.** Its weights are here, but not its code: make it and pass it, "
                    "`from_pretrained(..., canonicalizer=...)`."
                )
        return [*super().limits(model)[:-1], *found, BASE]

    def usage(self, model: Any, place: str) -> str:
        """Code that loads the model and asks it something."""
        return "\n".join(
            [
                "import torch",
                "from transformers import AutoModel",
                f"model = AutoModel.from_pretrained({place})",
                f"print({self.question(model)})",
            ]
        )

    def question(self, model: Any) -> str:
        """Code that asks the model something."""
        raise NotImplementedError


def _points(model: Any) -> torch.Tensor:
    """Return random clouds, longer in one direction than in another."""
    count = max(_POINTS, model.base.least_points)
    points = torch.randn(_CLOUDS, count, 3, generator=seeded()) * torch.tensor([1.5, 1.0, 0.6])
    return points.to(model.device, torch.float32)


class PointCloudClassifierCard(PointCloudCard):
    """The card of an EquiForPointCloudClassification."""

    what = "A classifier of point clouds that does not care how a cloud is turned"
    use = "Use it to classify shapes that come in any pose. Do not use it for anything that its base is not fit for."

    def probe(self, model: Any) -> Probe:
        """Random clouds."""

        def run(asked: Any, points: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = asked(points=points).logits.float()
            return logits

        return Probe(_points(model), model.action, None, run, f"{_CLOUDS} random clouds", "logits")

    def question(self, model: Any) -> str:
        """The classes of random clouds."""
        return f"model(torch.randn(1, {max(_POINTS, model.base.least_points)}, 3)).logits.argmax(-1)"


class PointCloudSegmenterCard(PointCloudCard):
    """The card of an EquiForPointCloudSegmentation."""

    what = "A network that finds the parts of shapes, however a shape is turned"
    use = (
        "Use it to find the parts of shapes that come in any pose. Do not use it for anything that its base is not "
        "fit for."
    )

    def probe(self, model: Any) -> Probe:
        """Random clouds, of the first category."""
        reads = model.base.config.num_categories

        def run(asked: Any, points: torch.Tensor) -> torch.Tensor:
            given = {"categories": torch.zeros(len(points), dtype=torch.long, device=points.device)} if reads else {}
            logits: torch.Tensor = asked(points=points, **given).logits.float()
            return logits

        return Probe(_points(model), model.action, None, run, f"{_CLOUDS} random clouds", "logits of all points")

    def question(self, model: Any) -> str:
        """The parts of a random cloud."""
        category = ", categories=torch.tensor([0])" if model.base.config.num_categories else ""
        return f"model(torch.randn(1, {max(_POINTS, model.base.least_points)}, 3){category}).logits.argmax(-1)"


class NBodyCard(PointCloudCard):
    """The card of an EquiForNBody."""

    pipeline_tag = "graph-ml"
    what = "A network that predicts how bodies move, and turns its predictions with them"
    use = "Use it to predict the motion of bodies of the kind that its base was trained on."

    def probe(self, model: Any) -> Probe:
        """Random bodies."""
        states = torch.randn(_CLOUDS, 2 * _BODIES, 3, generator=seeded()).to(model.device)
        charges = torch.ones(_CLOUDS, _BODIES, device=model.device) if model.base.config.use_charges else None
        action = _BodiesAction(model.group)
        said = "positions and velocities" if model.base.config.predict_velocities else "positions"
        return Probe(states, action, action, partial(_moved, charges), f"{_CLOUDS} random systems", said)

    def question(self, model: Any) -> str:
        """The motion of random bodies."""
        charges = f", charges=torch.ones(1, {_BODIES})" if model.base.config.use_charges else ""
        return f"model(torch.randn(1, {_BODIES}, 3), velocities=torch.randn(1, {_BODIES}, 3){charges}).positions"


class _BodiesAction(Action):
    """A group on bodies, `(B, 2 N, 3)`: their positions, and then their velocities."""

    def __init__(self, group: Any) -> None:
        self.group = group
        self.points = PointAction(group)
        self.vectors = VectorAction(group)

    def apply(self, elements: Any, x: torch.Tensor, /) -> torch.Tensor:
        """Return the moved bodies."""
        positions, velocities = x.chunk(2, 1)
        return torch.cat([self.points.apply(elements, positions), self.vectors.apply(elements, velocities)], 1)


def _moved(charges: torch.Tensor | None, asked: Any, states: torch.Tensor) -> torch.Tensor:
    """Return what a model says of bodies, `(B, 2 N, 3)`; velocities that are not predicted are 0."""
    positions, velocities = states.chunk(2, 1)
    charges = None if charges is None else charges[:1].expand(len(states), -1)
    out = asked(positions=positions, velocities=velocities, charges=charges)
    faster = torch.zeros_like(out.positions) if out.velocities is None else out.velocities
    return torch.cat([out.positions, faster], 1).float()
