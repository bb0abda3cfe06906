"""A model from text to text with the prompts or the prefix of peft, seen as a plain one."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import nn
from transformers.cache_utils import Cache

from hf_equi.bases.compat import accepts_cache, cache_of, cached
from hf_equi.bases.signatures import parameters
from hf_equi.errors import UnsupportedModelError
from hf_equi.generation.base_call import call_base
from hf_equi.models.peft.prompt_tuned import PromptTunedModel

__all__ = ["PromptTunedSeq2SeqLM"]


class PromptTunedSeq2SeqLM(PromptTunedModel):
    r"""What a `PeftModelForSeq2SeqLM` with prompts says of pairs of texts, in the form of a model of transformers.

    $$ p(v \mid x, y) = p_M(v \mid z\, x, y) \quad\text{or}\quad p_M(v \mid x, z\, y) $$

    Virtual tokens z stand before every source x, in the encoder (prompt tuning, p-tuning), or before every target y,
    in the self-attention of the decoder (prefix tuning). The caller sees x and y alone: masks of their lengths, logits
    of the places of y, and caches of its length. What the encoder said of z stays before what it said of x.

    Args:
        peft_model: A `PeftModelForSeq2SeqLM` with prompts or a prefix. It is not copied.

    Raises:
        UnsupportedModelError: As `PromptTunedModel`; for another method; for a base without embeddings or keys that
            virtual tokens could stand among; for a prefix of other layers or keys than the decoder's.
    """

    peft_class = "PeftModelForSeq2SeqLM"
    task_type = "SEQ_2_SEQ_LM"
    encodes = True
    prompts: ClassVar[tuple[str, ...]] = ("PROMPT_TUNING", "P_TUNING")
    """The methods whose virtual tokens are embeddings."""

    def __init__(self, peft_model: Any) -> None:
        super().__init__(peft_model)
        _check_reads_embeddings(self.model)
        settings = peft_model.active_peft_config
        if settings.peft_type not in (*self.prompts, *self.prefixes):
            raise UnsupportedModelError(
                f"Prompts of the kind {settings.peft_type.value} do not go into a model from text to text: peft reads "
                "them otherwise when it scores a target than when it writes one. Use prompt tuning, p-tuning or "
                "prefix tuning."
            )
        if self.has_prefix:
            _check_fits(settings, self.config)
        # In a tuple: it has no weights of its own, and its owner is not a part of it.
        self._encoder = (_PromptedEncoder(self),)

    def get_encoder(self, modality: str | None = None) -> nn.Module:
        """The encoder behind the virtual tokens, which reads token ids and masks of the sources alone."""
        return self._encoder[0]

    @accepts_cache()
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        decoder_input_ids: torch.Tensor | None = None,
        decoder_attention_mask: torch.Tensor | None = None,
        encoder_outputs: Any = None,
        cache: Cache | None = None,
        labels: torch.Tensor | None = None,
        use_cache: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        """Score the places of targets.

        Args:
            input_ids: `(batch, length)` int64 sources.
            attention_mask: `(batch, length)`, 0 where a source is padded, without the virtual tokens.
            decoder_input_ids: `(batch, tokens)`.
            decoder_attention_mask: `(batch, past + tokens)`, 0 at padding, without the virtual tokens.
            encoder_outputs: Of `get_encoder`, instead of `input_ids`.
            cache: Of a call before this one, or an empty cache.
            labels: `(batch, tokens)`, for the base's own loss.
            use_cache: Whether to return a cache.
            **kwargs: Passed on.

        Raises:
            UnsupportedModelError: For a prefix and a cache of fixed size, which has no room for it, or activation
                checkpointing, which takes caches away.
        """
        if encoder_outputs is None:
            encoder_outputs = self.get_encoder()(input_ids, attention_mask, return_dict=True)
        inputs = {
            "encoder_outputs": encoder_outputs,
            "attention_mask": attention_mask,
            "decoder_input_ids": decoder_input_ids,
            "decoder_attention_mask": decoder_attention_mask,
            "labels": labels,
            "use_cache": use_cache,
            **cached(cache),
        }
        if not self.has_prefix:
            inputs["attention_mask"] = self.lengthened(attention_mask)
            return call_base(self.model, {**inputs, **kwargs}, 0)
        self.check_cache(cache)
        inputs["decoder_attention_mask"] = self.lengthened(decoder_attention_mask)
        if self.begins(cache):
            inputs |= cached(self.prefixed(len(encoder_outputs[0]), cache))
        out = call_base(self.model, {**inputs, **kwargs}, 0)
        if (filled := cache_of(out)) is not None:
            filled.virtual_tokens = self.virtual_tokens
        return out

    def prepare_inputs_for_generation(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """As the base prepares them: `forward` knows what has to stand before."""
        inputs: dict[str, Any] = self.model.prepare_inputs_for_generation(*args, **kwargs)
        return inputs

    @property
    def prepare_decoder_input_ids_from_labels(self) -> Any:
        """The base's, where it has one."""
        return self.model.prepare_decoder_input_ids_from_labels


