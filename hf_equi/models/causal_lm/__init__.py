"""EquiLM: causal language models that treat demographic groups alike."""

from hf_equi.models.causal_lm.configuration_equi_lm import EquiLMConfig
from hf_equi.models.causal_lm.modeling_equi_lm import EquiCausalLMOutput, EquiLM

__all__ = ["EquiCausalLMOutput", "EquiLM", "EquiLMConfig"]
