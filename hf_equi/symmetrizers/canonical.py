"""Canonicalization: one element, chosen by a rule."""

from __future__ import annotations

from hf_equi.symmetrizers.combine import Mean
from hf_equi.symmetrizers.method import Method, MethodText
from hf_equi.symmetrizers.select import SmallestMember
from hf_equi.symmetrizers.weigh import EqualWeights

__all__ = ["Canonical"]


class Canonical(Method):
    r"""Decode the representative of the prompt's orbit and map the text back.

    $$ M_G(x) = k(x)^{-1} M(k(x) x) $$

    k(x) is the first element that takes the prompt to the smallest member of its orbit, compared token by token, or
    character by character on words.
    Components of g that fix the prompt are not symmetrised: the base model's decoding is used for a prompt that names
    no demographic.

    Cost: 1 base forward.

    Example:
        >>> import torch
        >>> from hf_equi.actions.token_maps import TokenMap
        >>> from hf_equi.actions.tokens import TokenAction
        >>> from hf_equi.groups import DemographicGroup
        >>> action = TokenAction(DemographicGroup([["he", "she"]]), TokenMap(vocab_size=3, sets=(((1, 2),),)))
        >>> Canonical().select(action, torch.tensor([[0, 1], [0, 2]])).elements
        tensor([[0],
                [1]])

    References:
        arXiv 2211.06489, with a fixed rule instead of the learned network.
    """

    name = "canonical"
    text = MethodText(
        r"M_G(x) = k(x)^{-1} M(k(x)\, x)",
        "The base reads one member of the orbit, the smallest, whichever member was given. Its output is mapped back.",
        ("kaba2023", "mondal2023"),
        exact=False,
    )

    def __init__(self) -> None:
        super().__init__(SmallestMember(), EqualWeights(), Mean())
