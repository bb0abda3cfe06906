"""The effect of a group on English "her", the counterpart of both "him" and "his"."""

from __future__ import annotations

from collections.abc import Iterable

from hf_equi.groups.forms import FormRow

__all__ = ["pronoun_limit"]

# The figures are those of examples/pronouns.py; docs/guarantees.md has the table.
_WHERE = "with SmolLM2-135M-Instruct, in sentences that contain no listed word; on average the base prefers neither"
_PAGE = "docs/guarantees.md of hf_equi has the figures."
_LIMITS = {
    "his": (
        '"his" and "her" change places, and "him" stays. So possessives are treated alike, and an EquiLM prefers '
        f'"him" to "her" as an object: by 0.3 to 3.2 nats {_WHERE}. The pair him/her treats objects alike and prefers '
        f'"his" to "her" instead; with neither pair, these pronouns do not follow the demographic. {_PAGE}'
    ),
    "him": (
        '"him" and "her" change places, and "his" stays. So objects are treated alike, and an EquiLM prefers "his" to '
        f'"her" as a possessive: by 0.0 to 4.5 nats {_WHERE}. The pair his/her treats possessives alike and prefers '
        f'"him" to "her" instead; with neither pair, these pronouns do not follow the demographic. {_PAGE}'
    ),
    None: (
        '"he" and "she" change places, and "his", "him" and "her" stay, so these do not follow the demographic. A '
        'permutation sends "her" to one word: the pair his/her treats possessives alike and prefers "him" to "her" as '
        f'an object, him/her treats objects alike and prefers "his" to "her" as a possessive. {_PAGE}'
    ),
}


def pronoun_limit(forms: Iterable[FormRow], lost: Iterable[tuple[str, ...]] = ()) -> str | None:
    """Say what a group that exchanges pronouns does to "his", "him" and "her"; `None` for other groups.

    Args:
        forms: The forms of the group.
        lost: Its sets that do not move.

    Example:
        >>> from hf_equi import DemographicGroup
        >>> pronoun_limit(DemographicGroup.preset("gender").forms())[:42]
        '"his" and "her" change places, and "him" s'
    """
    gone = set(lost)
    rows = {word: row.words for row in forms if row.source not in gone for word in row.words}
    if "her" in rows:
        partner = next((word for word in ("his", "him") if word in rows["her"]), None)
        return None if partner is None else _LIMITS[partner]
    return _LIMITS[None] if "she" in rows.get("he", ()) else None
