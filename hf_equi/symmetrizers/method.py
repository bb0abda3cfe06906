"""A method: which members it selects, how it weighs them, and how it combines them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from hf_equi.errors import ConfigurationError
from hf_equi.symmetrizers.combine import Combine
from hf_equi.symmetrizers.select import IdentityMember, Select
from hf_equi.symmetrizers.weigh import FeatureWeights, HistoryWeights, Weigh

if TYPE_CHECKING:
    from torch import nn

    from hf_equi.symmetrizers.losses import ProxyLoss
    from hf_equi.symmetrizers.part import Part

__all__ = ["Method", "MethodText"]


@dataclass(frozen=True)
class MethodText:
    """The text about a method where it is published.

    Args:
        equation: The equation, in LaTeX.
        words: What it does, in a sentence.
        sources: The papers to cite besides those of the library itself: keys of the library's entries, or BibTeX.
        exact: Whether it is equivariant for every input.
        claim: The text that replaces a guarantee, for a method without one.
        limits: The limits of its texts.
    """

    equation: str
    words: str
    sources: tuple[str, ...] = ()
    exact: bool = True
    claim: str | None = None
    limits: tuple[str, ...] = ()


class Method:
    r"""One way to make a model equivariant, in three parts.

    $$ x \;\to\; \{gx\}_{g \in \text{select}(x)} \;\to\; \{g^{-1} M(gx)\} \;\to\; \text{combine}(\text{weigh}) $$

    What a method can do is decided by its parts.

    Args:
        select: Which members are asked for.
        weigh: How much each member counts.
        combine: How the members become one output.

    Example:
        >>> from hf_equi.symmetrizers import LambdaEquitune
        >>> method = LambdaEquitune()
        >>> type(method.select).__name__, type(method.weigh).__name__, type(method.combine).__name__
        ('WholeGroup', 'NetworkWeights', 'Mean')
    """

    name: ClassVar[str]
    text: ClassVar[MethodText]
    """The text about it in model cards."""

    def __init__(self, select: Select, weigh: Weigh, combine: Combine) -> None:
        self.select = select
        self.weigh = weigh
        self.combine = combine

    @property
    def parts(self) -> tuple[Part, Part, Part]:
        """The three."""
        return self.select, self.weigh, self.combine

    def with_networks(self, find: Callable[[str], nn.Module | None]) -> Self:
        """Return the same method, whose parts have the networks of a model.

        Args:
            find: Returns each network by the `network_name` of its part; `None` if there is none.

        Raises:
            ConfigurationError: If a part needs a network and gets none.
        """
        networks = [find(part.network_name) if part.has_network else None for part in self.parts]
        for part, network in zip(self.parts, networks, strict=True):
            if part.has_network and network is None:
                raise ConfigurationError(
                    f"With method={self.name!r}, {type(part).__name__} {part.role} members by a network, but this "
                    "model has none. Either config.method was changed after the model was made, or its task makes no "
                    "such network. Symmetrize the base again, with a method that the task runs: "
                    "hf_equi.symmetrize(model.unwrap(), group, method)."
                )
        held = copy.copy(self)
        held.select = self.select.with_network(networks[0])
        held.weigh = self.weigh.with_network(networks[1])
        held.combine = self.combine.with_network(networks[2])
        return held

    @property
    def loss(self) -> ProxyLoss | None:
        """The loss by which it takes one member of each orbit, if it takes one."""
        return self.combine.loss

    @property
    def selects_one(self) -> bool:
        """Whether it selects one member of each orbit, so that a text costs one row of the base."""
        return self.select.selects_one

    @property
    def takes_best(self) -> bool:
        """Whether it takes the best of the members, as a whole or for each class."""
        return self.combine.takes_best

    @property
    def searches(self) -> bool:
        """Whether its texts come from a search over drafts, and not from the scores of a forward."""
        return self.combine.searches

    @property
    def maps_texts_back(self) -> bool:
        """Whether its texts are those of members, mapped back. Then no scores are, and a group may act on words."""
        return self.searches or (self.selects_one and not isinstance(self.select, IdentityMember))

    @property
    def feature_weights(self) -> FeatureWeights | None:
        """The part that weighs members by their features, if it has one."""
        return self.weigh if isinstance(self.weigh, FeatureWeights) else None

    @property
    def history_weights(self) -> HistoryWeights | None:
        """The part that weighs members by their scores of the tokens after the prompt, if it has one."""
        return self.weigh if isinstance(self.weigh, HistoryWeights) else None

    @property
    def needs_training(self) -> bool:
        """Whether a part has a network, whose weights are random before it is trained."""
        return any(part.needs_training for part in self.parts)

    @property
    def relaxable(self) -> bool:
        """Whether general words can keep the scores of the identity: yes if all members are averaged alike."""
        return all(part.relaxable for part in self.parts)

    def refuse_untrained(self, advice: str) -> None:
        """Refuse a method with a network where nobody has trained it.

        Args:
            advice: What to do about it.

        Raises:
            ConfigurationError: If a part has a network.
        """
        if self.needs_training:
            raise ConfigurationError(
                f"The method {self.name!r} has a network that means nothing before it is trained: {advice}"
            )

    def check_parts(self, weigh: tuple[type[Weigh], ...], chooses: bool, what: str) -> None:
        """Refuse a method if the task would ignore one of its parts.

        Args:
            weigh: The kinds of weights that the task runs.
            chooses: Whether the task can take one member by a loss.
            what: A description of the task's models.

        Raises:
            ConfigurationError: For another kind of weights, or a choice.
        """
        if not isinstance(self.weigh, weigh):
            known = ", ".join(kind.__name__ for kind in weigh)
            raise ConfigurationError(
                f"The method {self.name!r} weighs members by {type(self.weigh).__name__}, which {what} do not "
                f"support. They support {known}."
            )
        if self.loss is not None and not chooses:
            raise ConfigurationError(
                f"The method {self.name!r} takes one member by a loss of its scores. It does not work for {what}, "
                "whose members are combined token by token."
            )
