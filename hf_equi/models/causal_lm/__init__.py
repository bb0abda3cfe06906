"""EquiLM and EquizeroLM: causal language models that treat demographic groups alike."""

from hf_equi.models.causal_lm.configuration_equi_lm import EquiLMConfig
from hf_equi.models.causal_lm.configuration_equizero_lm import EquizeroLMConfig
from hf_equi.models.causal_lm.modeling_equi_lm import EquiCausalLMOutput, EquiLM
from hf_equi.models.causal_lm.modeling_equizero_lm import EquizeroLM

__all__ = ["EquiCausalLMOutput", "EquiLM", "EquiLMConfig", "EquizeroLM", "EquizeroLMConfig"]
