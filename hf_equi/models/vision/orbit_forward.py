r"""Run a vision model on the orbits of images, and combine: the one place where images meet an orbit.

Letters: B batch, G group, K members asked for, R rows, F features, C classes or texts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch

from hf_equi.actions import PixelAction, TrivialAction
from hf_equi.bases.chunks import in_chunks, shares_rows
from hf_equi.bases.memory import advice_on_memory
from hf_equi.errors import ActionError, ConfigurationError
from hf_equi.groups import FiniteGroup
from hf_equi.models.vision.cuts import Cut
from hf_equi.models.vision.levels import Head, Level, Members
from hf_equi.symmetrizers import Decision, Method, Orbit, ProxyLoss
from hf_equi.symmetrizers.weigh import normalise_log_weights

__all__ = ["Combination", "ImageOrbits", "OrbitReader", "check_batch", "combine"]

_PIXELS_AT_ONCE = 2**20  # 20 images of 224 by 224, whose feature maps a CPU reads and writes faster than larger ones


@dataclass(frozen=True)
class ImageOrbits:
    """What a base says of the orbits of a batch.

    Args:
        group: The group.
        orbit: The rows.
        features: `(R, F)`.
        maps: `(R, ...)` feature maps, pulled back, where they were asked for.
        frozen: `(R, F)` features of the frozen copy, where weights are read off one.
    """

    group: FiniteGroup
    orbit: Orbit
    features: torch.Tensor
    maps: torch.Tensor | None = None
    frozen: torch.Tensor | None = None

    @classmethod
    def of_features(cls, group: FiniteGroup, features: torch.Tensor, method: Method) -> ImageOrbits:
        """Orbits whose features `(B, G, F)` are known, of which the method takes the members that it asks for.

        Raises:
            ActionError: If there is not one member for each element, or no image.
        """
        check_batch(features, "orbit_features")
        if features.dim() != 3 or features.shape[1] != group.order:
            raise ActionError(
                f"Features of orbits have the shape (batch, {group.order}, features) for {group!r}; received "
                f"{tuple(features.shape)}."
            )
        elements = method.select(TrivialAction(group), features).elements
        members = features.gather(1, elements.unsqueeze(-1).expand(-1, -1, features.shape[-1]))
        return cls(group, Orbit.start(elements, shared=False), members.flatten(0, 1))

    def by_member(self) -> torch.Tensor:
        """Features of all members, `(B, K, F)`: of the frozen copy where there is one."""
        features = self.features if self.frozen is None else self.frozen
        return features[self.orbit.row_of]


@dataclass(frozen=True)
class OrbitReader:
    """How orbits are read.

    Args:
        action: The group on pixels.
        method: Decides which members are asked for.
        level: Decides what is read.
        cut: Where the base is cut.
        chunk: Members of each orbit that go through the base at once; `None` for all. A CPU that evaluates
            takes pieces of a million pixels at most.
        extras: What the base is given beside the images.
    """

    action: PixelAction
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
            ActionError: For images that the group does not act on, or none.
            UnsupportedModelError: Where memory does not suffice, with advice.
        """
        check_batch(images, "pixel_values")
        size = self._rows_at_once(base, images)
        orbit = self._orbits(images, shares_rows(base, size))
        what = f"{len(images)} images of {' × '.join(map(str, images.shape[1:]))}"
        with advice_on_memory(what, orbit.elements, self.chunk, images.device):
            run = partial(self._read_rows, base, images, orbit, frozen)
            parts = [part for _, part in in_chunks(base, orbit.rows, size, run)]
            features, maps, others = map(_join, zip(*parts, strict=True))
        return ImageOrbits(self.action.group, orbit, features, maps, others)

    def _rows_at_once(self, base: Any, images: torch.Tensor) -> int | None:
        """Rows that go through the base together; `None` for all."""
        size = None if self.chunk is None else self.chunk * len(images)
        # In training a batch norm reads all rows, and autograd keeps what pieces would let go.
        if images.device.type != "cpu" or torch.is_grad_enabled() or base.training:
            return size
        piece = max(_PIXELS_AT_ONCE // math.prod(images.shape[-2:]), 1)
        return piece if size is None else min(piece, size)

    def _orbits(self, images: torch.Tensor, shared: bool) -> Orbit:
        """Rows for the members that the method asks for, in an order that does not depend on which came in."""
        elements = self.method.select(self.action, images).elements
        shared = shared and not self.level.reads_maps
        if elements.shape[1] == 1:  # nothing to order, nothing to share
            return Orbit.start(elements, shared)
        with torch.no_grad():
            keys = self.action.keys(images)
        return Orbit.of_keys(elements, keys.gather(1, elements), shared)

    def _read_rows(
        self, base: Any, images: torch.Tensor, orbit: Orbit, frozen: Any, rows: slice
    ) -> tuple[Any, Any, Any]:
        """Features, feature maps and frozen features of some rows."""
        elements = orbit.element_of_row[rows]
        members = self.action.apply(elements, images[orbit.batch_of_row[rows]])
        maps = None
        if self.level.reads_maps:
            maps = self.cut.maps(base, members, **self.extras)
            features = self.cut.pool(base, maps)
            height, width = images.shape[-2:]
            action = self.cut.map_action(self.action.group, base, (height, width))
            maps = action.invert(elements, maps)
        else:
            features = self.cut.features(base, members, **self.extras)
        if frozen is None:
            return features, maps, None
        with torch.no_grad():  # the last, so that what is computed again for a backward pass ends before it
            return features, maps, self.cut.features(frozen, members, **self.extras)


@dataclass(frozen=True)
class Combination:
    """One output an orbit.

    Args:
        logits: `(B, C)`, or `None` where only features were asked for.
        features: `(B, F)` invariant features, at levels that have some.
        log_weights: `(B, K)` of the members, of methods that weigh them.
        decision: Which member was taken, of methods that take one.
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
    network: Callable[[torch.Tensor], torch.Tensor] | None = None,
    *,
    features_only: bool = False,
) -> Combination:
    r"""Combine the members of each orbit.

    $$ M_G(x) = \text{head}\Big(\text{combine}_g\; g^{-1} F(gx)\Big) $$

    Args:
        orbits: What the base said.
        head: What follows the features.
        method: How members are combined.
        level: What of them is combined.
        network: Features of orbits `(B, K, F)` to log weights `(B, K)`, for methods that weigh members.
        features_only: Whether to stop before the head; for levels that have features.

    Raises:
        ConfigurationError: For a method that weighs members, without a network.
    """
    orbit = orbits.orbit
    members = Members(orbits.features, head, orbits.maps)
    log_weights = _log_weights(orbits, method, network) if method.network_weights is not None else None
    narrow = level.values(members)
    # In half precision weights would not add up to 1.
    values = _wide(narrow)
    fold = method.combine.fold(orbit, TrivialAction(orbits.group, values.device), normalised=False)
    losses = None if method.loss is None else _losses(method.loss, members)
    fold.add(0, values, _of_rows(orbit, log_weights, values), losses=losses)
    combined = fold.result().to(narrow.dtype)
    features = level.features(combined, head)
    logits = None if features_only else level.logits(combined, head)
    return Combination(logits, features, log_weights, fold.decision())


def check_batch(images: object, name: str) -> None:
    """Refuse a batch of nothing, or what is no batch.

    Args:
        images: What was given.
        name: As which argument.

    Raises:
        ActionError: For anything but a tensor with numbers in it.
    """
    if not isinstance(images, torch.Tensor):
        raise ActionError(
            f"{name}= is a {type(images).__name__}, and the group acts on tensors: pass what a processor makes, with "
            "return_tensors='pt'."
        )
    if images.numel() == 0:
        raise ActionError(f"There are no images: {name} has the shape {tuple(images.shape)}. Pass one or more.")


def _log_weights(
    orbits: ImageOrbits, method: Method, network: Callable[[torch.Tensor], torch.Tensor] | None
) -> torch.Tensor:
    """Log weights of the members, `(B, K)`, whose mean is 1."""
    if network is None:
        raise ConfigurationError(
            f"method={method.name!r} weighs members by a network, and this model has none: config.method was changed "
            "after the model was made. Symmetrize the base anew: hf_equi.symmetrize(model.unwrap(), group, "
            f"method={method.name!r})."
        )
    return normalise_log_weights(network(orbits.by_member()))


def _wide(values: torch.Tensor) -> torch.Tensor:
    """In float32 at least."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _join(parts: tuple[Any, ...]) -> Any:
    """The rows of all chunks, or nothing."""
    return parts[0] if len(parts) == 1 or parts[0] is None else torch.cat(parts)


def _of_rows(orbit: Orbit, log_weights: torch.Tensor | None, values: torch.Tensor) -> torch.Tensor | None:
    """Log weights `(B, K)` of the rows, with the axes of all but the last of their values."""
    if log_weights is None:
        return None
    rows = log_weights[orbit.batch_of_row, orbit.slot_of_row].to(values.dtype)
    return rows.view(-1, *[1] * (values.dim() - 2))


def _losses(loss: ProxyLoss, members: Members) -> torch.Tensor:
    """What a choice goes by, `(R,)`."""
    scores = _wide(members.logits.detach())  # a choice in half precision is one between rounded losses
    link = members.head.link
    if not loss.of_logits:
        scores = link.log_probabilities(scores)
        scores = scores.flatten(1) if loss.of_absences else link.of_classes(scores)
    return loss.of_steps(scores)
