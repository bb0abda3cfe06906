"""Recurrent encoder-decoders with attention, as transformers models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.utils import ModelOutput

from hf_equi.bases.compat import CachedOutput, accepts_cache, cached
from hf_equi.bases.decoding import AnyReleaseGenerationMixin
from hf_equi.bases.loading import SafeLoadingMixin
from hf_equi.errors import ConfigurationError
from hf_equi.networks.recurrent_seq2seq.configuration_recurrent_seq2seq import RecurrentSeq2SeqConfig
from hf_equi.networks.recurrent_seq2seq.decoder import RecurrentDecoder
from hf_equi.networks.recurrent_seq2seq.encoder import RecurrentEncoder, RecurrentEncoderOutput
from hf_equi.networks.recurrent_seq2seq.layers import LayerFactory, PlainLayers
from hf_equi.networks.recurrent_seq2seq.recurrent_cache import RecurrentCache
from hf_equi.networks.scheduled_sampling import COLLATE, OWN_TOKENS, ScheduledSampling
from hf_equi.symmetrizers.outside_loss import check_outside_loss

__all__ = ["RecurrentSeq2Seq", "RecurrentSeq2SeqOutput"]


@dataclass
class RecurrentSeq2SeqOutput(CachedOutput):
    """The output of `RecurrentSeq2Seq`.

    Args:
        loss: `()` cross-entropy in nats per token, with `labels`.
        logits: `(B, T, V)` scores of each next token.
        cache: The decoder's state, with `use_cache`; also available under its older name.
        encoder_last_hidden_state: `(B, length, width)`.
        encoder_state: `(B, S, width)`, the state that the decoder starts with.
    """

    encoder_last_hidden_state: torch.Tensor | None = None
    encoder_state: torch.Tensor | None = None


class RecurrentSeq2Seq(SafeLoadingMixin, PreTrainedModel, AnyReleaseGenerationMixin):
    r"""A recurrent encoder-decoder with attention: RNN, GRU or LSTM, one hidden layer, a bidirectional encoder.

    These are the networks of the compositional generalisation experiments. Sentences of any length run in one batch.
    The decoder's hidden state is passed along as the cache, so `generate` decodes in all its ways, except with
    assistants, which would have to take tokens back.

    Args:
        config: The model's configuration.

    Letters: B sentences, T target tokens, S parts of a state, V target vocabulary.

    References:
        arXiv 2305.09900, §5.1.3; Gordon et al. 2020, "Permutation equivariant models for compositional
        generalization in language".

    Example:
        >>> model = RecurrentSeq2Seq(RecurrentSeq2SeqConfig(vocab_size=8, hidden_size=4)).eval()
        >>> model(torch.tensor([[3, 4]]), decoder_input_ids=torch.tensor([[1, 5, 6]])).logits.shape
        torch.Size([1, 3, 8])
    """

    config_class = RecurrentSeq2SeqConfig
    base_model_prefix = "model"
    main_input_name = "input_ids"
    supports_gradient_checkpointing = True
    _is_stateful = True  # a state cannot forget tokens, so `generate` refuses assistants

    def __init__(self, config: RecurrentSeq2SeqConfig) -> None:
        super().__init__(config)
        layers = self._create_layers()
        self.encoder = RecurrentEncoder(config, layers)
        self.decoder = RecurrentDecoder(config, layers)
        self.post_init()  # type: ignore[no-untyped-call]

    def _create_layers(self) -> LayerFactory:
        """Return the object that makes the layers."""
        return PlainLayers()

    @accepts_cache()
    def forward(  # noqa: PLR0913, PLR0917  the signature that transformers expects
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        decoder_input_ids: torch.Tensor | None = None,
        decoder_attention_mask: torch.Tensor | None = None,
        encoder_outputs: Any = None,
        cache: RecurrentCache | None = None,
        labels: torch.Tensor | None = None,
        use_cache: bool | None = None,
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> RecurrentSeq2SeqOutput | tuple[Any, ...]:
        """Score target sentences.

        Args:
            input_ids: `(B, length)` int64 source tokens.
            attention_mask: `(B, length)`, 0 where the source is padded, on either side.
            decoder_input_ids: `(B, T)` target tokens read so far; by default the labels, shifted.
            decoder_attention_mask: `(B, past + T)`, 0 at padding, which leaves the state unchanged.
            encoder_outputs: The output of the encoder, instead of `input_ids`.
            cache: The state after the earlier tokens.
            labels: `(B, T)`; −100 is left out of the loss. In training, `config.teacher_forcing_ratio` of the
                sentences read the labels and the others their own best tokens. The loss of the latter ends at the
                end-of-sequence token that they choose.
            use_cache: Whether to return the state.
            return_dict: `False` for a tuple.
            **kwargs: `num_items_in_batch` goes to the loss.

        Raises:
            ConfigurationError: Without a source or target tokens; if a loss computed outside would be another one.
        """
        items = self._count(labels, kwargs.get("num_items_in_batch"))
        if encoder_outputs is None:
            if input_ids is None:
                raise ConfigurationError("RecurrentSeq2Seq needs input_ids or encoder_outputs")
            encoder_outputs = self.encoder(input_ids, attention_mask)
        encoded = _read_encoder(encoder_outputs)
        cache = RecurrentCache() if cache is None else cache
        cell = _Steps(self.decoder, encoded, cache.state, attention_mask)
        # Collators that know the model shift the labels themselves. With a mask, the inputs are the caller's own.
        if labels is not None and (decoder_input_ids is None or self._draws(decoder_input_ids, labels)):
            sampling = ScheduledSampling.draw(self.config, labels, self.training)
            logits, labels = sampling.run(cell.read)
        elif decoder_input_ids is None:
            raise ConfigurationError(f"RecurrentSeq2Seq needs decoder_input_ids or labels. {COLLATE}")
        else:
            logits = cell.read_all(decoder_input_ids, decoder_attention_mask)
        loss = None if labels is None else _loss(logits, labels, items)
        keeps = self.config.use_cache if use_cache is None else use_cache
        if keeps:
            cache.advance(torch.stack(list(cell.states), 1), logits.shape[1])
        result = RecurrentSeq2SeqOutput(
            loss=loss,
            logits=logits,
            encoder_last_hidden_state=encoded.last_hidden_state,
            encoder_state=encoded.encoder_state,
            **cached(cache if keeps else None),
        )
        return result.to_tuple() if return_dict is False else result

    def _count(self, labels: torch.Tensor | None, items: torch.Tensor | int | None) -> torch.Tensor | int | None:
        """Return how many labels there are in all, if known; refuse a caller that would compute another loss."""
        check_outside_loss(labels, items, {OWN_TOKENS: self.training and self.config.teacher_forcing_ratio < 1})
        return items

    def _draws(self, inputs: torch.Tensor, labels: torch.Tensor) -> bool:
        """Return whether inputs are the shifted labels, and some sentences are to read their own tokens instead."""
        draws = self.training and self.config.teacher_forcing_ratio < 1
        return draws and torch.equal(inputs, self.prepare_decoder_input_ids_from_labels(labels))

    def prepare_decoder_input_ids_from_labels(self, labels: torch.Tensor) -> torch.Tensor:
        """Return the labels shifted to the right after the start token, as collators ask for them."""
        return ScheduledSampling.shift(self.config, labels)

    @accepts_cache()
    def prepare_inputs_for_generation(
        self,
        input_ids: torch.Tensor,
        next_sequence_length: int | None = None,
        cache: RecurrentCache | None = None,
        is_first_iteration: bool | None = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Return the new target tokens. A state needs no positions or masks, which others prepare at every step."""
        ids = input_ids if next_sequence_length is None else input_ids[:, -next_sequence_length:]
        kwargs.pop("labels", None)  # trainers leave them among the inputs
        return {"decoder_input_ids": ids, **cached(cache), **kwargs}

    def get_input_embeddings(self) -> nn.Module:
        """The source's."""
        return self.encoder.embedding

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Set the source's."""
        self.encoder.embedding = value

    def get_output_embeddings(self) -> nn.Module:
        """The layer that scores the target vocabulary."""
        return self.decoder.head

    def set_output_embeddings(self, new_embeddings: nn.Module) -> None:
        """Set it."""
        self.decoder.head = new_embeddings

    def resize_token_embeddings(self, *args: Any, **kwargs: Any) -> nn.Embedding:
        """Refused, because there are two vocabularies, each with its own words.

        Raises:
            ConfigurationError: Always.
        """
        raise ConfigurationError(
            f"RecurrentSeq2Seq has a source vocabulary of {self.config.vocab_size} words and a target vocabulary of "
            f"{self.config.decoder_vocab_size}: make a new one, RecurrentSeq2Seq(RecurrentSeq2SeqConfig(...))"
        )

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        """Whether `generate` may make a key-value cache: no, the model makes its state itself."""
        return False

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Initialise as torch does, and as the papers' code leaves it."""
        if isinstance(module, nn.Embedding):
            init.normal_(module.weight)
        elif isinstance(module, nn.Linear):
            for parameter in module.parameters():
                init.uniform_(parameter, -(module.in_features**-0.5), module.in_features**-0.5)
        elif hasattr(module, "init_bound"):
            bound: Any = module.init_bound
            for parameter in module.parameters(recurse=False):
                init.uniform_(parameter, -bound, bound)


