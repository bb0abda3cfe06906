"""The identity: the base model as it is."""

from __future__ import annotations

from hf_equi.symmetrizers.combine import Mean
from hf_equi.symmetrizers.method import Method, MethodText
from hf_equi.symmetrizers.select import IdentityMember
from hf_equi.symmetrizers.weigh import EqualWeights

__all__ = ["Identity"]


class Identity(Method):
    r"""Decode the prompt alone: nothing is symmetrised.

    $$ M_G(x) = M(x) $$

    It is what the other methods are compared with. The group still couples what is drawn: with a seed, texts of x and
    g x come from the same noise, so that they differ by what the model makes of them and not by chance.

    Cost: 1 base forward.

    Example:
        >>> import torch
        >>> from hf_equi.actions.tokens import TokenAction, TokenMap
        >>> from hf_equi.groups import DemographicGroup
        >>> action = TokenAction(DemographicGroup([["he", "she"]]), TokenMap(vocab_size=3, sets=(((1, 2),),)))
        >>> Identity().select(action, torch.tensor([[0, 1], [0, 2]])).elements
        tensor([[0],
                [0]])
    """

    name = "identity"
    text = MethodText(
        "M_G(x) = M(x)",
        "The base as it is, to compare with.",
        exact=False,
        claim="No symmetry is claimed: this is the base, to compare with.",
    )

    def __init__(self) -> None:
        super().__init__(IdentityMember(), EqualWeights(), Mean())
