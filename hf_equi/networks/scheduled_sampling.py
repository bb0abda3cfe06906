"""Training a decoder on its own tokens for some of the sentences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from hf_equi.bases.end_tokens import end_tokens
from hf_equi.errors import ConfigurationError

__all__ = ["COLLATE", "OWN_TOKENS", "ScheduledSampling"]

OWN_TOKENS = "config.teacher_forcing_ratio is below 1, so some sentences read their own tokens in training"
"""The reason why a loss of logits is not that of scheduled sampling."""
COLLATE = "DataCollatorForSeq2Seq(tokenizer, model=model) makes these inputs, also when the Trainer smooths labels."
"""The source of a target that did not come with labels."""


@dataclass(frozen=True)
class ScheduledSampling:
    """Which sentences of a batch read the target, and what they read.

    Args:
        inputs: `(B, T)` the target after the start token, with padding filled.
        labels: `(B, T)`, −100 where there is nothing to learn.
        forced: `(B,)` bool, the sentences that read the target; the others read their own best tokens.
        ends: The tokens that end a sentence.

    References:
        Bengio et al. 2015, "Scheduled sampling for sequence prediction with recurrent neural networks", with one coin
        for each sentence, as arXiv 2305.09900 trains.
    """

    inputs: torch.Tensor
    labels: torch.Tensor
    forced: torch.Tensor
    ends: tuple[int, ...]

    @classmethod
    def draw(
        cls, config: Any, labels: torch.Tensor, training: bool, inputs: torch.Tensor | None = None
    ) -> ScheduledSampling:
        """Toss a coin for each sentence, by the config's `teacher_forcing_ratio`; outside training all are forced.

        Args:
            config: A config with `teacher_forcing_ratio`, `decoder_start_token_id`, `pad_token_id`, `eos_token_id`.
            labels: `(B, T)`.
            training: Whether the model trains.
            inputs: `(B, T)` what forced sentences read; by default the labels after the start token.
        """
        forced = torch.ones(len(labels), dtype=torch.bool)
        if training and config.teacher_forcing_ratio < 1:
            forced = torch.rand(len(labels)) < config.teacher_forcing_ratio
        inputs = cls.shift(config, labels) if inputs is None else inputs
        return cls(inputs, labels, forced.to(labels.device), end_tokens(config.eos_token_id))

    @staticmethod
    def shift(config: Any, labels: torch.Tensor) -> torch.Tensor:
        """Return the labels after the start token, `(B, T)`.

        Raises:
            ConfigurationError: If the config names no start or padding token.
        """
        if config.decoder_start_token_id is None or config.pad_token_id is None:
            raise ConfigurationError(
                "Labels are read after decoder_start_token_id and padded with pad_token_id: set both"
            )
        start = labels.new_full((len(labels), 1), config.decoder_start_token_id)
        return torch.cat([start, labels[:, :-1]], 1).masked_fill(_right(labels), config.pad_token_id)

    def run(self, read: Callable[[torch.Tensor], torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Decode all places.

        Args:
            read: Reads one token of each sentence, `(B,)`, and scores the next, `(B, V)`.

        Returns:
            The scores `(B, T, V)`, and the labels without the places after an end that a sentence chose for itself.
        """
        tokens, scores, labels = self.inputs[:, 0], [], self.labels
        ended = torch.zeros_like(self.forced)
        lost = []
        for place in range(self.labels.shape[1]):
            scores.append(read(tokens))
            lost.append(ended)
            if place + 1 < self.labels.shape[1]:
                own = scores[-1].detach().argmax(-1)
                ended = ended | (~self.forced & _is_in(own, self.ends))
                tokens = torch.where(self.forced, self.inputs[:, place + 1], own)
        return torch.stack(scores, 1), labels.masked_fill(torch.stack(lost, 1), -100)


def _right(labels: torch.Tensor) -> torch.Tensor:
    """Return where shifted labels have nothing to read."""
    ignored = labels == -100
    return torch.cat([torch.zeros_like(ignored[:, :1]), ignored[:, :-1]], 1)


def _is_in(tokens: torch.Tensor, known: tuple[int, ...]) -> torch.Tensor:
    found = torch.zeros_like(tokens, dtype=torch.bool)
    for token in known:
        found |= tokens == token
    return found