class _Steps:
    """The decoder of a batch of sentences, token by token."""

    def __init__(
        self,
        decoder: RecurrentDecoder,
        encoded: RecurrentEncoderOutput,
        state: torch.Tensor | None,
        mask: torch.Tensor | None,
    ) -> None:
        self.decoder = decoder
        self.memory: Any = encoded.last_hidden_state
        start: Any = encoded.encoder_state if state is None else state
        self.states: tuple[torch.Tensor, ...] = start.unbind(1)
        self.bias = None
        if mask is not None and not bool(mask.all()):
            bias = torch.zeros_like(mask, dtype=self.states[0].dtype)
            # Not −inf, which would give NaN scores to a sentence without tokens.
            self.bias = bias.masked_fill(mask == 0, torch.finfo(bias.dtype).min).unsqueeze(1)
        self.weights = decoder.weights()  # once for all steps, because those of a group are assembled

    def read(self, tokens: torch.Tensor) -> torch.Tensor:
        """Read one token of each sentence, `(B,)`, and score the next, `(B, V)`."""
        self.states = self.decoder.step(tokens, self.states, self.memory, self.bias, self.weights)
        return self.weights.head(self.states[0])

    def read_all(self, ids: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """Read `(B, T)` tokens and score the token after each, `(B, T, V)`."""
        outputs = []
        for place in range(ids.shape[1]):
            before = self.states
            after = self.decoder.step(ids[:, place], before, self.memory, self.bias, self.weights)
            if mask is not None:
                reads = mask[:, mask.shape[1] - ids.shape[1] + place].bool().unsqueeze(-1)
                after = tuple(torch.where(reads, new, old) for new, old in zip(after, before, strict=True))
            self.states = after
            outputs.append(after[0])
        return self.weights.head(torch.stack(outputs, 1))


def _read_encoder(outputs: Any) -> RecurrentEncoderOutput:
    if isinstance(outputs, ModelOutput) and "encoder_state" in outputs:
        return RecurrentEncoderOutput(outputs["last_hidden_state"], outputs["encoder_state"])
    if isinstance(outputs, (tuple, list)) and len(outputs) == 2:
        return RecurrentEncoderOutput(*outputs)
    raise ConfigurationError(
        "encoder_outputs must hold last_hidden_state and encoder_state, as the encoder returns them"
    )


def _loss(logits: torch.Tensor, labels: torch.Tensor, items: torch.Tensor | int | None) -> torch.Tensor:
    """Return the cross-entropy in nats per token: the mean, or the sum over the labels of all accumulated batches."""
    reduction = "mean" if items is None else "sum"
    scores = logits.flatten(0, 1).to(torch.promote_types(logits.dtype, torch.float32))
    loss = nn.functional.cross_entropy(scores, labels.flatten(), reduction=reduction)
    return loss if items is None else loss / items
