"""The model, tokenizer, groups and prompts of the benchmarks of causal language models."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
)

import hf_equi
from hf_equi import DemographicGroup, EquiLM, RegardScorer

GENDER = DemographicGroup([["man", "woman"], ["he", "she"]])
ALL_FACTORS = GENDER * DemographicGroup([["black", "white", "asian"]]) * DemographicGroup([["gay", "straight"]])

FILLERS = 300
WORDS = ("[UNK]", "man", "woman", "he", "she", "black", "white", "asian", "gay", "straight")
# The words of a prompt that the groups move, and the position of the first one.
MOVED = {"none": (), "gender": ("man",), "all": ("asian", "gay", "man"), "last": ("man",)}
PLACE = 1


@dataclass(frozen=True)
class Workload:
    """Sizes, and the model, tokenizer and prompts made from them.

    Args:
        seed: The seed of the random weights and prompts.
        layers: The layers of the GPT-2 architecture.
        width: The width of its hidden states, 64 a head.
        vocab_size: The rows of its embedding.
        prompts: The prompts of a batch.
        prompt_tokens: The tokens of a prompt.
        new_tokens: The tokens that `generate` adds to each prompt.
        prefill_tokens: The tokens of a long prompt.
        scored_tokens: The tokens of the texts of the memory claims.
    """

    seed: int = 0
    layers: int = 12
    width: int = 768
    vocab_size: int = 50257
    prompts: int = 8
    prompt_tokens: int = 8
    new_tokens: int = 10
    prefill_tokens: int = 512
    scored_tokens: int = 32

    @classmethod
    def smoke(cls, seed: int = 0) -> Workload:
        """Return sizes that show that the code runs. They say nothing about its speed."""
        return cls(
            seed=seed,
            layers=2,
            width=64,
            vocab_size=400,
            prompts=2,
            new_tokens=4,
            prefill_tokens=16,
            scored_tokens=16,
        )

    @cached_property
    def base(self) -> GPT2LMHeadModel:
        """The plain model. It never ends a text early."""
        torch.manual_seed(self.seed)
        config = GPT2Config(
            vocab_size=self.vocab_size,
            n_embd=self.width,
            n_layer=self.layers,
            n_head=self.width // 64,
            bos_token_id=self.vocab_size - 1,
            eos_token_id=self.vocab_size - 1,
        )
        model = GPT2LMHeadModel(config).eval()
        model.generation_config.eos_token_id = None
        model.generation_config.pad_token_id = 0
        return model

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerFast:
        """A stand-in with one token a word. GPT-2's own tokenizer would need a download."""
        words = (*WORDS, *(f"w{index}" for index in range(self.vocab_size - len(WORDS))))
        tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[UNK]")

    def symmetrize(
        self, group: DemographicGroup, method: str = "equitune", orbit_chunk_size: int | None = None, **search: Any
    ) -> EquiLM:
        """Make the base model equivariant. All models share its weights."""
        return hf_equi.symmetrize(
            self.base, group, method, tokenizer=self.tokenizer, orbit_chunk_size=orbit_chunk_size, **search
        )

    @cached_property
    def scorer(self) -> RegardScorer:
        """A regard classifier of BERT's architecture with random weights. It has six layers at full size."""
        torch.manual_seed(self.seed + 1)
        config = BertConfig(
            vocab_size=len(self.tokenizer),
            hidden_size=self.width,
            num_hidden_layers=max(self.layers // 2, 1),
            num_attention_heads=self.width // 64,
            intermediate_size=4 * self.width,
            id2label={0: "negative", 1: "neutral", 2: "positive"},
        )
        return RegardScorer(BertForSequenceClassification(config).eval(), self.tokenizer)

    def ids(self, moved: str, tokens: int | None = None, prompts: int | None = None) -> torch.Tensor:
        """Return prompts of filler words with some words that the groups move, `(prompts, tokens)`.

        Args:
            moved: A key of `MOVED`. `"last"` has its one moved word at the end.
            tokens: The tokens of a prompt.
            prompts: The number of prompts.
        """
        shape = (prompts or self.prompts, tokens or self.prompt_tokens)
        generator = torch.Generator().manual_seed(self.seed)
        ids = torch.randint(len(WORDS), len(WORDS) + FILLERS, shape, generator=generator)
        words = torch.tensor([WORDS.index(word) for word in MOVED[moved]], dtype=torch.long)
        place = shape[1] - 1 if moved == "last" else PLACE
        ids[:, place : place + len(words)] = words
        # Every other prompt is about a woman.
        ids[1::2] = ids[1::2].where(ids[1::2] != WORDS.index("man"), WORDS.index("woman"))
        return ids
