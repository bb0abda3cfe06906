"""What a canonicalizer is, and how configs store one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import nn

from hf_equi.checks import check_choice
from hf_equi.errors import ConfigurationError
from hf_equi.symmetrizers import Asked

__all__ = [
    "DTYPE",
    "NOT_STORED",
    "TYPE",
    "Canonicalizer",
    "Pose",
    "Relaxation",
    "canonicalizer_kinds",
    "described_learns",
    "is_complete",
    "read_canonicalizer",
    "register_canonicalizer",
]

TYPE = "type"
"""The key of a stored canonicalizer that names its kind."""

DTYPE = "dtype"
"""The key of the dtype of its weights, for one that a model holds in another dtype than it makes new ones."""

NOT_STORED = (
    "A checkpoint stores its weights but not its code: pass the same canonicalizer again, "
    "from_pretrained(..., canonicalizer=...)"
)
"""What to do about a canonicalizer that a config cannot describe."""


@dataclass(frozen=True)
class Relaxation:
    """How the choice of an element passes gradients, for canonicalizers that score elements.

    Args:
        temperature: The temperature of the softmax.
        noise: Whether Gumbel noise is added to the scores in training.
    """

    temperature: float = 1.0
    noise: bool = False


@dataclass(frozen=True)
class Pose:
    """What a canonicalizer says of the poses of some inputs.

    Args:
        elements: h(x): `(B, K)` int64, or matrices `(B, K, n, n)`. K is 1 unless no single element can be told.
        prior: `(B,)` how far h(x) is from the identity.
        log_weights: `(B, K)` how much each of several elements counts, up to a constant; `None` for all alike.
        loss: `(B,)` a loss of the canonicalizer's own; `None` for none.
        shares: `(B, G)` a probability of each element, which passes gradients where the choice of one has none.
        said: What a model returns about them: `(B, ...)` each, by the name of the output.
    """

    elements: torch.Tensor
    prior: torch.Tensor
    log_weights: torch.Tensor | None = None
    loss: torch.Tensor | None = None
    shares: torch.Tensor | None = None
    said: Mapping[str, torch.Tensor] = field(default_factory=dict)


class Canonicalizer(nn.Module, ABC):
    r"""A module that says in which pose each input is: the base of all kinds.

    $$ h(gx) = g\, h(x) $$

    The base then reads $h(x)^{-1} x$, the canonical member of the orbit, which is the same for x and gx. Of a finite
    group the elements are scored (`FiniteCanonicalizer`); of a continuous one the element itself is computed
    (`ContinuousCanonicalizer`). With a `kind`, `to_dict` and `from_dict`, a config can store it: see
    `register_canonicalizer`.
    """

    kind: ClassVar[str | None] = None
    """The `"type"` under which configs store it; `None` if they cannot."""
    learns: bool = True
    """Whether it must be trained; until then its canonical pose means nothing."""
    own_loss: bool = False
    """Whether `find` gives a loss of its own, by which it can be trained without the prior."""
    limit: ClassVar[str | None] = None
    """What limits how it follows its inputs, for a card; `None` for nothing but rounding."""
    equivariant: bool = False
    """Whether the equation holds by construction, so that models need not check it."""
    group: Any

    @abstractmethod
    def find(self, asked: Asked, relaxation: Relaxation) -> Pose:
        """Find the pose of each input.

        Args:
            asked: The inputs, and the base that reads the canonical members.
            relaxation: How a choice passes gradients.

        Raises:
            ConfigurationError: If what was computed names no element.
        """

    @property
    def cost(self) -> str:
        """The cost of `find` in words, for a card: by default one pass of its own."""
        return "one pass of the canonicalizer"

    @property
    def base_forwards(self) -> int:
        """How often `find` runs the base for each input: by default as often as the canonicalizers that it asks."""
        return sum(part.base_forwards for part in self.children() if isinstance(part, Canonicalizer))

    def check_inputs(self, shape: tuple[int, ...]) -> None:
        """Refuse inputs that the canonicalizer could not read, before it reads any: by default none.

        Args:
            shape: The shape of one input, such as `(3, 224, 224)`.

        Raises:
            ConfigurationError: For such inputs.
        """
        for part in self.children():
            if isinstance(part, Canonicalizer):
                part.check_inputs(shape)

    def check_base(self, base_class: type, config: Any) -> None:
        """Refuse a base that the canonicalizer could not ask, before it has weights: by default none.

        Args:
            base_class: The class of the base, or of the model that wraps it.
            config: The config of the base.

        Raises:
            ConfigurationError: For such a base.
        """
        for part in self.children():
            if isinstance(part, Canonicalizer):
                part.check_base(base_class, config)

    def to_dict(self) -> dict[str, Any]:
        """Return a description in JSON, without weights."""
        return {TYPE: self.kind}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], group: Any, shape: tuple[int, ...] | None) -> Canonicalizer:
        """Return a canonicalizer as described, with new weights.

        Args:
            content: What `to_dict` returned.
            group: The group.
            shape: The shape of one input, such as `(3, 224, 224)`.

        Raises:
            ConfigurationError: If it cannot be made from its description.
        """
        raise ConfigurationError(f"A {cls.__name__} cannot be made from its description. {NOT_STORED}")


def is_complete(content: Mapping[str, Any]) -> bool:
    """Return whether a description is enough to make the canonicalizer again, without code from elsewhere.

    Example:
        >>> is_complete({"type": "model_energy", "model": "base"}), is_complete({"type": None})
        (True, False)
    """
    own = all(content.get(part, "") is not None for part in (TYPE, "network", "model"))
    return own and all(map(is_complete, _parts(content)))


_KINDS: dict[str, type[Canonicalizer]] = {}


def register_canonicalizer(kind: str, canonicalizer_class: type[Canonicalizer]) -> None:
    """Make a kind of canonicalizers known, so that configs can store it.

    Args:
        kind: The `"type"` in `to_dict` of its objects.
        canonicalizer_class: The class, with a class method `from_dict`.

    Raises:
        ConfigurationError: If another class has this kind, or the kind is not a lower-case identifier.
    """
    if not kind.isidentifier() or kind != kind.lower():
        raise ConfigurationError(
            f"{kind!r} cannot name a kind of canonicalizers: use lower-case letters, digits and underscores"
        )
    if _KINDS.get(kind, canonicalizer_class) is not canonicalizer_class:
        raise ConfigurationError(
            f"The kind {kind!r} of canonicalizers is already {_KINDS[kind].__name__}: choose another name"
        )
    _KINDS[kind] = canonicalizer_class


def described_learns(content: Mapping[str, Any]) -> bool:
    """Return whether a canonicalizer that a `to_dict` described must be trained; one that asks another, if that must.

    Example:
        >>> described_learns({"type": "circular_harmonic", "scorer": {"type": "model_energy"}})
        False
    """
    if parts := _parts(content):
        return any(map(described_learns, parts))
    kind = _KINDS.get(content[TYPE])
    return True if kind is None else kind.learns


def _parts(content: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the descriptions of the canonicalizers that a described one asks."""
    return [part for part in content.values() if isinstance(part, Mapping) and TYPE in part]


