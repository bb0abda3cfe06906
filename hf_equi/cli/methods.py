"""The methods that the command line audits, by the names that it has for them.

They are read without loading anything, so that `hf-equi --help` can list them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hf_equi.registration import method_names

__all__ = ["DEFAULT_METHODS", "METHODS", "AuditedMethod", "any_of", "audited_name", "method_name"]


@dataclass(frozen=True)
class AuditedMethod:
    """What is audited under a name.

    Args:
        method: The method of `hf_equi.symmetrize`; `None` for the base model alone.
        relaxed: Whether its group has neutral and general words.
        searches: Whether it searches, by a scorer.
        default: Whether it is audited unless methods are named.
    """

    method: str | None
    relaxed: bool = False
    searches: bool = False
    default: bool = True


_BASE = "identity"
"""The method that leaves the base as it is: audited as `base`."""

_NAMED = {
    "base": AuditedMethod(None),
    "EquiLM": AuditedMethod("equitune"),
    "R-EquiLM": AuditedMethod("equitune", relaxed=True),
    "EquizeroLM": AuditedMethod("equizero", searches=True),
    "R-EquizeroLM": AuditedMethod("equizero", relaxed=True, searches=True),
}

METHODS = _NAMED | {
    name: AuditedMethod(name, default=False)
    for name in method_names("causal_lm")
    if name not in {_BASE, *(audited.method for audited in _NAMED.values())}
}
"""What can be audited: as the papers name it, or else as `hf_equi.symmetrize` does."""

DEFAULT_METHODS = tuple(name for name, audited in METHODS.items() if audited.default)
"""What is audited unless methods are named."""


def audited_name(text: str) -> str:
    """The name in `METHODS` that somebody means, in whatever case; a method's name in `hf_equi.symmetrize` too.

    Example:
        >>> audited_name("r-equilm"), audited_name("equitune"), audited_name("magic")
        ('R-EquiLM', 'EquiLM', 'magic')
    """
    known = {audited.method: name for name, audited in METHODS.items() if audited.method and not audited.relaxed}
    known |= {name.casefold(): name for name in METHODS}
    return known.get(text.casefold(), text)


def method_name(text: str) -> str:
    """The name in `hf_equi.symmetrize` that somebody means: that of a model too, such as EquiLM.

    Example:
        >>> method_name("EquiLM"), method_name("Mixture"), method_name("magic")
        ('equitune', 'mixture', 'magic')
    """
    audited = METHODS.get(audited_name(text), AuditedMethod(None))
    return text.casefold() if audited.method is None or audited.relaxed else audited.method


def any_of(names: Sequence[str]) -> str:
    """Some names as a sentence has them: `a, b or c`."""
    return f"{', '.join(names[:-1])} or {names[-1]}"
