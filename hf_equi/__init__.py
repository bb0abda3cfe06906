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

from importlib import import_module

from hf_equi.auto_classes import places
from hf_equi.stubs import lazy_names, read_stub

__version__ = "0.1.1"  # here, as a copy in an archive has no metadata; pyproject.toml reads it
import_module("hf_equi._builtins")  # which registers what the library has


_MODELS = {name: place.package for place in places() for name in (place.config, *place.models.values())}
__all__, __getattr__, __dir__ = lazy_names(__name__, read_stub(__name__) | _MODELS)
__all__ += ["__version__"]
