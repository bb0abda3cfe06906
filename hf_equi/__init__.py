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

__version__ = "0.1.1"  # here, as a copy in an archive has no metadata; pyproject.toml reads it
import_module("hf_equi._builtins")  # which registers what the library has


def _read_stub() -> dict[str, str]:
    """The module of each public name."""
    try:
        text = pkgutil.get_data(__name__, "__init__.pyi")  # which may be in an archive
    except OSError:
        text = None
    if text is None:  # a frozen application has the modules alone, unless it is told
        raise ImportError(
            "This copy of hf_equi lacks __init__.pyi, where its public names stand. Include the data files of the "
            "package, for example by pyinstaller --collect-data hf_equi"
        )
    stub = ast.parse(text)
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
    else:
        raise AttributeError(f"module 'hf_equi' has no attribute {name!r}; it has {', '.join(__all__)}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBMODULES})
