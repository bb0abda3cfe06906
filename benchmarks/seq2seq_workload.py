"""The model and the sentences of the sequence-to-sequence benchmark."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerFast

import hf_equi
from hf_equi import EquiForSeq2SeqLM
from hf_equi.networks.recurrent_seq2seq import RecurrentSeq2Seq, RecurrentSeq2SeqConfig

sys.path.append(str(Path(__file__).parents[1] / "examples"))
from data import require
from scan_data import ACTIONS, COMMANDS, GROUPS, MAX_ACTIONS, SPECIAL, make_tokenizer, read_pairs

__all__ = ["EVERY", "Sentences", "Workload", "orbit", "pad"]

SPLIT = "add_jump"
GROUP = GROUPS[SPLIT]
EVERY = 10
"""Rows about single sentences take one of this many."""

# The words of a made-up test set for smoke runs.
MADE_UP = {"jump": "I_JUMP", "run": "I_RUN", "walk": "I_WALK", "look": "I_LOOK"}


@dataclass(frozen=True)
class Sentences:
    """Commands and their correct answers.

    Args:
        ids: `(B, length)`.
        mask: `(B, length)`, 0 at padding.
        labels: `(B, T)`, −100 after the end.
    """

    ids: torch.Tensor
    mask: torch.Tensor
    labels: torch.Tensor

    def __getitem__(self, rows: torch.Tensor | slice) -> Sentences:
        """Return some of the sentences, without padding that they do not need."""
        mask = self.mask[rows]
        length = int(mask.sum(1).max())
        return Sentences(self.ids[rows, :length], mask[:, :length], self.labels[rows])

    def batches(self, size: int) -> list[Sentences]:
        """Split the sentences into batches of `size`."""
        return [self[slice(start, start + size)] for start in range(0, len(self.ids), size)]


@dataclass(frozen=True)
class Workload:
    """The model and the sentences that are timed.

    Args:
        data: The folder of the SCAN files, or `None` for made-up commands.
        model: The folder of the base, or `None` for a tiny one with random weights.
        seed: The seed of the sentences drawn, and of random weights.
        count: The number of sentences.
        batch: The number of sentences in the smaller batches.
    """

    data: Path | None
    model: Path | None
    seed: int = 0
    count: int = 1000
    batch: int = 250

    @classmethod
    def of_arguments(cls, arguments: argparse.Namespace) -> Workload:
        """Make the workload of a command line. A smoke run needs neither data nor model."""
        if arguments.smoke:
            return cls(None, None, arguments.seed, count=12, batch=4)
        if arguments.model is None or not arguments.model.is_dir():
            print("Pass --model DIR, a base of examples/scan.py: OUTPUT/add_jump/lstm/seed0/base", file=sys.stderr)
            raise SystemExit(2)
        (data,) = require(arguments.data, "scan")
        return cls(data, arguments.model, arguments.seed)

    @cached_property
    def base(self) -> RecurrentSeq2Seq:
        """The plain model."""
        if self.model is None:
            torch.manual_seed(self.seed)
            sizes = {"vocab_size": len(SPECIAL) + len(COMMANDS), "decoder_vocab_size": len(SPECIAL) + len(ACTIONS)}
            model = RecurrentSeq2Seq(RecurrentSeq2SeqConfig(**sizes, hidden_size=8))
        else:
            model = RecurrentSeq2Seq.from_pretrained(self.model)
        model.generation_config.max_length, model.generation_config.max_new_tokens = None, MAX_ACTIONS
        return model.eval()

    @cached_property
    def tokenizers(self) -> tuple[PreTrainedTokenizerFast, PreTrainedTokenizerFast]:
        """The tokenizers of commands and of actions."""
        return make_tokenizer(COMMANDS), make_tokenizer(ACTIONS)

    def symmetrize(self, method: str, **settings: str) -> EquiForSeq2SeqLM:
        """Make the base equivariant. All models share its weights."""
        source, target = self.tokenizers
        return hf_equi.symmetrize(self.base, GROUP, method, tokenizer=source, target_tokenizer=target, **settings)

    @cached_property
    def equizero(self) -> EquiForSeq2SeqLM:
        """The model that most claims use."""
        return self.symmetrize("equizero")

    @cached_property
    def moved(self) -> Sentences:
        """Test sentences. The group moves all of them."""
        return self._draw("test", moved=True)

    @cached_property
    def unmoved(self) -> Sentences:
        """Sentences of the training set that the group leaves unchanged. The test set has none."""
        return self._draw("train", moved=False)

    @cached_property
    def few(self) -> Sentences:
        """The moved sentences that are also read one at a time."""
        return self.moved[::EVERY]

    def _draw(self, part: str, moved: bool) -> Sentences:
        """Draw sentences that the group moves, or leaves unchanged, from the longest answer to the shortest."""
        commands, actions = self._read(part)
        source, target = (
            tokenizer(texts, padding=True, return_tensors="pt")
            for tokenizer, texts in zip(self.tokenizers, (commands, actions), strict=True)
        )
        is_moved = torch.isin(source["input_ids"], self.equizero.action.source.moved).any(1)
        rows = (is_moved == moved).nonzero().flatten()
        rows = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(self.seed))[: self.count]]
        rows = rows[target["attention_mask"][rows].sum(1).argsort(descending=True, stable=True)]
        labels = target["input_ids"].masked_fill(target["attention_mask"] == 0, -100)
        return Sentences(source["input_ids"], source["attention_mask"], labels)[rows]

    def _read(self, part: str) -> tuple[list[str], list[str]]:
        if self.data is not None:
            pairs = read_pairs(self.data / f"{SPLIT}_{part}.txt")
            return list(pairs["command"]), list(pairs["actions"])
        repeats = {"": 1, " twice": 2, " thrice": 3}
        commands = [
            (f"{first}{often} and {second}", " ".join([MADE_UP[first]] * count + [MADE_UP[second]]))
            for first in MADE_UP
            for second in MADE_UP
            for often, count in repeats.items()
        ]
        return [command for command, _ in commands], [actions for _, actions in commands]


def pad(parts: Sequence[torch.Tensor], value: int) -> torch.Tensor:
    """Join the rows of all parts, padded to the longest."""
    length = max(part.shape[1] for part in parts)
    return torch.cat([torch.nn.functional.pad(part, (0, length - part.shape[1]), value=value) for part in parts])


def orbit(lm: EquiForSeq2SeqLM, sentences: Sentences) -> Sentences:
    """Return all members of the orbits, as rows for the plain model."""
    order = lm.group.order
    ids = lm.action.source.orbit(sentences.ids).flatten(0, 1)
    return Sentences(ids, sentences.mask.repeat_interleave(order, 0), sentences.labels.repeat_interleave(order, 0))
