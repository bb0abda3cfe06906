"""Tiny text-to-text models of every family, symmetrised, and sentences that every element of their groups moves."""

from __future__ import annotations

import copy
from functools import lru_cache
from typing import Any

import torch
from small_networks import tokenizer
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    MarianConfig,
    MarianMTModel,
    PreTrainedModel,
    T5Config,
    T5ForConditionalGeneration,
)

import hf_equi
from hf_equi import DemographicGroup, EquiForSeq2SeqLM
from hf_equi.networks import RecurrentSeq2Seq, RecurrentSeq2SeqConfig

SOURCE = ("jump", "run", "walk", "look", "skip", "twice", "left", "and")
TARGET = ("I_JUMP", "I_RUN", "I_WALK", "I_LOOK", "I_SKIP", "I_LEFT")
TWO = DemographicGroup([["jump", "run"], ["I_JUMP", "I_RUN"]])
THREE = DemographicGroup([["walk", "look", "skip"], ["I_WALK", "I_LOOK", "I_SKIP"]])
SIX = TWO * THREE
GROUPS = {"two": TWO, "three": THREE, "six": SIX}
CELLS = ("rnn", "gru", "lstm")
PAIRED = (*CELLS, "marian-pair")
"""The families with a vocabulary on either side."""
FAMILIES = (*CELLS, "t5", "bart", "marian", "marian-pair")
START = {
    "rnn": (7, 1.5),
    "gru": (5, 2.0),
    "lstm": (4, 2.0),
    "t5": (24, 1.2),
    "bart": (0, 1.0),
    "marian": (6, 1.0),
    "marian-pair": (1, 1.0),
}
"""Seed and scale of random weights with which members of an orbit write different texts of different lengths."""
END = 2
MOVED = ("jump and walk twice", "left run look", "skip run jump and left and look", "walk and jump")
"""Sources that every element but the identity moves, whatever the group."""


def tokenizers(family: str) -> tuple[Any, Any]:
    """Of source and target; one and the same where the family has one vocabulary."""
    if family in PAIRED:
        return tokenizer(*SOURCE), tokenizer(*TARGET)
    return (tokenizer(*SOURCE, *TARGET),) * 2


def _attention(**settings: Any) -> dict[str, Any]:
    """What BART and Marian are made of."""
    return {
        "d_model": 16,
        "encoder_layers": 1,
        "decoder_layers": 2,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
        "encoder_ffn_dim": 16,
        "decoder_ffn_dim": 16,
        "max_position_embeddings": 64,
        "dropout": 0.0,
        "init_std": 0.4,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": END,
        "forced_eos_token_id": None,
        **settings,
    }


def _create(family: str) -> PreTrainedModel:
    source, target = (len(side) for side in tokenizers(family))
    if family in CELLS:
        sizes = {"vocab_size": source, "decoder_vocab_size": target, "hidden_size": 6, "dropout": 0.0}
        return RecurrentSeq2Seq(RecurrentSeq2SeqConfig(cell=family, **sizes))
    if family == "t5":
        sizes = {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 2, "num_heads": 2}
        ids = {"decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": END}
        return T5ForConditionalGeneration(T5Config(vocab_size=source, dropout_rate=0.0, **sizes, **ids))
    if family == "bart":
        return BartForConditionalGeneration(BartConfig(**_attention(vocab_size=source, decoder_start_token_id=END)))
    pair = {"decoder_vocab_size": target, "share_encoder_decoder_embeddings": False, "tie_word_embeddings": False}
    settings = _attention(vocab_size=source, decoder_start_token_id=0, **(pair if family == "marian-pair" else {}))
    return MarianMTModel(MarianConfig(**settings))


@lru_cache
def base(family: str) -> PreTrainedModel:
    """A random model, one object a family."""
    seed, scale = START[family]
    torch.manual_seed(seed)
    model = _create(family).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(scale)
    _favour(model, [tokenizers(family)[1].convert_tokens_to_ids(word) for word in TARGET])
    return model


@torch.no_grad()
def _favour(model: PreTrainedModel, words: list[int]) -> None:
    """Make words that groups move more likely, and the end, so that texts have them even where members disagree."""
    if isinstance(model, RecurrentSeq2Seq):
        model.decoder.head.bias[[*words, END]] += 1.5
    elif isinstance(model, T5ForConditionalGeneration):
        model.lm_head.weight[[*words, END]] *= 1.5
    else:
        model.final_logits_bias[:, words] += 3.0
        model.final_logits_bias[:, END] += 2.0


def fresh(family: str) -> PreTrainedModel:
    """A copy of `base` that a test may change."""
    return copy.deepcopy(base(family))


def wrap(
    family: str | PreTrainedModel, group: DemographicGroup = TWO, method: str = "equitune", **settings: Any
) -> EquiForSeq2SeqLM:
    """A symmetrised model over `base`, or over a model whose family its `model_type` names."""
    model = base(family) if isinstance(family, str) else family
    name = family if isinstance(family, str) else model.config.model_type
    source, target = tokenizers("lstm" if name == "recurrent_seq2seq" else name)
    if target is not source:
        settings["target_tokenizer"] = target
    torch.manual_seed(0)
    wrapped = hf_equi.symmetrize(model, group, method, tokenizer=source, **settings).eval()
    if method == "lambda":  # as it is initialised, all members weigh nearly the same
        wrapped.lambda_network.layers[-1].weight.data.mul_(20)
    return wrapped


def encode(model: EquiForSeq2SeqLM, texts: tuple[str, ...] = MOVED, side: str = "right") -> dict[str, torch.Tensor]:
    """A batch of sources with its mask."""
    encoded = model.tokenizer(list(texts), padding=True, padding_side=side, return_tensors="pt")
    return {name: encoded[name] for name in ("input_ids", "attention_mask")}


def rows(model: EquiForSeq2SeqLM, texts: tuple[str, ...] = MOVED) -> list[torch.Tensor]:
    """The same sources without padding, `(length,)` each."""
    return [torch.tensor(ids) for ids in model.tokenizer(list(texts))["input_ids"]]


def targets(model: EquiForSeq2SeqLM, texts: int = len(MOVED), length: int = 5) -> torch.Tensor:
    """Random target tokens that are not special, `(texts, length)`."""
    generator = torch.Generator().manual_seed(1)
    return torch.randint(4, model.config.decoder_vocab_size, (texts, length), generator=generator)


def until_end(ids: torch.Tensor, start: int = 1) -> list[list[int]]:
    """The texts of a batch behind their start, each up to its end token."""
    texts = ids[:, start:].tolist()
    return [text[: text.index(END) + 1] if END in text else text for text in texts]
