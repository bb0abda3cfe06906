"""Pretrained transformers models made equivariant to a finite group.

Public names load on first use, so `import hf_equi` costs next to nothing. The import registers the model types of this
library with the Auto classes of transformers.

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

__version__ = "0.1.1"  # stands here because a copy in an archive has no metadata; pyproject.toml reads it
import_module("hf_equi._builtins")  # registers the library's own tasks and models


_MODELS = {name: place.package for place in places() for name in (place.config, *place.models.values())}
__all__, __getattr__, __dir__ = lazy_names(__name__, read_stub(__name__) | _MODELS)
__all__ += ["__version__"]
