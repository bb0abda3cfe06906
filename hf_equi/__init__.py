"""Pretrained transformers models made equivariant to a finite group.

Public names load on first use, so that `import hf_equi` costs next to nothing. Importing it makes the Auto classes of
transformers know the model types of this library.

```python
>>> import hf_equi
>>> group = hf_equi.DemographicGroup(equality=[["man", "woman"], ["he", "she"]])
>>> group.order
2

```
"""

from __future__ import annotations

import ast
import pkgutil
from importlib import import_module

from hf_equi.auto_classes import places

import_module("hf_equi._builtins")  # which registers what the library has


def _read_stub() -> dict[str, str]:
    """The module of each public name."""
    stub = ast.parse(pkgutil.get_data(__name__, "__init__.pyi") or b"")  # which may be in an archive
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: node.module or "" for node in imports for alias in node.names}


_MODULE_OF_NAME = _read_stub() | {
    name: place.package for place in places() for name in (place.config, *place.models.values())
}
_SUBMODULES = {name for name, module in _MODULE_OF_NAME.items() if module == __name__}
__all__ = sorted({*_MODULE_OF_NAME, "__version__"} - _SUBMODULES)  # noqa: PLE0605  a list of names from elsewhere


def __getattr__(name: str) -> object:
    if name in _SUBMODULES:
        value: object = import_module(f"{__name__}.{name}")
    elif name in _MODULE_OF_NAME:
        value = getattr(import_module(_MODULE_OF_NAME[name]), name)
    elif name == "__version__":
        value = import_module("importlib.metadata").version("hf_equi")
    else:
        raise AttributeError(f"module 'hf_equi' has no attribute {name!r}; it has {', '.join(__all__)}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBMODULES})
