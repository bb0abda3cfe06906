r"""From the law of units to that of tokens, which is what a model returns.

$$ P(t \mid x) =
   \frac{W_0 \sum_{u \text{ begins with } t} P_G(u \mid h) + \sum_{f_k = t} W_{f,k}}{W_0 + \sum W_{f,k}} $$

W₀ is the weight of the reading h of the text, in which all units are closed, and W the weight of a form of which k
tokens are read. Both follow from the text alone. Most texts have nothing open, and W₀ = 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch

from hf_equi.actions.units import UnitAction

__all__ = ["OpenForms", "TokenMarginal"]


@dataclass(frozen=True)
class OpenForms:
    """What is open at the end of a text in the user's frame.

    Args:
        closed: `()` the logarithm of W₀.
        forms: The logarithm of the weight of each form that is open, by the form's unit and the number k of its tokens
            that are read.
    """

    closed: torch.Tensor
    forms: dict[tuple[int, int], torch.Tensor] = field(default_factory=dict)

    @property
    def total(self) -> torch.Tensor:
        """The logarithm of the sum of all weights."""
        return torch.stack([self.closed, *self.forms.values()]).logsumexp(0)


class TokenMarginal:
    """The marginal of the law of units on tokens.

    Args:
        action: The group on units.
    """

    def __init__(self, action: UnitAction) -> None:
        self.action = action

    @cached_property
    def _first(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The tokens that begin forms, `(F,)`, and for each form the place of its own among them, `(C,)`."""
        firsts = torch.tensor([form[0] for form in self.action.forms], dtype=torch.long, device=self.action.device)
        tokens: torch.Tensor
        tokens, which = torch.unique(firsts, return_inverse=True)
        return tokens, which

    def of_closed(self, combined: torch.Tensor) -> torch.Tensor:
        """Return the law of the next token if nothing is open: `(..., U)` log-probabilities of units to `(..., V)`."""
        size = self.action.vocab_size
        columns, which = (each.to(combined.device) for each in self._first)
        tokens, forms = combined[..., :size], combined[..., size:]
        own = tokens.index_select(-1, columns)
        where = which.expand_as(forms)
        top = own.detach().scatter_reduce(-1, where, forms.detach(), "amax")
        top = top.masked_fill(top == -math.inf, 0.0)
        total = (own - top).exp().scatter_add(-1, where, (forms - top.gather(-1, where)).exp())
        # The logarithm of 0 is right, but its gradient is not a number.
        none = total == 0
        total = total.masked_fill(none, 1.0).log().masked_fill(none, -math.inf) + top
        return tokens.index_copy(-1, columns, total)

    def mixed(self, law: torch.Tensor, opened: OpenForms) -> torch.Tensor:
        """Return the law of the next token after one text, `(V,)`, from that of its closed reading."""
        if not opened.forms:
            return law
        tokens = torch.tensor([self._tokens(unit)[read] for unit, read in opened.forms], device=law.device)
        weights = torch.stack(list(opened.forms.values()))
        mixed = law + opened.closed
        for token in sorted({self._tokens(unit)[read] for unit, read in opened.forms}):
            here = torch.cat([mixed[token][None], weights[tokens == token]]).logsumexp(0)
            mixed = mixed.index_put((tokens.new_tensor(token),), here)
        return mixed - opened.total

    def after(self, opened: OpenForms, combined: torch.Tensor, token: int) -> OpenForms:
        """Return what is open after one more token.

        Args:
            opened: What is open before it.
            combined: `(U,)` the law of the unit after the closed reading.
            token: The token.
        """
        begun = self._begun(token)
        if not opened.forms and not begun:
            return opened
        closed, forms = [opened.closed + combined[token]], {}
        for (unit, read), weight in opened.forms.items():
            written = self._tokens(unit)
            if written[read] == token and read + 1 == len(written):
                closed.append(weight)
            elif written[read] == token:
                forms[unit, read + 1] = weight
        forms |= {(unit, 1): opened.closed + combined[unit] for unit in begun}
        return _scaled(torch.stack(closed).logsumexp(0), forms)

    def begin(self, token: int, closed: torch.Tensor, forms: dict[int, torch.Tensor]) -> OpenForms:
        """Return what is open after the first token of a text, weighed by the base itself.

        Args:
            token: The token.
            closed: `()` the log-probability that no form is completed over it.
            forms: For each form that begins with it, the log-probability of its other tokens.
        """
        return _scaled(closed, {(unit, 1): weight for unit, weight in forms.items()})

    def begun(self, token: int) -> Sequence[int]:
        """Return the forms that begin with a token, as units."""
        return self._begun(token)

    def _begun(self, token: int) -> list[int]:
        return self._by_first.get(token, [])

    @cached_property
    def _by_first(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for place, form in enumerate(self.action.forms):
            found.setdefault(form[0], []).append(self.action.vocab_size + place)
        return found

    def _tokens(self, unit: int) -> tuple[int, ...]:
        return self.action.forms[unit - self.action.vocab_size]


def _scaled(closed: torch.Tensor, forms: dict[tuple[int, int], torch.Tensor]) -> OpenForms:
    """Return weights that add up to 1; those of a text that the law leaves out are those of a closed one."""
    forms = {key: weight for key, weight in forms.items() if not weight.isneginf()}
    total = torch.stack([closed, *forms.values()]).logsumexp(0)
    if not forms or total.isneginf():
        return OpenForms(torch.zeros_like(closed), {})
    return OpenForms(closed - total, {key: weight - total for key, weight in forms.items()})