def canonicalizer_kinds() -> tuple[str, ...]:
    """Return the kinds that can be read, in alphabetical order."""
    return tuple(sorted(_KINDS))


def read_canonicalizer(content: Any, group: Any, shape: tuple[int, ...] | None = None) -> Canonicalizer:
    """Return the canonicalizer that a `to_dict` described, with new weights.

    Args:
        content: The description.
        group: The group.
        shape: The shape of one input, such as `(3, 224, 224)`.

    Raises:
        ConfigurationError: For an unknown kind (the message lists the known ones), and for a canonicalizer that a
            description cannot hold.
    """
    if not isinstance(content, Mapping) or TYPE not in content:
        raise ConfigurationError(f'A canonicalizer is described by {{"type": ...}}; received {content!r}')
    if content[TYPE] is None:
        raise ConfigurationError(f"The canonicalizer of this model is of a class of its own. {NOT_STORED}")
    check_choice("type", content[TYPE], canonicalizer_kinds(), " to canonicalizers")
    described = {name: value for name, value in content.items() if name != DTYPE}
    try:
        return _KINDS[content[TYPE]].from_dict(described, group, shape)
    except (TypeError, KeyError) as error:  # entries that the class does not know, or lacks
        raise ConfigurationError(f"A canonicalizer cannot be made of {dict(content)!r}: {error}") from error
