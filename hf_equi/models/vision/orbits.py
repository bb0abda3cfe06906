r"""Read the orbits of images with the reader of tensors, and combine them at a level.

Letters: B batch, G group, K members asked for, R rows, F features, C classes or texts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch

from hf_equi.actions import Action, PixelAction, PlaneAction, TrivialAction
from hf_equi.bases.chunks import images_at_once
from hf_equi.bases.orbit_reader import OrbitReader, check_batch, fold_rows
from hf_equi.errors import ActionError
from hf_equi.groups import ContinuousGroup, FiniteGroup
from hf_equi.models.vision.cuts import BodyCut, Cut
from hf_equi.models.vision.levels import Head, Level, Members
from hf_equi.symmetrizers import Decision, Method, Orbit, ProxyLoss, Selection
from hf_equi.symmetrizers.weigh import joint_log_weights

__all__ = ["CombinedImages", "ImageOrbits", "ImageReader", "combine"]


@dataclass(frozen=True)
class ImageOrbits:
    """The base's outputs for the orbits of a batch.

    Args:
        group: The group.
        orbit: The rows.
        features: `(R, F)`.
        maps: `(R, ...)` feature maps, pulled back, if they were asked for.
        frozen: `(R, F)` features of the frozen copy, if weights are computed from one.
        selection: The members, and what their selection adds to the loss.
    """

    group: FiniteGroup | ContinuousGroup
    orbit: Orbit
    features: torch.Tensor
    maps: torch.Tensor | None = None
    frozen: torch.Tensor | None = None
    selection: Selection | None = None

    @classmethod
    def of_features(cls, group: FiniteGroup, features: torch.Tensor, method: Method) -> ImageOrbits:
        """Make orbits of known features `(B, G, F)`, and keep the members that the method asks for.

        Raises:
            ActionError: If there is not one member for each element, or there is no image.
        """
        check_batch(features, "orbit_features", "images")
        if features.dim() != 3 or features.shape[1] != group.order:
            raise ActionError(
                f"Features of orbits must have the shape (batch, {group.order}, features) for {group!r}; received "
                f"{tuple(features.shape)}."
            )
        elements = method.select(TrivialAction(group), features).elements
        members = features.gather(1, elements.unsqueeze(-1).expand(-1, -1, features.shape[-1]))
        return cls(group, Orbit.start(elements, shared=False), members.flatten(0, 1))

    def by_member(self) -> torch.Tensor:
        """The features of all members, `(B, K, F)`: those of the frozen copy if there is one."""
        features = self.features if self.frozen is None else self.frozen
        return features[self.orbit.row_of]


@dataclass(frozen=True)
class ImageReader:
    """Reads the orbits of images.

    Args:
        action: The group on pixels.
        method: Decides which members are asked for.
        level: Decides what is read.
        cut: The place where the base is cut.
        chunk: The members of each orbit that go through the base at once; `None` for all. On a CPU in eval mode it
            reads at most as many images at once as `images_at_once` says.
        extras: The base's inputs besides the images. An input with one entry for each image gets one for each member.
    """

    action: PixelAction | PlaneAction
    method: Method
    level: Level
    cut: Cut
    chunk: int | None = None
    extras: dict[str, Any] = field(default_factory=dict)

    def read(self, base: Any, images: torch.Tensor, frozen: Any = None) -> ImageOrbits:
        """Run a base on the distinct members of the orbits of images, `(B, C, H, W)`.

        Args:
            base: The base.
            images: The images.
            frozen: Another model of the same kind, whose features are read as well.

        Raises:
            ActionError: If the group does not act on the images, or there are none.
            UnsupportedModelError: If memory runs out, with advice.
        """
        check_batch(images, "pixel_values", "images")
        moving: dict[str, Action] = {}
        if self.level.reads_maps and images.dim() == 4:
            height, width = images.shape[-2:]
            moving["maps"] = self.cut.map_action(self.action.group, base, (height, width))
        tower = self.cut.body_of(base) if isinstance(self.cut, BodyCut) else base  # a CLIP has another tower for texts
        piece = images_at_once(tower, math.prod(images.shape[-2:]))
        reader = OrbitReader({"pixel_values": self.action}, moving, self.chunk, piece)

        def run(rows: dict[str, Any]) -> dict[str, Any]:
            return self._read_rows(base, frozen, **rows)

        selection = self.method.select(self.action, images, base=base)
        what = f"images of {' × '.join(map(str, images.shape[1:]))}"
        rows = reader.read(base, run, {"pixel_values": images, **self.extras}, selection, what)
        return ImageOrbits(self.action.group, rows.orbit, **rows.outputs, selection=selection)

    def _read_rows(self, base: Any, frozen: Any, pixel_values: torch.Tensor, **extras: Any) -> dict[str, Any]:
        """Return features, feature maps and frozen features of some rows."""
        maps = None
        if self.level.reads_maps:
            maps = self.cut.maps(base, pixel_values, **extras)
            features = self.cut.pool(base, maps)
        else:
            features = self.cut.features(base, pixel_values, **extras)
        if frozen is None:
            return {"features": features, "maps": maps, "frozen": None}
        with torch.no_grad():  # comes last, so that recomputation for a backward pass ends before it
            return {"features": features, "maps": maps, "frozen": self.cut.features(frozen, pixel_values, **extras)}


@dataclass(frozen=True)
class CombinedImages:
    """One output for each orbit.

    Args:
        logits: `(B, C)`, or `None` if only features were asked for.
        features: `(B, F)` invariant features, at levels that have them.
        log_weights: `(B, K)` the members' weights, for methods that weigh them.
        decision: Which member was taken, for methods that take one.
    """

    logits: torch.Tensor | None
    features: torch.Tensor | None
    log_weights: torch.Tensor | None
    decision: Decision


def combine(
    orbits: ImageOrbits,
    head: Head,
    method: Method,
    level: Level,
    *,
    features_only: bool = False,
) -> CombinedImages:
    r"""Combine the members of each orbit.

    $$ M_G(x) = \text{head}\Big(\text{combine}_g\; g^{-1} F(gx)\Big) $$

    Args:
        orbits: The base's outputs.
        head: What comes after the features.
        method: How members are combined.
        level: What is combined.
        features_only: Whether to stop before the head; for levels that have features.
    """
    orbit = orbits.orbit
    members = Members(orbits.features, head, orbits.maps)
    weigh = method.feature_weights
    given = None if orbits.selection is None else orbits.selection.log_weights
    log_weights = joint_log_weights(None if weigh is None else weigh.log_weights(orbits.by_member()), given)
    losses = None if method.loss is None else _losses(method.loss, members)
    values = level.values(members)
    still = TrivialAction(orbits.group, values.device)
    combined, decision = fold_rows(orbit, still, method.combine, values, log_weights, losses)
    features = level.features(combined, head)
    logits = None if features_only else level.logits(combined, head)
    return CombinedImages(logits, features, log_weights, decision)


def _wide(values: torch.Tensor) -> torch.Tensor:
    """Convert to float32 at least."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _losses(loss: ProxyLoss, members: Members) -> torch.Tensor:
    """Return the losses by which members are chosen, `(R,)`."""
    scores = _wide(members.logits.detach())  # in half precision the choice would be between rounded losses
    link = members.head.link
    if not loss.of_logits:
        scores = link.log_probabilities(scores)
        scores = scores.flatten(1) if loss.of_absences else link.of_classes(scores)
    return loss.of_steps(scores)
