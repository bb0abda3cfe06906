"""The proxy losses of equizero: how unsure a model is of its output."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
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
    """A loss of a model's output for a sequence: the mean over its steps. The surer the model, the lower the loss.

    Letters: T steps, V classes.
    """

    name: ClassVar[str]
    adds_up: ClassVar[bool] = False
    """Whether steps are summed instead of averaged."""

    of_logits: ClassVar[bool] = False
    """Whether it reads logits from the base instead of log-probabilities."""

    of_absences: ClassVar[bool] = False
    """Whether, for classes that are each present or absent, it also reads the probability of absence."""

    of_best: Callable[[torch.Tensor], torch.Tensor] | None = None
    """The loss of a step as a falling function of its largest log-probability, or logit if `of_logits` is set, if it
    depends on nothing else."""

    @abstractmethod
    def of_steps(self, log_probabilities: torch.Tensor) -> torch.Tensor:
        """Return the loss of each step: `(..., V)` to `(...)`; of logits if `of_logits` is set."""

    def reduce(self, steps: torch.Tensor, counted: torch.Tensor | None = None) -> torch.Tensor:
        """Return the loss of sequences from the losses of their steps: `(..., T)` to `(...)`.

        Args:
            steps: `(..., T)`.
            counted: `(..., T)` bool, the steps that count; by default all. A sequence with no counted step has loss 0.
        """
        if counted is None:
            return steps.sum(-1) if self.adds_up else steps.mean(-1)
        total = steps.where(counted, 0.0).sum(-1)
        return total if self.adds_up else total / counted.sum(-1).clamp(min=1)

    def __call__(self, log_probabilities: torch.Tensor, counted: torch.Tensor | None = None) -> torch.Tensor:
        """Return the loss of sequences: `(..., T, V)` to `(...)`."""
        return self.reduce(self.of_steps(log_probabilities), counted)


class MaxProbability(ProxyLoss):
    r"""Minus the probability of the best class.

    $$ l = -\frac{1}{T} \sum_t \max_v p_t(v) $$

    If each class is present or absent (multi-label classification), this is the class most likely to be present. Most
    classes are absent from most images, so being sure of absences would say little.

    Example:
        >>> MaxProbability()(torch.tensor([[0.5, 0.5], [0.25, 0.75]]).log())
        tensor(-0.6250)

    References:
        arXiv 2305.09900, §4.
    """

    name = "max_probability"

    def of_steps(self, log_probabilities: torch.Tensor) -> torch.Tensor:
        """Return minus the largest probability."""
        return self.of_best(log_probabilities.amax(-1))

    @staticmethod
    def of_best(best: torch.Tensor) -> torch.Tensor:
        """Return minus the probability."""
        return -best.exp()


class PublishedMaxProbability(ProxyLoss):
    r"""What the authors' code computes instead of the mean of the largest probabilities, for comparison.

    $$ l = -\sum_t \Big(\max_v p_t(v) - \tfrac{1}{|V|}\Big) $$

    It averages over a fixed number of steps, and those after a text's end are uniform. Up to a constant factor and a
    constant, this is the sum above, so longer texts have an advantage.

    Example:
        >>> PublishedMaxProbability()(torch.tensor([[0.5, 0.5], [0.25, 0.75]]).log())
        tensor(-0.2500)
    """

    name = "published_max_probability"
    adds_up = True

    def of_steps(self, log_probabilities: torch.Tensor) -> torch.Tensor:
        """Return minus the amount by which the largest probability exceeds that of a uniform guess."""
        return 1 / log_probabilities.shape[-1] - log_probabilities.amax(-1).exp()


class Entropy(ProxyLoss):
    r"""The entropy, in nats.

    $$ l = -\frac{1}{T} \sum_t \sum_v p_t(v) \log p_t(v) $$

    If each class is present or absent (multi-label classification), this is the sum of their binary entropies.

    Example:
        >>> Entropy()(torch.tensor([[0.5, 0.5], [0.0, 1.0]]).log())
        tensor(0.3466)

    References:
        arXiv 2305.09900, §4.
    """

    name = "entropy"
    of_absences = True

    def of_steps(self, log_probabilities: torch.Tensor) -> torch.Tensor:
        """Return the entropy of each step."""
        entropies: torch.Tensor = torch.special.entr(log_probabilities.exp())
        return entropies.sum(-1)


class PublishedEntropy(ProxyLoss):
    r"""What the authors' code computes instead of the entropy, for comparison.

    $$ l = -\sum_t \sum_v \log p_t(v) \, \log_2 p_t(v) $$

    It takes log-probabilities for probabilities and adds up the steps. So the lowest value belongs to the sequence
    that rules out the most at the most steps, and long sequences are preferred.

    Example:
        >>> PublishedEntropy()(torch.tensor([[0.5, 0.5]]).log())
        tensor(-1.3863)
    """

    name = "published_entropy"
    adds_up = True

    def of_steps(self, log_probabilities: torch.Tensor) -> torch.Tensor:
        """Return the value of each step."""
        return -(log_probabilities * log_probabilities / torch.log(log_probabilities.new_tensor(2.0))).sum(-1)


class MaxSimilarity(ProxyLoss):
    r"""Minus the largest logit: for a model that compares images with texts, the best similarity, scaled by the model.

    $$ l = -\frac{1}{T} \sum_t \max_v y_t(v) $$

    It reads logits y. From log-probabilities it would choose as `MaxProbability` does, and not by similarity, because
    the normaliser differs from member to member and depends on all classes.

    Example:
        >>> MaxSimilarity()(torch.tensor([[25.0, 24.0], [21.0, 20.0]]))
        tensor(-23.)
    """

    name = "max_similarity"
    of_logits = True

    def of_steps(self, log_probabilities: torch.Tensor) -> torch.Tensor:
        """Return minus the largest value; the values are logits here."""
        return self.of_best(log_probabilities.amax(-1))

    @staticmethod
    def of_best(best: torch.Tensor) -> torch.Tensor:
        """Return minus the value."""
        return -best


class PublishedLeastConfident(ProxyLoss):
    r"""What the authors' code for image classifiers minimises, for comparison.

    $$ l = \frac{1}{T} \sum_t \max_v p_t(v) $$

    It takes the argmin of the largest probability without the minus sign, so it chooses the member of which the model
    is least sure.

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
    """Return the loss of that name.

    Args:
        name: A name in `LOSSES`.
        known: The names that a task can use; by default all.

    Raises:
        ConfigurationError: If it is not one of them; the message lists the known ones.
    """
    check_choice("loss", name, known)
    return LOSSES[name]()
