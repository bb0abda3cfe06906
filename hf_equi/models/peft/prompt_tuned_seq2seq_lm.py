"""A text-to-text model with the prompts or the prefix of peft, presented as a plain one."""

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
    r"""A `PeftModelForSeq2SeqLM` with prompts, in the form of a transformers model.

    $$ p(v \mid x, y) = p_M(v \mid z\, x, y) \quad\text{or}\quad p_M(v \mid x, z\, y) $$

    Virtual tokens z stand before every source x, in the encoder (prompt tuning, p-tuning), or before every target y,
    in the self-attention of the decoder (prefix tuning). The caller sees only x and y: masks of their lengths, logits
    of the places of y, and caches of its length. The encoder's output for z stays before its output for x.

    Args:
        peft_model: A `PeftModelForSeq2SeqLM` with prompts or a prefix. It is not copied.

    Raises:
        UnsupportedModelError: As in `PromptTunedModel`; for another method; for a base without embeddings or keys that
            virtual tokens could join; for a prefix whose layers or keys do not match the decoder's.
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
                f"Prompts of the kind {settings.peft_type.value} do not work in a text-to-text model: peft reads them "
                "differently when it scores a target and when it writes one. Use prompt tuning, p-tuning or prefix "
                "tuning."
            )
        if self.has_prefix:
            _check_fits(settings, self.config)
        # In a tuple, because it has no weights of its own, and its owner is not its submodule.
        self._encoder = (_PromptedEncoder(self),)

    def get_encoder(self, modality: str | None = None) -> nn.Module:
        """Return the encoder after the virtual tokens, which reads only token ids and masks of the sources."""
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
            encoder_outputs: The output of `get_encoder`, instead of `input_ids`.
            cache: The cache of an earlier call, or an empty cache.
            labels: `(batch, tokens)`, for the base's own loss.
            use_cache: Whether to return a cache.
            **kwargs: Passed on.

        Raises:
            UnsupportedModelError: For a prefix with a cache of fixed size, which has no room for it, or with
                activation checkpointing, which removes caches.
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
        """Prepare inputs as the base does: `forward` adds what has to stand before them."""
        inputs: dict[str, Any] = self.model.prepare_inputs_for_generation(*args, **kwargs)
        return inputs

    @property
    def prepare_decoder_input_ids_from_labels(self) -> Any:
        """The base's function, if it has one."""
        return self.model.prepare_decoder_input_ids_from_labels


class _PromptedEncoder(nn.Module):
    """The encoder of a `PromptTunedSeq2SeqLM`, which is not its submodule."""

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
    """Refuse a base whose encoder reads only token ids, or whose decoder does not cache keys and values."""
    if inner._is_stateful or "inputs_embeds" not in parameters(type(inner.get_encoder()).forward):
        raise UnsupportedModelError(
            f"A {type(inner).__name__} has no place for virtual tokens: its encoder reads only token ids, and its "
            "decoder caches no keys and values. Train the model itself, or use a transformer."
        )


def _check_fits(settings: Any, config: Any) -> None:
    """Refuse a prefix with other layers or keys than the decoder's: peft guesses them wrong unless it is told."""
    layers = getattr(config, "num_decoder_layers", None) or config.get_text_config(decoder=True).num_hidden_layers
    if settings.num_layers != layers or settings.num_transformer_submodules != 2:
        raise UnsupportedModelError(
            f"The prefix was made for {settings.num_layers} layers and "
            f"num_transformer_submodules={settings.num_transformer_submodules}, but the decoder has {layers} layers "
            "with two attentions each, so peft itself cannot run it: use "
            f"{type(settings).__name__}(num_layers={layers}, num_transformer_submodules=2, ...)"
        )
    heads = getattr(config, "num_heads", None)  # for T5, whose keys need not be as wide as its tokens
    width = None if heads is None else heads * config.d_kv
    if width is not None and (settings.token_dim, settings.num_attention_heads) != (width, heads):
        raise UnsupportedModelError(
            f"The prefix was made for {settings.num_attention_heads} heads of {settings.token_dim} numbers together, "
            f"but the decoder has {heads} heads of {width}, so peft itself cannot run it: use "
            f"{type(settings).__name__}(token_dim={width}, num_attention_heads={heads}, ...)"
        )
