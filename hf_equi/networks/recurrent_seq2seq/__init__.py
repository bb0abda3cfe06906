"""Recurrent encoder-decoders, plain and equivariant by construction."""

from __future__ import annotations

from hf_equi.networks.recurrent_seq2seq.configuration_group_recurrent_seq2seq import GroupRecurrentSeq2SeqConfig
from hf_equi.networks.recurrent_seq2seq.configuration_recurrent_seq2seq import RecurrentSeq2SeqConfig
from hf_equi.networks.recurrent_seq2seq.modeling_group_recurrent_seq2seq import GroupRecurrentSeq2Seq
from hf_equi.networks.recurrent_seq2seq.modeling_recurrent_seq2seq import RecurrentSeq2Seq

__all__ = ["GroupRecurrentSeq2Seq", "GroupRecurrentSeq2SeqConfig", "RecurrentSeq2Seq", "RecurrentSeq2SeqConfig"]
