"""The encoder of RecurrentSeq2Seq."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence
from transformers.utils import ModelOutput

from hf_equi.networks.recurrent_seq2seq.configuration_recurrent_seq2seq import RecurrentSeq2SeqConfig
from hf_equi.networks.recurrent_seq2seq.layers import LayerFactory, join, run_packed

__all__ = ["RecurrentEncoder", "RecurrentEncoderOutput"]


@dataclass
class RecurrentEncoderOutput(ModelOutput):
    """The encoder's output for B sentences.

    Args:
        last_hidden_state: `(B, length, width)` the state of each token, 0 at padding; the directions side by side.
        encoder_state: `(B, S, width)` the final state, with which the decoder starts.
    """

    last_hidden_state: torch.Tensor | None = None
    encoder_state: torch.Tensor | None = None


class RecurrentEncoder(nn.Module):
    """Embeddings and one recurrent layer, in one direction or both, over packed sequences.

    Args:
        config: Sizes and cell.
        layers: Makes the layers.
    """

    main_input_name = "input_ids"
    _gradient_checkpointing_func: Any
    gradient_checkpointing = False
    """Whether backward passes rerun the layer; transformers sets this, and the function that reruns it."""

    def __init__(self, config: RecurrentSeq2SeqConfig, layers: LayerFactory) -> None:
        super().__init__()
        self.cell, self.order = config.cell, layers.order
        self.embedding = layers.embedding("source", config.vocab_size, config.hidden_size)
        directions = 2 if config.bidirectional else 1
        self.directions = nn.ModuleList(
            layers.recurrent(config.cell, config.hidden_size, config.hidden_size) for _ in range(directions)
        )

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> RecurrentEncoderOutput | tuple[Any, ...]:
        """Encode sentences.

        Args:
            input_ids: `(B, length)` int64.
            attention_mask: `(B, length)`, 0 at padding, on either side.
            return_dict: `False` for a tuple.
            **kwargs: Other arguments of transformers encoders, without effect.
        """
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        # Packing needs the tokens in front; padding may be on either side.
        order = attention_mask.argsort(dim=1, descending=True, stable=True)
        lengths = attention_mask.sum(1).clamp(min=1).cpu()
        embedded = self.embedding(input_ids.gather(1, order))
        packed = pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
        weights = [weight for direction in self.directions for weight in direction()]
        run = run_packed
        if self.gradient_checkpointing and self.training:
            # Weights come in a list, and the reentrant kind of checkpointing sees no gradients in it.
            run = partial(self._gradient_checkpointing_func, run, use_reentrant=False)
        data, states = run(self.cell, packed.data, packed.batch_sizes, weights, len(self.directions))
        outputs, _ = pad_packed_sequence(
            PackedSequence(data, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices),
            batch_first=True,
            total_length=input_ids.shape[1],
        )
        outputs = torch.zeros_like(outputs).scatter(1, order.unsqueeze(-1).expand_as(outputs), outputs)
        outputs = join(outputs.chunk(len(self.directions), -1), self.order)
        if packed.unsorted_indices is not None:
            states = states[:, :, packed.unsorted_indices]
        state = join(states.unbind(1), self.order).transpose(0, 1)  # (B, S, width)
        result = RecurrentEncoderOutput(last_hidden_state=outputs, encoder_state=state)
        return result.to_tuple() if return_dict is False else result
