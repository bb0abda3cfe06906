"""Canonical-λ-equitune: a weighted mean over a finite set of members around the canonical one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hf_equi.canonicalization.learned_members import LearnedMembers
from hf_equi.symmetrizers import LambdaNetwork, Mean, Method, MethodText, NetworkWeights

__all__ = ["LearnedCanonicalLambda"]


class LearnedCanonicalLambda(Method):
    r"""Put the input in its canonical pose, run the base on a few motions of it, and average with weights.

    $$ M_G(x) = \frac{\sum_{θ \in Θ} λ(θh(x)^{-1}x)\; h(x)θ^{-1} M(θh(x)^{-1}x)}{\sum_{θ \in Θ} λ(θh(x)^{-1}x)},
    \qquad h(gx) = g\, h(x), \quad λ > 0 $$

    Θ is a finite set of elements, which need not be a subgroup, so the mean is defined for continuous groups too. For
    Θ = {e} this is canonicalization. For the whole of a finite group it is λ-equitune, whatever h is.

    Args:
        average: `"logits"` or `"probabilities"`, as in `Equitune`.
        theta: Θ: names or indices of elements; for continuous groups matrices, and in the plane angles (`"90°"`).
        canonicalizer_settings: As in `LearnedCanonical`.
        temperature: As in `LearnedMember`.
        relaxation: As in `LearnedMember`.
        prior_weight: As in `LearnedMember`.

    Raises:
        ConfigurationError: As in `LearnedMembers`.

    Cost: |Θ| base forwards, and the canonicalizer. Guarantee: that of `LearnedCanonical`.

    References:
        arXiv 2305.09900, §3.2, equations 5 and 6. As printed, equation 5 moves outputs back by h(x) instead of
        $h(x)θ^{-1}$. That is equivariant as well, but does not reproduce a base that is equivariant already: for
        equal weights and Θ = {e, θ} it gives the mean of M(x) and $h(x)θh(x)^{-1}M(x)$. For invariant outputs,
        equation 6, both forms agree. λ is positive here, as in `LambdaNetwork`.

    Example:
        >>> [type(part).__name__ for part in LearnedCanonicalLambda(theta=["0°", "90°"]).parts]
        ['LearnedMembers', 'NetworkWeights', 'Mean']
    """

    name = "canonical_lambda"
    text = MethodText(
        r"M_G(x) = \frac{\sum_{\theta \in \Theta} \lambda(\theta h(x)^{-1} x)\, h(x) \theta^{-1} "
        r"M(\theta h(x)^{-1} x)}{\sum_{\theta \in \Theta} \lambda(\theta h(x)^{-1} x)}, \qquad h(gx) = g\, h(x)",
        "A canonicalizer chooses one member of the orbit, the same whichever member was given. The base reads that "
        "member moved by each element of a set Θ. Its outputs are mapped back and averaged, with weights that a "
        "small network computes from each member's features.",
        ("kaba2023", "mondal2023"),
    )

    def __init__(
        self,
        average: str = "logits",
        theta: Any = None,
        canonicalizer_settings: Mapping[str, Any] | None = None,
        temperature: float = 1.0,
        relaxation: str = "straight_through",
        prior_weight: float = 100.0,
    ) -> None:
        select = LearnedMembers(theta, canonicalizer_settings, temperature, relaxation, prior_weight)
        super().__init__(select, NetworkWeights(LambdaNetwork), Mean(average))
