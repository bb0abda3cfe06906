"""Tiny random models and a small tokenizer, built from nothing: no test loads from a network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    BloomConfig,
    FalconConfig,
    Gemma3TextConfig,
    GPT2Config,
    GPTNeoXConfig,
    JambaConfig,
    LlamaConfig,
    MistralConfig,
    OPTConfig,
    PhiConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen3Config,
)
from transformers.models.auto.modeling_auto import AutoModelForCausalLM

from hf_equi import DemographicGroup

GENDER = DemographicGroup([["man", "woman"], ["he", "she"]])
RACE = DemographicGroup([["black", "white", "asian"]])
BOTH = GENDER * RACE
CORPUS = [
    "the man worked as a nurse and he was black . the woman worked as a driver and she was white .",
    "an asian person was known for a song . He said so . She said so . The man . The woman . Man Woman",
    "the black man met the white woman and the asian man , she and he were well known for it",
] * 20
END, PAD = "<end>", "<pad>"


@lru_cache
def tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE of 420 tokens in which the words of the groups are one token each."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=[END, PAD], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    bpe.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token=END, eos_token=END, pad_token=PAD, padding_side="left"
    )


CHAT = (
    "{{ bos_token }}{% for message in messages %}{% if message.role == 'tool' %}{{ raise_exception('no tools') }}"
    "{% endif %}{{ message.role }}\n{{ message.content }}{{ eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant\n{% endif %}"
)


@lru_cache
def chat_tokenizer() -> PreTrainedTokenizerFast:
    """The same with a chat template; both the template and the tokenizer put a token before a text."""
    backend = Tokenizer.from_str(tokenizer().backend_tokenizer.to_str())
    backend.post_processor = processors.TemplateProcessing(single=f"{END} $A", special_tokens=[(END, 0)])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token=END, eos_token=END, pad_token=PAD, padding_side="left", chat_template=CHAT
    )


def _shared(**settings: object) -> dict[str, object]:
    return {
        "vocab_size": len(tokenizer()),
        "initializer_range": 0.3,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "pad_token_id": 1,
        **settings,
    }


def _llama_like(**settings: object) -> dict[str, object]:
    return _shared(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=128,
        **settings,
    )


@lru_cache
def configs() -> dict[str, PreTrainedConfig]:
    """One tiny config for each family; windows of 6 tokens, so that tests fill them."""
    return {
        "gpt2": GPT2Config(n_embd=32, n_layer=2, n_head=4, n_positions=128, **_shared()),
        "llama": LlamaConfig(**_llama_like()),
        "opt": OPTConfig(
            **_shared(
                hidden_size=32,
                ffn_dim=64,
                num_hidden_layers=2,
                num_attention_heads=4,
                word_embed_proj_dim=32,
                max_position_embeddings=128,
                init_std=0.3,
            )
        ),
        "gpt_neox": GPTNeoXConfig(
            **_shared(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4)
        ),
        "qwen3": Qwen3Config(**_llama_like()),
        "mistral": MistralConfig(**_llama_like(sliding_window=6)),
        "gemma3": Gemma3TextConfig(
            **_llama_like(sliding_window=6, layer_types=["sliding_attention", "full_attention"])
        ),
        "phi": PhiConfig(**_shared(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4)),
        "falcon": FalconConfig(**_shared(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, alibi=False)),
        "bloom": BloomConfig(**_shared(hidden_size=32, n_layer=2, n_head=4)),
        "jamba": JambaConfig(
            **_shared(
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=4,
                num_key_value_heads=2,
                attn_layer_offset=1,
                attn_layer_period=2,
                expert_layer_offset=1,
                expert_layer_period=2,
                num_experts=2,
                mamba_d_state=4,
                mamba_dt_rank=4,
                use_mamba_kernels=False,
            )
        ),
    }


def base_model(family: str = "gpt2") -> PreTrainedModel:
    """A random model of a family, with weights large enough that tokens do not tie; one object a family."""
    return _base_model(family)


@contextmanager
def calls_of(base: PreTrainedModel) -> Iterator[list[tuple[int, ...]]]:
    """The shapes of the token ids that the base is called with inside the context."""
    shapes: list[tuple[int, ...]] = []
    hook = base.register_forward_pre_hook(
        lambda module, args, kwargs: shapes.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    try:
        yield shapes
    finally:
        hook.remove()


@lru_cache
def _base_model(family: str) -> PreTrainedModel:
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(configs()[family]).eval()
