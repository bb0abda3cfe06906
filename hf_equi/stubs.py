"""Lazy packages: their public names are listed once, in `__init__.pyi`, and load on first use."""

from __future__ import annotations

import ast
import pkgutil
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import NamedTuple

__all__ = ["LazyNames", "lazy_names", "read_stub"]


class LazyNames(NamedTuple):
    """The module attributes of a package whose names load on first use.

    Args:
        listed: Its `__all__`.
        get: Its `__getattr__`.
        list_all: Its `__dir__`.
    """

    listed: list[str]
    get: Callable[[str], object]
    list_all: Callable[[], list[str]]


def read_stub(package: str) -> dict[str, str]:
    """Return the module that each public name of a package comes from; for a submodule this is the package.

    Raises:
        ImportError: If this copy of the library lacks its data files.
    """
    try:
        text = pkgutil.get_data(package, "__init__.pyi")  # the package may be in an archive
    except OSError:
        text = None
    if text is None:  # a frozen application has only the modules, unless told otherwise
        raise ImportError(
            f"This copy of {package} lacks __init__.pyi, which lists its public names. Include the data files of "
            "hf_equi, for example with pyinstaller --collect-data hf_equi"
        )
    imports = [node for node in ast.parse(text).body if isinstance(node, ast.ImportFrom)]
    return {alias.name: node.module or "" for node in imports for alias in node.names}


def lazy_names(package: str, module_of_name: Mapping[str, str]) -> LazyNames:
    """Make the names of a package load on first use.

    Args:
        package: Its name.
        module_of_name: The module of each name, as `read_stub` returns it.
    """
    submodules = {name for name, module in module_of_name.items() if module == package}
    listed, namespace = sorted(module_of_name.keys() - submodules), vars(sys.modules[package])

    def get(name: str) -> object:
        if name in submodules:
            value: object = import_module(f"{package}.{name}")
        elif name in module_of_name:
            value = getattr(import_module(module_of_name[name]), name)
        else:
            raise AttributeError(f"module {package!r} has no attribute {name!r}; it has {', '.join(listed)}")
        namespace[name] = value
        return value

    def list_all() -> list[str]:
        return sorted({*namespace, *module_of_name})

    return LazyNames(listed, get, list_all)
