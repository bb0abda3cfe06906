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
from typing import TYPE_CHECKING

from hf_equi import _registration

if TYPE_CHECKING:
    from importlib.metadata import version

    from hf_equi.actions import TokenAction, WordAction
    from hf_equi.auto import symmetrize
    from hf_equi.generation import EquiLogitsProcessor, EquizeroSearch, RegardScorer
    from hf_equi.groups import DemographicGroup, FiniteGroup
    from hf_equi.models.causal_lm import EquiLM, EquiLMConfig, EquizeroLM, EquizeroLMConfig

    __version__ = version("hf_equi")

__all__ = [
    "DemographicGroup",
    "EquiLM",
    "EquiLMConfig",
    "EquiLogitsProcessor",
    "EquizeroLM",
    "EquizeroLMConfig",
    "EquizeroSearch",
    "FiniteGroup",
    "RegardScorer",
    "TokenAction",
    "WordAction",
    "__version__",
    "symmetrize",
]

_MODULE_OF_NAME = {
    "DemographicGroup": "hf_equi.groups",
    "EquiLM": "hf_equi.models.causal_lm",
    "EquiLMConfig": "hf_equi.models.causal_lm",
    "EquiLogitsProcessor": "hf_equi.generation",
    "EquizeroLM": "hf_equi.models.causal_lm",
    "EquizeroLMConfig": "hf_equi.models.causal_lm",
    "EquizeroSearch": "hf_equi.generation",
    "FiniteGroup": "hf_equi.groups",
    "RegardScorer": "hf_equi.generation",
    "TokenAction": "hf_equi.actions",
    "WordAction": "hf_equi.actions",
    "symmetrize": "hf_equi.auto",
}
_SUBMODULES = frozenset(
    {"actions", "auto", "errors", "fairness", "generation", "groups", "hub", "models", "symmetrizers", "testing"}
)


def __getattr__(name: str) -> object:
    if name in _MODULE_OF_NAME:
        value = getattr(import_module(_MODULE_OF_NAME[name]), name)
    elif name in _SUBMODULES:
        value = import_module(f"hf_equi.{name}")
    elif name == "__version__":
        value = import_module("importlib.metadata").version("hf_equi")
    else:
        raise AttributeError(f"module 'hf_equi' has no attribute {name!r}; it has {', '.join(__all__)}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBMODULES})


_registration.install()
