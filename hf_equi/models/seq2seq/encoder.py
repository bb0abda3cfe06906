"""The encoder of a symmetrised model: orbits of sources, each member once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from hf_equi.errors import ConfigurationError
from hf_equi.generation.encoded_source import OrbitEncoderOutput, encode_orbit
from hf_equi.generation.padding import check_mask
from hf_equi.symmetrizers.weigh import normalise_log_weights

if TYPE_CHECKING:
    from hf_equi.actions import TokenPairAction
    from hf_equi.groups import DemographicGroup
    from hf_equi.models.text.model import EquiTextModel

__all__ = ["OrbitEncoder"]


class OrbitEncoder(nn.Module):
    """The encoder that `EquiForSeq2SeqLM.get_encoder` returns: the base's, run once for each distinct member.

    Args:
        model: The symmetrised model, which is not a part of this module.
    """

    main_input_name = "input_ids"

    def __init__(self, model: EquiTextModel) -> None:
        super().__init__()
        # Held in a tuple, so that the model does not become a submodule of its own submodule.
        self._model = (model,)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        group: DemographicGroup | TokenPairAction | None = None,
        elements: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> OrbitEncoderOutput:
        """Encode the orbits of sources.

        Args:
            input_ids: `(B, length)` int64, in the user's frame.
            attention_mask: `(B, length)`, 0 at padding.
            group: Another group, for this call only.
            elements: `(B,)` run only these elements.
            **kwargs: What `generate` passes to encoders; hidden states, attentions and other tensors are refused.

        Returns:
            Orbits with the batch first: hidden states `(B, K, length, width)`.

        Raises:
            ConfigurationError: If hidden states, attentions or inputs other than ids are passed or requested; for a
                mask without one number for each token.
        """
        (model,) = self._model
        check_mask(attention_mask, input_ids)
        model.checked_extras(kwargs)
        if unknown := sorted(name for name, value in kwargs.items() if isinstance(value, torch.Tensor)):
            raise ConfigurationError(f"{', '.join(unknown)}: the orbits of a source are made from input_ids only")
        action = model.resolve(group)
        if elements is None:
            selection = model.select_members(action.source, input_ids, attention_mask)
        else:
            selection = model.named_members(action.source, elements, input_ids)
        chosen, chunk = selection.elements, model.config.orbit_chunk_size
        encoded = encode_orbit(model.base, action.source, chosen, input_ids, attention_mask, chunk)
        encoded.penalty = selection.penalty
        weigh = model.method.feature_weights
        if weigh is not None and chosen.shape[1] > 1:
            features = _pool(encoded, input_ids.shape[1], attention_mask)
            encoded.log_weights = normalise_log_weights(weigh.log_weights(features))
        return encoded


def _pool(encoded: OrbitEncoderOutput, length: int, mask: torch.Tensor | None) -> torch.Tensor:
    """Return the mean of each member's hidden states, `(B, K, width)`."""
    states: Any = encoded.last_hidden_state  # peft's virtual tokens precede those of the source
    hidden = states[:, :, -length:]  # (B, K, length, width)
    weights = torch.ones_like(hidden[:, :1, :, :1]) if mask is None else mask[:, None, :, None].to(hidden.dtype)
    mean: torch.Tensor = (hidden * weights).sum(2) / weights.sum(2).clamp(min=1)
    return mean
