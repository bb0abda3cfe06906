"""SCAN (Lake and Baroni 2018): commands, their actions, the two vocabularies, and the groups that act on them."""

from __future__ import annotations

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
# networks of Gordon et al. 2019 are built over.
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


def load_split(folder: Path, split: str, seed: int) -> DatasetDict:
    """Load train, validation (a fifth of train, drawn by the seed) and test as tokens. The last two are sorted."""
    source, target = make_tokenizer(COMMANDS), make_tokenizer(ACTIONS)

    def tokenize(batch: dict[str, list[str]]) -> dict[str, list[list[int]] | list[int]]:
        labels = target(batch["actions"])["input_ids"]
        inputs = source(batch["command"], return_token_type_ids=False)
        return {**inputs, "labels": labels, "length": [len(ids) for ids in labels]}

    train = read_pairs(folder / f"{split}_train.txt").train_test_split(test_size=0.2, seed=seed)
    test = read_pairs(folder / f"{split}_test.txt")
    parts = DatasetDict(train=train["train"], validation=train["test"], test=test).map(tokenize, batched=True)
    parts["validation"] = parts["validation"].sort("length", reverse=True)
    parts["test"] = parts["test"].sort("length", reverse=True)
    return parts
