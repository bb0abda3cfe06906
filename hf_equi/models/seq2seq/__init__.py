"""Sequence-to-sequence models made equivariant to a group that acts on source and target."""

from hf_equi.models.seq2seq.configuration_equi_seq2seq import EquiSeq2SeqConfig
from hf_equi.models.seq2seq.modeling_equi_seq2seq import EquiForSeq2SeqLM, EquiSeq2SeqLMOutput

__all__ = ["EquiForSeq2SeqLM", "EquiSeq2SeqConfig", "EquiSeq2SeqLMOutput"]
