"""The identity: the unchanged base model."""

from __future__ import annotations

from hf_equi.symmetrizers.combine import Mean
from hf_equi.symmetrizers.method import Method, MethodText
from hf_equi.symmetrizers.select import IdentityMember
from hf_equi.symmetrizers.weigh import EqualWeights

__all__ = ["Identity"]


class Identity(Method):
    r"""Read only the input itself: nothing is symmetrised.

    $$ M_G(x) = M(x) $$

    The other methods are compared with it. The group still couples samples: with a seed, texts of x and g x come from
    the same noise. So they differ because of the model, not by chance.

    Cost: 1 base forward.

    Example:
        >>> import torch
        >>> from hf_equi.actions.token_maps import TokenMap
        >>> from hf_equi.actions.tokens import TokenAction
        >>> from hf_equi.groups import DemographicGroup
        >>> action = TokenAction(DemographicGroup([["he", "she"]]), TokenMap(vocab_size=3, sets=(((1, 2),),)))
        >>> Identity().select(action, torch.tensor([[0, 1], [0, 2]])).elements
        tensor([[0],
                [0]])
    """

    name = "identity"
    text = MethodText(
        "M_G(x) = M(x)",
        "The unchanged base model, for comparison.",
        exact=False,
        claim="No symmetry is claimed: this is the base model, for comparison.",
    )

    def __init__(self) -> None:
        super().__init__(IdentityMember(), EqualWeights(), Mean())
