"""Proxy losses of equizero: how unsure a model is of what it says."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import ClassVar

import torch

from hf_equi.checks import check_choice

__all__ = [
    "LOSSES",
    "Entropy",
    "MaxProbability",
    "MaxSimilarity",
    "ProxyLoss",
    "PublishedEntropy",
    "PublishedLeastConfident",
    "PublishedMaxProbability",
    "create_loss",
]


class ProxyLoss(ABC):
    """A loss of what a model says of a sequence: the mean over its steps, the lower the surer.

    Letters: T steps, V classes.
    """

    name: ClassVar[str]
    adds_up: ClassVar[bool] = False
    """Whether steps are summed, and not averaged."""

    of_logits: ClassVar[bool] = False
    """Whether it reads logits as the base gives them, and not log-probabilities."""

    of_absences: ClassVar[bool] = False
    """Whether, where each class is there or not, it reads how probable its absence is as well."""

    @abstractmethod
    def of_steps(self, log_probabilities: torch.Tensor) -> torch.Tensor:
        """The loss of each step: `(..., V)` to `(...)`; where `of_logits`, of logits."""

    def reduce(self, steps: torch.Tensor, counted: torch.Tensor | None = None) -> torch.Tensor:
        """The loss of sequences from that of their steps: `(..., T)` to `(...)`.

        Args:
            steps: `(..., T)`.
            counted: `(..., T)` bool, the steps that count; all by default. A sequence without one has loss 0.
        """
        if counted is None:
            return steps.sum(-1) if self.adds_up else steps.mean(-1)
        total = steps.where(counted, 0.0).sum(-1)
        return total if self.adds_up else total / counted.sum(-1).clamp(min=1)

    def __call__(self, log_probabilities: torch.Tensor, counted: torch.Tensor | None = None) -> torch.Tensor:
        """The loss of sequences: `(..., T, V)` to `(...)`."""
        return self.reduce(self.of_steps(log_probabilities), counted)


class MaxProbability(ProxyLoss):
    r"""Minus the probability of the best class.

    $$ l = -\frac{1}{T} \sum_t \max_v p_t(v) $$

    Where each class is there or not (multi-label classification), that is the class that is surest to be there. Most
    are absent from most images, so being sure of absences would say little.

    Example:
        >>> MaxProbability()(torch.tensor([[0.5, 0.5], [0.25, 0.75]]).log())
        tensor(-0.6250)

    References:
        arXiv 2305.09900, §4.
    """

    name = "max_probability"

    def of_steps(self, log_probabilities: torch.Tensor) -> torch.Tensor:
        """Minus the largest probability."""
        return -log_probabilities.amax(-1).exp()


class PublishedMaxProbability(ProxyLoss):
    r"""What the authors' code computes instead of the mean of the largest probabilities, to compare with.

    $$ l = -\sum_t \Big(\max_v p_t(v) - \tfrac{1}{|V|}\Big) $$

    It averages over a fixed number of steps, of which those behind a text's end are uniform. But for a constant factor
    and a constant that is the sum above, so a text gains by being longer.

    Example:
        >>> PublishedMaxProbability()(torch.tensor([[0.5, 0.5], [0.25, 0.75]]).log())
        tensor(-0.2500)
    """

    name = "published_max_probability"
    adds_up = True

    def of_steps(self, log_probabilities: torch.Tensor) -> torch.Tensor:
        """How far the largest probability lies above that of a uniform guess, negative."""
        return 1 / log_probabilities.shape[-1] - log_probabilities.amax(-1).exp()


class Entropy(ProxyLoss):
    r"""The entropy, in nats.

    $$ l = -\frac{1}{T} \sum_t \sum_v p_t(v) \log p_t(v) $$

    Where each class is there or not (multi-label classification), that is the sum of their binary entropies.

    Example:
        >>> Entropy()(torch.tensor([[0.5, 0.5], [0.0, 1.0]]).log())
        tensor(0.3466)

    References:
        arXiv 2305.09900, §4.
    """

    name = "entropy"
    of_absences = True

    def of_steps(self, log_probabilities: torch.Tensor) -> torch.Tensor:
        """The entropy of each step."""
        entropies: torch.Tensor = torch.special.entr(log_probabilities.exp())
        return entropies.sum(-1)


class PublishedEntropy(ProxyLoss):
    r"""What the authors' code computes instead of the entropy, to compare with.

    $$ l = -\sum_t \sum_v \log p_t(v) \, \log_2 p_t(v) $$

    It takes log-probabilities for probabilities and adds the steps up, so its least value belongs to the sequence that
    rules out the most at the most steps: long ones are preferred.

    Example:
        >>> PublishedEntropy()(torch.tensor([[0.5, 0.5]]).log())
        tensor(-1.3863)
    """

    name = "published_entropy"
    adds_up = True

    def of_steps(self, log_probabilities: torch.Tensor) -> torch.Tensor:
        """The value of each step."""
        return -(log_probabilities * log_probabilities / torch.log(log_probabilities.new_tensor(2.0))).sum(-1)


class MaxSimilarity(ProxyLoss):
    r"""Minus the largest logit: of a model that compares images with texts, the best similarity, as it scales it.

    $$ l = -\frac{1}{T} \sum_t \max_v y_t(v) $$

    It reads logits y. Of log-probabilities it would be minus that of the best class, a choice as `MaxProbability`
    makes it and not by similarity: a normaliser differs from member to member, and says how all classes fare.

    Example:
        >>> MaxSimilarity()(torch.tensor([[25.0, 24.0], [21.0, 20.0]]))
        tensor(-23.)
    """

    name = "max_similarity"
    of_logits = True

    def of_steps(self, log_probabilities: torch.Tensor) -> torch.Tensor:
        """Minus the largest of what are logits here."""
        return -log_probabilities.amax(-1)


class PublishedLeastConfident(ProxyLoss):
    r"""What the authors' code for image classifiers minimises, to compare with.

    $$ l = \frac{1}{T} \sum_t \max_v p_t(v) $$

    It takes the argmin of the largest probability without the minus sign, so it chooses the member that the model is
    least sure of.

    Example:
        >>> PublishedLeastConfident()(torch.tensor([[0.5, 0.5], [0.25, 0.75]]).log())
        tensor(0.6250)
    """

    name = "published_least_confident"

    def of_steps(self, log_probabilities: torch.Tensor) -> torch.Tensor:
        """The largest probability."""
        return log_probabilities.amax(-1).exp()


_KINDS: tuple[type[ProxyLoss], ...] = (
    MaxProbability,
    Entropy,
    PublishedMaxProbability,
    PublishedEntropy,
    MaxSimilarity,
    PublishedLeastConfident,
)
LOSSES = {kind.name: kind for kind in _KINDS}
"""The losses by name."""


def create_loss(name: str, known: Collection[str] = tuple(LOSSES)) -> ProxyLoss:
    """The loss of that name.

    Args:
        name: As in `LOSSES`.
        known: The names that a task has a use for; all of them by default.

    Raises:
        ConfigurationError: If it is not one of them; the message lists those there are.
    """
    check_choice("loss", name, known)
    return LOSSES[name]()
