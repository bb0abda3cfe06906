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

    from hf_equi.actions import GridAction, PixelAction, TokenAction, TokenPairAction, WordAction
    from hf_equi.auto import symmetrize
    from hf_equi.generation import EquiLogitsProcessor, EquizeroSearch, RegardScorer
    from hf_equi.groups import DemographicGroup, FiniteGroup, ImageGroup
    from hf_equi.models.causal_lm import EquiLM, EquiLMConfig, EquizeroLM, EquizeroLMConfig
    from hf_equi.models.clip import EquiCLIPConfig, EquiCLIPModel, EquiSiglipConfig, EquiSiglipModel
    from hf_equi.models.image_classification import EquiForImageClassification, EquiImageClassificationConfig
    from hf_equi.models.seq2seq import EquiForSeq2SeqLM, EquiSeq2SeqConfig
    from hf_equi.networks.recurrent_seq2seq import (
        GroupRecurrentSeq2Seq,
        GroupRecurrentSeq2SeqConfig,
        RecurrentSeq2Seq,
        RecurrentSeq2SeqConfig,
    )

    __version__ = version("hf_equi")

__all__ = [
    "DemographicGroup",
    "EquiCLIPConfig",
    "EquiCLIPModel",
    "EquiForImageClassification",
    "EquiForSeq2SeqLM",
    "EquiImageClassificationConfig",
    "EquiLM",
    "EquiLMConfig",
    "EquiLogitsProcessor",
    "EquiSeq2SeqConfig",
    "EquiSiglipConfig",
    "EquiSiglipModel",
    "EquizeroLM",
    "EquizeroLMConfig",
    "EquizeroSearch",
    "FiniteGroup",
    "GridAction",
    "GroupRecurrentSeq2Seq",
    "GroupRecurrentSeq2SeqConfig",
    "ImageGroup",
    "PixelAction",
    "RecurrentSeq2Seq",
    "RecurrentSeq2SeqConfig",
    "RegardScorer",
    "TokenAction",
    "TokenPairAction",
    "WordAction",
    "__version__",
    "symmetrize",
]

_MODULE_OF_NAME = {
    "DemographicGroup": "hf_equi.groups",
    "EquiCLIPConfig": "hf_equi.models.clip",
    "EquiCLIPModel": "hf_equi.models.clip",
    "EquiForImageClassification": "hf_equi.models.image_classification",
    "EquiForSeq2SeqLM": "hf_equi.models.seq2seq",
    "EquiImageClassificationConfig": "hf_equi.models.image_classification",
    "EquiLM": "hf_equi.models.causal_lm",
    "EquiLMConfig": "hf_equi.models.causal_lm",
    "EquiLogitsProcessor": "hf_equi.generation",
    "EquiSeq2SeqConfig": "hf_equi.models.seq2seq",
    "EquiSiglipConfig": "hf_equi.models.clip",
    "EquiSiglipModel": "hf_equi.models.clip",
    "EquizeroLM": "hf_equi.models.causal_lm",
    "EquizeroLMConfig": "hf_equi.models.causal_lm",
    "EquizeroSearch": "hf_equi.generation",
    "FiniteGroup": "hf_equi.groups",
    "GridAction": "hf_equi.actions",
    "GroupRecurrentSeq2Seq": "hf_equi.networks.recurrent_seq2seq",
    "GroupRecurrentSeq2SeqConfig": "hf_equi.networks.recurrent_seq2seq",
    "ImageGroup": "hf_equi.groups",
    "PixelAction": "hf_equi.actions",
    "RecurrentSeq2Seq": "hf_equi.networks.recurrent_seq2seq",
    "RecurrentSeq2SeqConfig": "hf_equi.networks.recurrent_seq2seq",
    "RegardScorer": "hf_equi.generation",
    "TokenAction": "hf_equi.actions",
    "TokenPairAction": "hf_equi.actions",
    "WordAction": "hf_equi.actions",
    "symmetrize": "hf_equi.auto",
}
_SUBMODULES = frozenset(
    {
        "actions",
        "auto",
        "bases",
        "errors",
        "fairness",
        "generation",
        "groups",
        "hub",
        "models",
        "networks",
        "symmetrizers",
        "testing",
        "training",
    }
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