class _PromptedEncoder(nn.Module):
    """The encoder of a `PromptTunedSeq2SeqLM`, which is not a part of this module."""

    main_input_name = "input_ids"

    def __init__(self, owner: PromptTunedSeq2SeqLM) -> None:
        super().__init__()
        self._owner = (owner,)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None, **kwargs: Any) -> Any:
        """Encode sources: `(batch, length)` ids to hidden states `(batch, virtual + length, width)`.

        Raises:
            UnsupportedModelError: For a prefix under activation checkpointing, before anything is computed.
        """
        (owner,) = self._owner
        encoder = owner.model.get_encoder()
        if owner.has_prefix:
            owner.check_cache(None)
            return encoder(input_ids=input_ids, attention_mask=attention_mask, **kwargs)
        embeddings = owner.prompted(input_ids)
        return encoder(inputs_embeds=embeddings, attention_mask=owner.lengthened(attention_mask), **kwargs)


def _check_reads_embeddings(inner: Any) -> None:
    """Refuse a base whose encoder reads token ids alone, or whose decoder keeps other than keys and values."""
    if inner._is_stateful or "inputs_embeds" not in parameters(type(inner.get_encoder()).forward):
        raise UnsupportedModelError(
            f"A {type(inner).__name__} has no place for virtual tokens: its encoder reads token ids alone, and its "
            "decoder keeps no keys and values. Train the model itself, or take a transformer."
        )


def _check_fits(settings: Any, config: Any) -> None:
    """Refuse a prefix of other layers or keys than the decoder's: peft reads them off elsewhere, unless it is told."""
    layers = getattr(config, "num_decoder_layers", None) or config.get_text_config(decoder=True).num_hidden_layers
    if settings.num_layers != layers or settings.num_transformer_submodules != 2:
        raise UnsupportedModelError(
            f"The prefix was made for {settings.num_layers} layers and num_transformer_submodules="
            f"{settings.num_transformer_submodules}, where the decoder has {layers} layers with two attentions each, "
            f"so peft itself cannot run it: use {type(settings).__name__}(num_layers={layers}, "
            "num_transformer_submodules=2, ...)"
        )
    heads = getattr(config, "num_heads", None)  # of T5, whose keys need not be as wide as its tokens
    width = None if heads is None else heads * config.d_kv
    if width is not None and (settings.token_dim, settings.num_attention_heads) != (width, heads):
        raise UnsupportedModelError(
            f"The prefix was made for {settings.num_attention_heads} heads of {settings.token_dim} numbers together, "
            f"where the decoder has {heads} of {width}, so peft itself cannot run it: use "
            f"{type(settings).__name__}(token_dim={width}, num_attention_heads={heads}, ...)"
        )
