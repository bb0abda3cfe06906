"""Canonicalization by scores: choose a pose first, then run the base once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hf_equi.canonicalization.learned_member import LearnedMember
from hf_equi.symmetrizers import EqualWeights, Mean, Method, MethodText

__all__ = ["LearnedCanonical"]


class LearnedCanonical(Method):
    r"""Put the input in its canonical pose, run the base once, and move the output back.

    $$ M_G(x) = h(x)\, M\big(h(x)^{-1} x\big), \qquad h(gx) = g\, h(x) $$

    h comes from a `Canonicalizer` that the model holds. Texts have a fixed rule instead:
    `hf_equi.symmetrizers.Canonical`.

    Args:
        canonicalizer_settings: The description of the canonicalizer; by default a `GroupConvolution`.
        temperature: As in `LearnedMember`.
        relaxation: As in `LearnedMember`.
        prior_weight: As in `LearnedMember`.

    Raises:
        ConfigurationError: As in `LearnedMember`.

    Cost: 1 base forward, and the canonicalizer. Guarantee: exact unless the two best scores differ by less than
    rounding; the output holds their `margin`. For an input with a symmetry of its own, the output that moves back is
    determined up to that symmetry.

    References:
        arXiv 2211.06489; arXiv 2310.01647.

    Example:
        >>> type(LearnedCanonical().select).__name__
        'LearnedMember'
    """

    name = "canonical"
    text = MethodText(
        r"M_G(x) = h(x)\, M(h(x)^{-1} x), \qquad h(gx) = g\, h(x)",
        "A canonicalizer chooses one member of the orbit, the same whichever member was given. The base reads that "
        "member, and its output is mapped back.",
        ("kaba2023", "mondal2023"),
    )

    def __init__(
        self,
        canonicalizer_settings: Mapping[str, Any] | None = None,
        temperature: float = 1.0,
        relaxation: str = "straight_through",
        prior_weight: float = 100.0,
    ) -> None:
        select = LearnedMember(canonicalizer_settings, temperature, relaxation, prior_weight)
        super().__init__(select, EqualWeights(), Mean())
