"""The tested releases of the packages that this library depends on, and a warning about all others."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement

from hf_equi.errors import HfEquiWarning

__all__ = ["untested", "warn_of_untested"]


def untested(requirements: Iterable[str] | None = None) -> dict[str, Requirement]:
    """Return the installed packages whose release is outside the tested range.

    Args:
        requirements: Names and ranges, such as `"torch>=2.6,<2.15"`; by default the dependencies of this package. The
            bounds in its metadata are the releases that its tests have passed with.

    Returns:
        The installed release of each such package, in words, and the requirement that it does not meet.

    Example:
        >>> list(untested(["packaging>=1000"]).values())
        [<Requirement('packaging>=1000')>]
        >>> untested(["packaging>=1", "a-package-that-is-not-installed>=1"])
        {}
    """
    found = {}
    for requirement in map(Requirement, _own() if requirements is None else requirements):
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:
            continue  # the import that needs it reports it
        if not requirement.specifier.contains(installed, prereleases=True):
            found[f"{requirement.name} {installed}"] = requirement
    return found


def warn_of_untested() -> None:
    """Warn in one line which installed releases were not tested, and which releases were.

    Warns:
        HfEquiWarning: If there are any. Nothing else changes.
    """
    if found := untested():
        tested = " ".join(f'"{requirement.name}{_range(requirement)}"' for requirement in found.values())
        # Name no place in a file: the first import is not the reader's code, and its source would be a second line.
        warnings.warn_explicit(
            f"hf_equi was not tested with {', '.join(found)}. If something fails, install releases that it was tested "
            f"with: pip install {tested}",
            HfEquiWarning,
            filename="hf_equi",
            lineno=0,
        )


def _range(requirement: Requirement) -> str:
    """Return the bounds, the lower one first."""
    return ",".join(sorted(map(str, requirement.specifier), reverse=True))


def _own() -> list[str]:
    try:
        return requires("hf_equi") or []
    except PackageNotFoundError:  # run from a folder, not installed
        return []
