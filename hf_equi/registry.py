"""Methods by task and name, so that a config stores a name and an error can list what there is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hf_equi.errors import ConfigurationError

__all__ = ["create_method", "method_names", "register_method"]

_METHODS: dict[tuple[str, str], Callable[..., Any]] = {}


def register_method(*, task: str, name: str, factory: Callable[..., Any]) -> None:
    """Make a method known to a task.

    Args:
        task: As in `symmetrize(task=...)`, for example `"causal_lm"`.
        name: As in `symmetrize(method=...)`.
        factory: Called with the method's settings, returns the method.

    Raises:
        ConfigurationError: If the name is taken, or is not a lower-case identifier.
    """
    if not name.isidentifier() or name != name.lower():
        raise ConfigurationError(f"{name!r} is no method name: use lower-case letters, digits and underscores")
    if (task, name) in _METHODS:
        raise ConfigurationError(f"The task {task!r} has a method {name!r} already: choose another name")
    _METHODS[task, name] = factory


def method_names(task: str) -> list[str]:
    """The methods of a task, sorted."""
    return sorted(name for known, name in _METHODS if known == task)


def create_method(task: str, name: str, **settings: Any) -> Any:
    """The method of a task.

    Raises:
        ConfigurationError: If the task has no such method; the message lists those it has.
    """
    if name not in method_names(task):  # a list, as what was given need not be hashable
        raise ConfigurationError(
            f"The task {task!r} has no method {name!r}: use one of {', '.join(map(repr, method_names(task)))}"
        )
    return _METHODS[task, name](**settings)
