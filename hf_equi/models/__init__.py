"""Where the symmetrizers meet transformers: a folder for each task, and their registration with the Auto classes."""

from __future__ import annotations

__all__ = ["register"]


def register() -> None:
    """Make `AutoConfig` and the `AutoModelFor…` classes know every model type of this library.

    `import hf_equi` arranges for this to be called in time; calling it again changes nothing.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    from hf_equi.models.causal_lm import EquiLM, EquiLMConfig, EquizeroLM, EquizeroLMConfig

    for config, model in ((EquiLMConfig, EquiLM), (EquizeroLMConfig, EquizeroLM)):
        AutoConfig.register(config.model_type, config, exist_ok=True)
        AutoModelForCausalLM.register(config, model, exist_ok=True)
