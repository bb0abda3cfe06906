"""The cache of a recurrent decoder: its hidden state."""

from __future__ import annotations

import torch
from transformers.cache_utils import Cache

from hf_equi.errors import UnsupportedModelError

__all__ = ["RecurrentCache"]


class RecurrentCache(Cache):
    """The hidden state of B sentences, as a cache that `generate` and beam search pass along.

    Args:
        state: `(B, S, H)`, the decoder's state: S is 2 for LSTM (hidden and cell), otherwise 1. `None` before the
            first token.

    Attributes:
        seen: The number of tokens that the state has read.

    Example:
        >>> cache = RecurrentCache(torch.tensor([[[1.0]], [[2.0]]]))
        >>> cache.reorder_cache(torch.tensor([1, 1]))
        >>> cache.state.flatten().tolist()
        [2.0, 2.0]
    """

    def __init__(self, state: torch.Tensor | None = None) -> None:
        super().__init__(layers=[])
        self.state = state
        self.seen = 0

    def advance(self, state: torch.Tensor, tokens: int) -> None:
        """Store the state after more tokens."""
        self.state = state
        self.seen += tokens

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Return the number of tokens that the state has read."""
        return self.seen

    @property
    def batch_size(self) -> int:
        """The number of sentences; 0 before the first token."""
        return 0 if self.state is None else len(self.state)

    @property
    def is_initialized(self) -> bool:
        """Whether any token has been read."""
        return self.state is not None

    @property
    def is_linear(self) -> list[bool]:
        """`[False]`: the state advances token by token, so `generate` feeds only the new tokens."""
        return [False]

    @property
    def is_croppable(self) -> bool:
        """`False`: a state does not remember earlier states."""
        return False

    def reorder_cache(self, beam_idx: torch.Tensor) -> None:
        """Take the sentences `beam_idx`, `(B,)`, in that order."""
        self.batch_select_indices(beam_idx)

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep some sentences."""
        if self.state is not None:
            self.state = self.state[indices.to(self.state.device)]

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Repeat each sentence."""
        if self.state is not None:
            self.state = self.state.repeat_interleave(repeats, dim=0)

    def crop(self, tokens_to_remove: int) -> None:
        """Refused, because a state does not remember earlier states.

        Raises:
            UnsupportedModelError: Always.
        """
        raise UnsupportedModelError(
            "The state of a recurrent decoder cannot forget tokens, so assisted generation and prompt lookup do not "
            "work with it. Generate without assistant_model= and prompt_lookup_num_tokens=."
        )

    def reset(self) -> None:
        """Forget all sentences."""
        self.state = None
        self.seen = 0
