"""The kinds of groups, so that a config can store any group and read it back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from hf_equi.errors import GroupError
from hf_equi.groups.base import Group

__all__ = ["TYPE", "group_kinds", "read_group", "register_group", "without_type"]

TYPE = "type"
"""The key of a stored group that names its kind."""
UNTAGGED = "demographic"
"""The kind of a stored group without a tag, as hf_equi 0.1 wrote demographic groups."""


class Storable(Protocol):
    """A class of groups that can read what its `to_dict` wrote."""

    def from_dict(self, content: Mapping[str, Any], /) -> Group:
        """Return the group that `to_dict` described; raise `GroupError` if there is none."""


_KINDS: dict[str, Storable] = {}


def register_group(kind: str, group_class: Storable) -> None:
    """Make a kind of groups known, so that configs can store it.

    Args:
        kind: The `"type"` in `to_dict` of its groups.
        group_class: The class, with a class method `from_dict`.

    Raises:
        GroupError: If another class has this kind, or the kind is not a lower-case identifier.

    Example:
        >>> from hf_equi.groups import FiniteGroup
        >>> read_group(FiniteGroup.cyclic(3).to_dict()).order
        3
    """
    if not kind.isidentifier() or kind != kind.lower():
        raise GroupError(f"{kind!r} cannot name a kind of groups: use lower-case letters, digits and underscores.")
    if _KINDS.get(kind, group_class) is not group_class:
        raise GroupError(f"The kind {kind!r} of groups is already {_KINDS[kind]!r}: choose another name.")
    _KINDS[kind] = group_class


def group_kinds() -> tuple[str, ...]:
    """Return the kinds that can be read, in alphabetical order."""
    return tuple(sorted(_KINDS))


def read_group(content: Mapping[str, Any]) -> Any:
    """Return the group that a `to_dict` described.

    A description without `"type"` is that of a `DemographicGroup`.

    Raises:
        GroupError: For an unknown kind (the message lists the known ones), or if the content is not that of a group.
    """
    if not isinstance(content, Mapping):
        raise GroupError(f"A group is described by a dictionary; received {content!r}.")
    kind = content.get(TYPE, UNTAGGED)
    if kind not in group_kinds():
        raise GroupError(
            f"No kind {kind!r} of groups: the kinds are {', '.join(map(repr, group_kinds()))}. Import the package "
            "that defines it and registers it with hf_equi.groups.register_group."
        )
    return _KINDS[kind].from_dict(content)


def without_type(content: object, kind: str, what: str) -> dict[str, Any]:
    """Return a description without its tag.

    Args:
        content: The stored description.
        kind: The kind that it must have.
        what: How such a group is described, for the message.

    Raises:
        GroupError: If it is not a dictionary, or has another kind.
    """
    if not isinstance(content, Mapping) or content.get(TYPE, UNTAGGED) != kind:
        raise GroupError(f"{what}; received {content!r}.")
    return {key: value for key, value in content.items() if key != TYPE}
