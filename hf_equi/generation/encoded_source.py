"""The encoder's output for the orbits of the sources of a sequence-to-sequence model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput
from transformers.utils import ModelOutput

from hf_equi.actions import TokenAction
from hf_equi.bases.chunks import in_chunks, shares_rows
from hf_equi.errors import ConfigurationError
from hf_equi.symmetrizers import Orbit

__all__ = ["EncodedSource", "OrbitEncoderOutput", "encode_orbit"]


@dataclass
class OrbitEncoderOutput(ModelOutput):
    """The orbits of B encoded sources. Every entry has the batch first, so that beam search can repeat it.

    Args:
        last_hidden_state: `(B, K, length, width)` the hidden states of each member.
        encoder_state: `(B, K, ...)` what else an encoder passes to its decoder, or `None`.
        elements: `(B, K)` the group elements of the members.
        rank: `(B, K)` which members are equal, as in `hf_equi.symmetrizers.Orbit`.
        log_weights: `(B, K)` log weights of the members, or `None` for equal weights.
        penalty: `(B,)` what the selection of these members adds to the loss, or `None`.
        source_ids: `(B, length)` the tokens that were encoded, in the user's frame.
    """

    last_hidden_state: torch.Tensor | None = None
    encoder_state: torch.Tensor | None = None
    elements: torch.Tensor | None = None
    rank: torch.Tensor | None = None
    log_weights: torch.Tensor | None = None
    penalty: torch.Tensor | None = None
    source_ids: torch.Tensor | None = None


@dataclass(frozen=True)
class EncodedSource:
    """Encoded orbits and the mask of their sources.

    Args:
        encoded: The encoder's output.
        mask: `(B, length)`, 0 where the source is padded, or `None`.
    """

    encoded: OrbitEncoderOutput
    mask: torch.Tensor | None = None

    @property
    def elements(self) -> torch.Tensor:
        """The group elements of the members, `(B, K)`."""
        return _entry(self.encoded, "elements")

    def start(self, shared: bool = True) -> Orbit:
        """Return the orbits before the first target token."""
        if not shared:
            return Orbit.start(self.elements, shared=False)
        return Orbit(self.elements, _entry(self.encoded, "rank"))

    def rows(self, batch: torch.Tensor, slots: torch.Tensor) -> dict[str, Any]:
        """Return the arguments of the base's decoder for some rows, given as `(R,)` texts and members."""
        hidden, state, mask = _entry(self.encoded, "last_hidden_state"), self.encoded.encoder_state, self.mask
        # One row for each text, in order: nothing to copy.
        if self.elements.shape[1] == 1 and batch.shape[0] == hidden.shape[0]:
            hidden, state = hidden[:, 0], None if state is None else state[:, 0]
        else:
            hidden, state = hidden[batch, slots], None if state is None else state[batch, slots]
            mask = None if mask is None else mask[batch]
        outputs = BaseModelOutput(hidden) if state is None else OrbitEncoderOutput(hidden, state)
        rows: dict[str, Any] = {"encoder_outputs": outputs}
        return rows if mask is None else {**rows, "attention_mask": mask}

    def log_weights(self, batch: torch.Tensor, slots: torch.Tensor, places: int | None = None) -> torch.Tensor | None:
        """Return log weights of some rows, `(R,)` or `(R, places)`; `None` for equal weights."""
        if self.encoded.log_weights is None:
            return None
        weights = self.encoded.log_weights[batch, slots]
        return weights if places is None else weights.unsqueeze(-1).expand(-1, places)


def encode_orbit(
    base: PreTrainedModel,
    action: TokenAction,
    elements: torch.Tensor,
    input_ids: torch.Tensor,
    mask: torch.Tensor | None,
    chunk: int | None = None,
) -> OrbitEncoderOutput:
    """Run the base's encoder once for each distinct member of each source's orbit.

    Args:
        base: The base model.
        action: The group on source tokens.
        elements: `(B, K)` the members to run.
        input_ids: `(B, length)`.
        mask: `(B, length)`, 0 at padding, or `None`.
        chunk: The members of each orbit that go through the encoder at once; `None` for all.

    Cost: one encoder forward on at most |G| rows for each source; one row if nothing moves.
    """
    members = action.members(elements, input_ids)
    orbit = Orbit.start(elements, shares_rows(base, chunk)).after(members)
    tokens = members[orbit.batch_of_row, orbit.slot_of_row]  # (R, length)
    size = None if chunk is None else input_ids.shape[0] * chunk
    encoder = base.get_encoder()

    def encode(part: slice) -> Any:
        rows = {"input_ids": tokens[part]}
        if mask is not None:
            rows["attention_mask"] = mask[orbit.batch_of_row[part]]
        return encoder(**rows, return_dict=True)

    slices = [encoded for _, encoded in in_chunks(base, orbit.rows, size, encode)]
    state = None
    if slices[0].get("encoder_state") is not None:
        state = torch.cat([part["encoder_state"] for part in slices])[orbit.row_of]
    hidden = torch.cat([part["last_hidden_state"] for part in slices])
    return OrbitEncoderOutput(hidden[orbit.row_of], state, elements, orbit.rank, source_ids=input_ids)


def _entry(encoded: Any, name: str) -> torch.Tensor:
    """Return an entry that the base's own encoder would not have given."""
    value: torch.Tensor | None = getattr(encoded, name, None)
    if value is None:
        raise ConfigurationError(
            "encoder_outputs must come from this model's encoder, model.get_encoder(): they hold whole orbits"
        )
    return value
