"""Training of symmetrised models with the `Trainer` of transformers: phases, cached features, class texts, adapters.

```python
>>> from hf_equi.training import Phase
>>> phase = Phase("probe", trains="last_layers", learning_rate=1e-3, epochs=10)
>>> phase.arguments("runs").output_dir
'runs/probe'

```
"""

from hf_equi.training.adapters import adapter_config, load_adapter, save_adapter
from hf_equi.training.class_texts import ClassTexts, class_text_features
from hf_equi.training.feature_cache import cache_features
from hf_equi.training.parts import parameters_of
from hf_equi.training.phases import Phase
from hf_equi.training.recipes import corrected_phases, published_phases

__all__ = [
    "ClassTexts",
    "Phase",
    "adapter_config",
    "cache_features",
    "class_text_features",
    "corrected_phases",
    "load_adapter",
    "parameters_of",
    "published_phases",
    "save_adapter",
]
