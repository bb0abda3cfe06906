"""The effect of a group on English "her", the counterpart of both "him" and "his"."""

from __future__ import annotations

from collections.abc import Iterable

from hf_equi.groups.forms import FormRow

__all__ = ["pronoun_limit"]

# The figures are those of examples/pronouns.py; docs/guarantees.md has the table.
_WHERE = "with SmolLM2-135M-Instruct, in sentences that contain no listed word; on average the base prefers neither"
_PAGE = "docs/guarantees.md of hf_equi has the figures."
_BRIEF = {
    "his": '"his" and "her" change places, and "him" stays, so an EquiLM prefers "him" to "her" as an object.',
    "him": '"him" and "her" change places, and "his" stays, so an EquiLM prefers "his" to "her" as a possessive.',
    None: '"he" and "she" change places, and "his", "him" and "her" stay, so these do not follow the demographic.',
}
_MORE = {
    "his": (
        f'Possessives are treated alike. "him" is preferred by 0.3 to 3.2 nats {_WHERE}. The pair him/her treats '
        'objects alike and prefers "his" to "her" instead; with neither pair, these pronouns do not follow the '
        f"demographic. {_PAGE}"
    ),
    "him": (
        f'Objects are treated alike. "his" is preferred by 0.0 to 4.5 nats {_WHERE}. The pair his/her treats '
        'possessives alike and prefers "him" to "her" instead; with neither pair, these pronouns do not follow the '
        f"demographic. {_PAGE}"
    ),
    None: (
        '"her" can change places with one word only: the pair his/her treats possessives alike and prefers "him" to '
        '"her" as an object, him/her treats objects alike and prefers "his" to "her" as a possessive. ' + _PAGE
    ),
}


def pronoun_limit(forms: Iterable[FormRow], lost: Iterable[tuple[str, ...]] = (), brief: bool = False) -> str | None:
    """Say what a group that exchanges pronouns does to "his", "him" and "her"; `None` for other groups.

    Args:
        forms: The forms of the group.
        lost: Its sets that do not move.
        brief: Whether to leave out the figures, which are those of one model, and the alternatives.

    Example:
        >>> from hf_equi import DemographicGroup
        >>> pronoun_limit(DemographicGroup.preset("gender").forms())[:42]
        '"his" and "her" change places, and "him" s'
    """
    gone = set(lost)
    rows = {word: row.words for row in forms if row.source not in gone for word in row.words}
    if "her" in rows:
        partner = next((word for word in ("his", "him") if word in rows["her"]), None)
        found = partner is not None
    else:
        partner, found = None, "she" in rows.get("he", ())
    if not found:
        return None
    return _BRIEF[partner] if brief else f"{_BRIEF[partner]} {_MORE[partner]}"
