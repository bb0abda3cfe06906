"""SCAN (Lake and Baroni 2018): commands, their actions, the two vocabularies, and the groups that act on them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from datasets import Dataset, DatasetDict
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from hf_equi import DemographicGroup

SPECIAL = ("<pad>", "<s>", "</s>", "<unk>")
PAD, START, END, UNKNOWN = range(4)
COMMANDS = (
    "after",
    "and",
    "around",
    "jump",
    "left",
    "look",
    "opposite",
    "right",
    "run",
    "thrice",
    "turn",
    "twice",
    "walk",
)
ACTIONS = ("I_JUMP", "I_LOOK", "I_RUN", "I_TURN_LEFT", "I_TURN_RIGHT", "I_WALK")
MAX_ACTIONS = 49
"""The length of the longest answer, with its end token."""

# The groups of each split: the words that the finetuned models exchange, and the cyclic group that the equivariant
# networks of Gordon et al. 2020 are built over.
GROUPS = {
    "add_jump": DemographicGroup([["jump", "run"], ["I_JUMP", "I_RUN"]]),
    "around_right": DemographicGroup([["left", "right"], ["I_TURN_LEFT", "I_TURN_RIGHT"]]),
}
CYCLIC_GROUPS = {
    "add_jump": DemographicGroup([["jump", "run", "walk", "look"], ["I_JUMP", "I_RUN", "I_WALK", "I_LOOK"]]),
    "around_right": GROUPS["around_right"],
}


def make_tokenizer(words: tuple[str, ...]) -> PreTrainedTokenizerFast:
    """Make a tokenizer of whole words that ends each sentence with `</s>`."""
    tokenizer = Tokenizer(WordLevel({word: index for index, word in enumerate((*SPECIAL, *words))}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    tokenizer.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", END)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


def read_pairs(path: Path) -> Dataset:
    """Read commands and their actions, one pair a line, as `IN: ... OUT: ...`."""
    pairs = [line.removeprefix("IN: ").split(" OUT: ") for line in path.read_text(encoding="utf-8").splitlines()]
    return Dataset.from_dict({"command": [pair[0] for pair in pairs], "actions": [pair[1] for pair in pairs]})


VALIDATION = "distinct lines"
"""Names the rule of `draw_validation` in the records of runs. Records without it are of an earlier rule, which drew
from all lines, so that a repeated line could stand in training and validation."""


def draw_validation(commands: Sequence[str], seed: int) -> list[int]:
    """Draw the lines of validation: a fifth of the distinct lines of training.

    Only lines that stand once are drawn, so that no line of validation is in training. In add_jump, "jump" stands
    1,467 times, so that it counts as much as the other verbs. It stays in training whole.

    Args:
        commands: The command of each line.
        seed: The seed of the draw.

    Returns:
        The indices of the drawn lines, in ascending order.
    """
    often = Counter(commands)
    once = [index for index, command in enumerate(commands) if often[command] == 1]
    return sorted(random.Random(seed).sample(once, len(often) // 5))


def load_split(folder: Path, split: str, seed: int) -> DatasetDict:
    """Load train, validation (see `draw_validation`) and test as tokens. The last two are sorted by length."""
    source, target = make_tokenizer(COMMANDS), make_tokenizer(ACTIONS)

    def tokenize(batch: dict[str, list[str]]) -> dict[str, list[list[int]] | list[int]]:
        labels = target(batch["actions"])["input_ids"]
        inputs = source(batch["command"], return_token_type_ids=False)
        return {**inputs, "labels": labels, "length": [len(ids) for ids in labels]}

    lines = read_pairs(folder / f"{split}_train.txt")
    drawn = draw_validation(lines["command"], seed)
    kept = sorted(set(range(len(lines))) - set(drawn))
    test = read_pairs(folder / f"{split}_test.txt")
    parts = DatasetDict(train=lines.select(kept), validation=lines.select(drawn), test=test)
    parts = parts.map(tokenize, batched=True)
    for part in ("validation", "test"):
        parts[part] = longest_first(parts[part])
    return parts


def longest_first(part: Dataset) -> Dataset:
    """Sort sentences by the length of their actions, so that batches are padded little."""
    lengths = part["length"][:]
    return part.select(sorted(range(len(part)), key=lambda index: -lengths[index]))
