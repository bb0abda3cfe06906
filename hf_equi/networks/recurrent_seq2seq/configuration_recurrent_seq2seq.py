"""The configuration of RecurrentSeq2Seq."""

from __future__ import annotations

from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig

from hf_equi.bases.compat import CACHE
from hf_equi.checks import check_choice, check_count, check_share
from hf_equi.networks.recurrent_seq2seq.layers import ACTIVATIONS, CELLS

__all__ = ["RecurrentSeq2SeqConfig"]


@strict
class RecurrentSeq2SeqConfig(PreTrainedConfig):
    r"""Configuration of `RecurrentSeq2Seq`; the defaults are those of the papers.

    Args:
        vocab_size (`int`, *optional*, defaults to 32):
            The number of words of the source language.
        decoder_vocab_size (`int`, *optional*):
            The number of words of the target language; by default the same as for the source.
        cell (`str`, *optional*, defaults to `"lstm"`):
            `"rnn"`, `"gru"` or `"lstm"`.
        hidden_size (`int`, *optional*, defaults to 64):
            The encoder's units in each direction. The decoder has as many as both directions together.
        bidirectional (`bool`, *optional*, defaults to `True`):
            Whether the encoder reads the source in both directions.
        dropout (`float`, *optional*, defaults to 0.1):
            Dropout of the decoder's embeddings.
        activation (`str`, *optional*, defaults to `"relu"`):
            What the decoder applies to its input, the joined embedding and context: `"relu"`, or `"tanh"` as in the
            code of Gordon et al. for networks over a group.
        teacher_forcing_ratio (`float`, *optional*, defaults to 1.0):
            In training, the share of sentences whose decoder reads the target; the others read their own best tokens.

    Raises:
        ConfigurationError: For an unknown cell or activation, a ratio outside 0 to 1, or sizes below 1.

    References:
        arXiv 2305.09900, §5.1.3; Gordon et al. 2020, "Permutation equivariant models for compositional
        generalization in language".

    Example:
        >>> RecurrentSeq2SeqConfig(cell="gru", vocab_size=16).decoder_vocab_size
        16
    """

    model_type = "recurrent_seq2seq"
    keys_to_ignore_at_inference: ClassVar[list[str]] = [CACHE, "encoder_state"]

    vocab_size: int = 32
    decoder_vocab_size: int | None = None
    cell: str = "lstm"
    hidden_size: int = 64
    bidirectional: bool = True
    dropout: float = 0.1
    activation: str = "relu"
    teacher_forcing_ratio: float = 1.0
    is_encoder_decoder: bool = True
    use_cache: bool = True
    tie_word_embeddings: bool = False
    pad_token_id: int | None = 0
    bos_token_id: int | None = 1
    eos_token_id: int | list[int] | None = 2
    decoder_start_token_id: int | None = 1

    def __post_init__(self, **kwargs: Any) -> None:
        self.decoder_vocab_size = self.decoder_vocab_size or self.vocab_size
        super().__post_init__(**kwargs)  # type: ignore[no-untyped-call]
        check_choice("cell", self.cell, CELLS)
        check_choice("activation", self.activation, ACTIVATIONS)
        for name in ("vocab_size", "decoder_vocab_size", "hidden_size"):
            check_count(name, getattr(self, name), "size")
        for name in ("dropout", "teacher_forcing_ratio"):
            check_share(name, getattr(self, name))

    @property
    def encoder_width(self) -> int:
        """The number of features of each encoded token."""
        return self.decoder_size

    @property
    def decoder_size(self) -> int:
        """The decoder's units; for a network over a group, those of each element."""
        return self.hidden_size * (2 if self.bidirectional else 1)
