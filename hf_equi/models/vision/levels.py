"""The place in a vision model where an orbit becomes one output: features, feature maps, logits or probabilities."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch.nn.functional import logsigmoid

from hf_equi.checks import check_choice

__all__ = ["LEVELS", "LINKS", "Head", "Level", "Link", "Members", "create_level"]


class Link(ABC):
    """How logits become probabilities."""

    @abstractmethod
    def log_probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Return log-probabilities that can be averaged: `(..., C)` to `(..., C)` or `(..., C, 2)`."""

    @abstractmethod
    def logits(self, log_probabilities: torch.Tensor) -> torch.Tensor:
        """Return the logits of these log-probabilities, `(..., C)`."""

    def of_classes(self, log_probabilities: torch.Tensor) -> torch.Tensor:
        """Return the log-probabilities that the classes are present, `(..., C)`: here all of them."""
        return log_probabilities


class Softmax(Link):
    """One class of several.

    Example:
        >>> Softmax().log_probabilities(torch.zeros(1, 4)).exp()
        tensor([[0.2500, 0.2500, 0.2500, 0.2500]])
    """

    def log_probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """The log-softmax."""
        return logits.log_softmax(-1)

    def logits(self, log_probabilities: torch.Tensor) -> torch.Tensor:
        """The log-probabilities themselves."""
        return log_probabilities


class Sigmoid(Link):
    """Each class is present or absent.

    Example:
        >>> Sigmoid().log_probabilities(torch.zeros(1, 1)).exp()
        tensor([[[0.5000, 0.5000]]])
    """

    def log_probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Return the log-probabilities of each class and of its absence."""
        return torch.stack([logsigmoid(logits), logsigmoid(-logits)], dim=-1)

    def logits(self, log_probabilities: torch.Tensor) -> torch.Tensor:
        """Return the log-odds of each class."""
        return log_probabilities[..., 0] - log_probabilities[..., 1]

    def of_classes(self, log_probabilities: torch.Tensor) -> torch.Tensor:
        """Return the log-probability of each class, without its absence."""
        return log_probabilities[..., 0]


LINKS: dict[str, Link] = {"softmax": Softmax(), "sigmoid": Sigmoid()}
"""The links by name."""


@dataclass(frozen=True)
class Head:
    """What comes after the features in one call of a model.

    Args:
        logits: Turns features `(..., F)` into logits `(..., C)`.
        pool: Turns feature maps of rows into their features.
        link: How logits become probabilities.
    """

    logits: Callable[[torch.Tensor], torch.Tensor]
    pool: Callable[[torch.Tensor], torch.Tensor]
    link: Link


@dataclass(frozen=True)
class Members:
    """The outputs of a base for the rows of an orbit.

    Args:
        features: `(R, F)`.
        head: What comes after the features.
        maps: `(R, ...)` feature maps in the frame of the original image, at the spatial level.
    """

    features: torch.Tensor
    head: Head
    maps: torch.Tensor | None = None

    @cached_property
    def logits(self) -> torch.Tensor:
        """The logits of each row, `(R, C)`."""
        return self.head.logits(self.features)


class Level(ABC):
    """One place at which members are combined.

    Letters: B batch, R rows, F features, C classes or texts.
    """

    name: ClassVar[str]
    average: ClassVar[str] = "logits"
    """What `Equitune` averages: the values themselves, or probabilities in log space."""
    reads_maps: ClassVar[bool] = False
    """Whether feature maps are pulled back. Then members that are equal images do not have equal values."""
    has_features: ClassVar[bool] = False
    """Whether `features` returns invariant features."""

    @abstractmethod
    def values(self, members: Members) -> torch.Tensor:
        """Return the values to combine, `(R, ...)`."""

    @abstractmethod
    def logits(self, combined: torch.Tensor, head: Head) -> torch.Tensor:
        """Return the logits `(B, C)` of the combined values, `(B, ...)`."""

    def features(self, combined: torch.Tensor, head: Head) -> torch.Tensor | None:
        """Return the invariant features `(B, F)`, at levels that have them."""
        return None


class FeaturesLevel(Level):
    r"""The features before the head: $h\big(\sum_g w_g f(gx)\big)$."""

    name = "features"
    has_features = True

    def values(self, members: Members) -> torch.Tensor:
        """The features."""
        return members.features

    def logits(self, combined: torch.Tensor, head: Head) -> torch.Tensor:
        """Return the logits of the combined features."""
        return head.logits(combined)

    def features(self, combined: torch.Tensor, head: Head) -> torch.Tensor:
        """The combined features."""
        return combined


class SpatialLevel(Level):
    r"""Feature maps, pulled back before they are pooled: $h\big(\text{pool}(\sum_g w_g\, g^{-1} F(gx))\big)$.

    If pooling is a plain mean, this equals the features level.
    """

    name = "spatial"
    reads_maps = True
    has_features = True

    def values(self, members: Members) -> torch.Tensor:
        """Return the pulled back maps."""
        if members.maps is None:
            raise RuntimeError("no feature maps were read")
        return members.maps

    def logits(self, combined: torch.Tensor, head: Head) -> torch.Tensor:
        """Return the logits of the pooled maps."""
        return head.logits(head.pool(combined))

    def features(self, combined: torch.Tensor, head: Head) -> torch.Tensor:
        """The pooled maps."""
        return head.pool(combined)


class LogitsLevel(Level):
    r"""The logits: $\sum_g w_g h(f(gx))$. With a linear head this equals the features level."""

    name = "logits"

    def values(self, members: Members) -> torch.Tensor:
        """The logits."""
        return members.logits

    def logits(self, combined: torch.Tensor, head: Head) -> torch.Tensor:
        """The combined logits."""
        return combined


class ProbabilitiesLevel(Level):
    r"""The probabilities: $\log \sum_g w_g\, p(\cdot \mid gx)$, in log space."""

    name = "probabilities"
    average = "probabilities"

    def values(self, members: Members) -> torch.Tensor:
        """The log-probabilities."""
        return members.head.link.log_probabilities(members.logits)

    def logits(self, combined: torch.Tensor, head: Head) -> torch.Tensor:
        """Return the logits of the combined probabilities."""
        return head.link.logits(combined)


LEVELS: dict[str, Level] = {
    level.name: level for level in (FeaturesLevel(), LogitsLevel(), ProbabilitiesLevel(), SpatialLevel())
}
"""The levels by name."""


def create_level(name: str) -> Level:
    """Return the level of that name.

    Raises:
        ConfigurationError: If there is none; the message lists the known ones.
    """
    check_choice("level", name, LEVELS)
    return LEVELS[name]
