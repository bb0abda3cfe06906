"""What a method that turns an orbit into one output has to say."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import nn

from hf_equi.symmetrizers.fold import Fold, OrbitFold

if TYPE_CHECKING:
    from hf_equi.actions import ColumnAction, TokenAction
    from hf_equi.symmetrizers.orbit import Orbit

__all__ = ["Draws", "Symmetrizer"]


class Symmetrizer(ABC):
    """One way to make a model equivariant: which members of an orbit it runs, and how it combines them.

    Letters: B batch, G group, T tokens, V vocabulary.
    """

    name: ClassVar[str]
    one_row: ClassVar[bool] = False
    """Whether it decodes one member of the orbit alone."""
    relaxable: ClassVar[bool] = False
    """Whether the method has a relaxed variant, in which general words keep the scores of the identity."""

    weighs_history: ClassVar[bool] = False
    """Whether members weigh by what they said of the tokens after the prompt."""

    searches: ClassVar[bool] = False
    """Whether texts come from a search over drafts, and not from the scores of a forward."""

    chooses: ClassVar[bool] = False
    """Whether one member of each orbit is taken, by a loss of what the model says of it."""

    takes_one: ClassVar[bool] = False
    """Whether what it takes is one member's, of a whole or of each class: then settings of a choice mean something."""

    weighs_members: ClassVar[bool] = False
    """Whether members weigh by what a network says of their features."""

    weighs_jointly: ClassVar[bool] = False
    """Whether the weight of a member depends on the features of all members, and not on its own alone."""

    takes_logits: bool = False
    """Whether scores may lack the normalisation of their row."""
    empty: float
    """The value of the running combination before the first member."""

    def draw(self, action: TokenAction, prompt: torch.Tensor, mask: torch.Tensor | None, draws: Draws) -> torch.Tensor:
        """The elements to decode a prompt with, `(B, K)`: by default the whole group.

        Args:
            action: The group on tokens.
            prompt: `(B, T)` token ids.
            mask: `(B, T)`, 0 where the prompt is padded; `None` for no padding.
            draws: Where a method that draws at random takes its numbers from.
        """
        order = torch.arange(action.group.order, device=prompt.device)
        return order.expand(len(prompt), -1)

    def score_elements(self, action: TokenAction, prompt: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """The elements to score a text with whose prompt is known, `(B, K)`; by default those of `draw`."""
        return self.draw(action, prompt, mask, Draws())

    def history_log_weights(self, taken: torch.Tensor) -> torch.Tensor | None:
        """Log weights of the members after what was read, `(R, T)`, or `None` for equal ones.

        Args:
            taken: `(R, T)` the log-probability that each row gave to the token it read at each place, 0 in the prompt.
        """
        return None

    def create_network(self, features: int, units: int, dropout: float) -> nn.Module | None:
        """A new network that weighs members, or `None` of a method without one.

        It maps features of whole orbits, `(B, K, features)`, to log weights, `(B, K)`.

        Args:
            features: Size of the features of a member.
            units: Of its hidden layers.
            dropout: Of its hidden layers, in training.
        """
        return None

    def fold(self, orbit: Orbit, action: ColumnAction, normalised: bool = True) -> Fold:
        """What takes the scores of the orbit's rows and gives the one output, renormalised or not."""
        return OrbitFold(orbit, action, self, normalised)

    @abstractmethod
    def accumulate(
        self, total: torch.Tensor | None, scores: torch.Tensor, log_weight: torch.Tensor | float
    ) -> torch.Tensor:
        """Add one member's log-probabilities to the running combination; `None` stands for one full of `empty`.

        The combination passed in belongs to the callee, which may write into it.
        """


class Draws:
    """A source of random group elements: the global generator of torch.

    `hf_equi.generation.CoupledDraws` draws the same elements for equal seeds and prompts instead.
    """

    def elements(self, action: TokenAction, prompt: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """One uniform element a prompt, `(B,)`."""
        return torch.randint(action.group.order, (len(prompt),)).to(prompt.device)
