"""The texts of the finetuning experiment, as token ids: map-style or streamed, plain or augmented."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, IterableDataset, load_dataset
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from hf_equi.actions import TokenAction
from hf_equi.bases.embedded import embedded_folder

FILES = ("movie_reviews.txt.gz", "sentence_polarity.txt.gz", "subjectivity.txt.gz")
LENGTH = 64  # tokens of a text; longer texts are cut
HELD_OUT = 80  # one line in 80 is held out
BUFFER = 10_000  # the number of texts from which a stream draws the next
Texts = Dataset | IterableDataset


def load_tokenizer() -> PreTrainedTokenizerBase:
    """Load the embedded model's tokenizer, with padding on the right: texts are read, not continued."""
    return AutoTokenizer.from_pretrained(embedded_folder("demo_lm"), padding_side="right")


def held_out(line: str) -> bool:
    """Whether a line is held out. A hash decides, at random but the same in every order and for every seed."""
    return zlib.crc32(line.strip().encode()) % HELD_OUT == 0


@dataclass(frozen=True)
class Encoder:
    """Turns lines into texts: a beginning of text, the tokens and an end of text, cut after `LENGTH`."""

    tokenizer: PreTrainedTokenizerBase

    def __call__(self, batch: dict[str, list[str]]) -> dict[str, list[list[int]]]:
        lines = [line.strip() for line in batch["text"]]
        first, last = self.tokenizer.bos_token_id, self.tokenizer.eos_token_id
        found = self.tokenizer(lines, truncation=True, max_length=LENGTH)["input_ids"]
        return {"input_ids": [[first, *ids, last][:LENGTH] for ids in found]}


@dataclass(frozen=True)
class Augmenter:
    """Counterfactual data augmentation: adds to each text its distinct images under the group.

    Words move as in the model, by the group's action on tokens. A text without moved words gets no image.
    """

    action: TokenAction

    def __call__(self, batch: dict[str, list[list[int]]]) -> dict[str, list[list[int]]]:
        orbits = (self.action.orbit(torch.tensor([ids]))[0].tolist() for ids in batch["input_ids"])
        return {"input_ids": [list(ids) for orbit in orbits for ids in dict.fromkeys(map(tuple, orbit))]}


def training_texts(
    folder: Path, encoder: Encoder, augmenter: Augmenter | None, *, count: int, seed: int, cache: Path, streaming: bool
) -> Texts:
    """Return texts to train on, without the held-out lines.

    Args:
        folder: The folder of the files.
        encoder: Makes texts from lines.
        augmenter: Adds images of the texts. None adds none.
        count: The number of lines to draw. A stream does not use it.
        seed: The seed of the draw, and of the order of a stream. `Trainer` shuffles a data set itself.
        cache: The folder where `datasets` keeps its files.
        streaming: Whether to read from the compressed files while training.
    """
    files = [str(folder / name) for name in FILES]
    lines: Any = load_dataset("text", data_files=files, split="train", streaming=streaming, cache_dir=str(cache))
    lines = lines.filter(lambda line: bool(line.strip()) and not held_out(line), input_columns="text")
    if streaming:
        lines = lines.shuffle(seed=seed, buffer_size=BUFFER)
    else:
        lines = lines.shuffle(seed=seed).select(range(min(count, len(lines))))
    texts: Texts = lines.map(encoder, batched=True, remove_columns="text")
    if augmenter is None:
        return texts
    texts = texts.map(augmenter, batched=True)
    return texts.shuffle(seed=seed, buffer_size=BUFFER) if streaming else texts


def held_out_texts(folder: Path, encoder: Encoder) -> list[list[int]]:
    """Return the texts of all held-out lines, each once, the shortest first."""
    lines: dict[str, None] = {}
    for name in FILES:
        with gzip.open(folder / name, "rt", encoding="utf-8") as file:
            lines.update(dict.fromkeys(line.strip() for line in file if line.strip() and held_out(line)))
    return sorted(encoder({"text": list(lines)})["input_ids"], key=len)


def pad(texts: list[list[int]], tokenizer: PreTrainedTokenizerBase) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the ids and mask of some texts, both `(texts, longest)`."""
    padded = tokenizer.pad({"input_ids": texts}, return_tensors="pt")
    return padded["input_ids"], padded["attention_mask"]
