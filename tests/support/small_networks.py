"""Tiny recurrent encoder-decoders, plain and over a group, and sentences for them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from hf_equi.groups import FiniteGroup
from hf_equi.networks.recurrent_seq2seq import RecurrentSeq2Seq, RecurrentSeq2SeqConfig
from hf_equi.networks.recurrent_seq2seq.group_layers import GroupLayers

CELLS = ("rnn", "gru", "lstm")
SPECIAL = ("<pad>", "<s>", "</s>", "<unk>")
SOURCE_WORDS, TARGET_WORDS = 9, 7


def network(cell: str = "lstm", seed: int = 0, **settings: Any) -> RecurrentSeq2Seq:
    """A random network of 9 source and 7 target words, to be evaluated."""
    torch.manual_seed(seed)
    sizes = {"vocab_size": SOURCE_WORDS, "decoder_vocab_size": TARGET_WORDS, "hidden_size": 5}
    return RecurrentSeq2Seq(RecurrentSeq2SeqConfig(cell=cell, **{**sizes, **settings})).eval()


def sentences(lengths: tuple[int, ...] = (4, 1, 6), seed: int = 0, words: int = SOURCE_WORDS) -> list[torch.Tensor]:
    """Random sentences without special tokens."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(3, words, (length,), generator=generator) for length in lengths]


def pad(rows: list[torch.Tensor], side: str = "right", value: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """One batch `(B, T)` and its mask."""
    width = max(map(len, rows))
    batch = torch.full((len(rows), width), value)
    mask = torch.zeros_like(batch)
    for index, row in enumerate(rows):
        place = slice(0, len(row)) if side == "right" else slice(width - len(row), width)
        batch[index, place] = row
        mask[index, place] = 1
    return batch, mask


@lru_cache
def tokenizer(*words: str) -> PreTrainedTokenizerFast:
    """One of whole words, behind four special tokens, that ends each sentence with `</s>`."""
    one = Tokenizer(
        models.WordLevel({word: index for index, word in enumerate((*SPECIAL, *words))}, unk_token="<unk>")
    )
    one.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    one.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 2)])
    return PreTrainedTokenizerFast(
        tokenizer_object=one, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


def actions(name: str) -> tuple[FiniteGroup, torch.Tensor, torch.Tensor]:
    """A group by name, and how it acts on the words of `network`: three of them, or four, on each side."""
    group = {
        "cyclic 2": FiniteGroup.cyclic(2),
        "cyclic 4": FiniteGroup.cyclic(4),
        "S3": FiniteGroup.symmetric(3),
    }[name]
    points = group.permutations  # (G, degree)
    source = torch.arange(SOURCE_WORDS).repeat(group.order, 1)
    source[:, 4 : 4 + points.shape[1]] = 4 + points
    target = torch.arange(TARGET_WORDS).repeat(group.order, 1)
    places = torch.tensor([6, 3, 5, 4])[: points.shape[1]]
    target[:, places] = places[points]
    return group, source, target


class OverGroup(RecurrentSeq2Seq):
    """A network over a group of `actions`, which need not be one of words."""

    def _create_layers(self) -> GroupLayers:
        return GroupLayers(*actions(self.config.group_name))


def network_over(group: str, cell: str = "lstm", seed: int = 0, **settings: Any) -> OverGroup:
    """A random network over a group by name, to be evaluated."""
    torch.manual_seed(seed)
    sizes = {"vocab_size": SOURCE_WORDS, "decoder_vocab_size": TARGET_WORDS, "hidden_size": 3}
    return OverGroup(RecurrentSeq2SeqConfig(cell=cell, group_name=group, **{**sizes, **settings})).eval()
