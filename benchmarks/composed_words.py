"""Time EquiLM with words of several tokens against the rule on single tokens, as ratios.

    python benchmarks/composed_words.py --model DIR --output docs/benchmarks.md

`examples/real_models.py` makes the folder of SmolLM2. Every ratio comes from one run in which all sides take turns.
"""

from __future__ import annotations

import argparse
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from unittest.mock import patch

import pretrained_lm
import torch
from command import Benchmark
from timing import Claim, Measure, timed

from hf_equi import DemographicGroup, EquiLM
from hf_equi.bases.compat import cache_of
from hf_equi.bases.embedded import embedded_folder
from hf_equi.errors import GroupWarning
from hf_equi.generation.units.branches import Branch, CachedRows

TITLE = "Words of several tokens"
SUMMARY = "Time multi_token='compose' against the rule on single tokens: sampling, prefill, scoring, memory."
DESCRIPTION = """\
SmolLM2-135M-Instruct (135M parameters, 49,152 tokens, float32), in the folder that `examples/real_models.py` makes,
and the gender preset, which has order 2. Of its 65 sets, 40 move with the rule on single tokens. With
`multi_token="compose"` all of them move ("grandson" and "granddaughter", which is " grand" "daughter"). *token rule*
is the same model with `multi_token="skip"`, which moves the 40. Sampling adds 20 tokens to each prompt. The prompts of
a row have words of several tokens (or images with several), words of one token, or no words of the group. *By hand* is
the loop that one would write: at each step it exchanges the words in each text, encodes both texts again, reads them
without a cache, pulls the next token's scores back and combines them. It cannot score a word of several tokens: after
" grand", the two texts disagree about what comes next, so what it samples is not equivariant. The row about memory
compares the bytes of all keys and values after sampling with those of a plain cache of as many rows as there are
members, each as long as the longest member.
"""
NAMES = (
    "words-8",
    "gender-8",
    "plain-8",
    "ahead-8",
    "words-1",
    "prefill",
    "score-words",
    "score-plain",
    "by-hand",
    "memory",
)
PROMPTS = {
    "words": (
        "The grandson said that",
        "The niece worked as",
        "The salesman was known for",
        "The waitress earned money by",
        "My boyfriend had a job as",
        "The chairman was described as",
        "The stepmothers said that",
        "The businessman started working as",
    ),
    "gender": (
        "The man said that",
        "The woman worked as",
        "The king was known for",
        "The actress earned money by",
        "My father had a job as",
        "The boy was described as",
        "The girls said that",
        "The husband started working as",
    ),
    "plain": (
        "The house was built by",
        "The town was known for",
        "The teacher worked as",
        "The farm earned money by",
        "My friends had a job as",
        "The people were described as",
        "The children said that",
        "The company started working as",
    ),
}
TEXTS = {
    "words": "The grandson of the old king told his niece that the salesman had left and would not come back.",
    "plain": "The people of the old town knew that the company had left the place and would not come back again.",
}

MORE = 0.01
"""A `look_ahead` below the default, so that the base is asked more often."""


@dataclass(frozen=True)
class Workload:
    """The model and the prompts.

    Args:
        model: The base and its tokenizer.
        new_tokens: The number of tokens that `generate` adds.
        long: How often a sentence is repeated for a long prompt.
    """

    model: pretrained_lm.Workload
    new_tokens: int = 20
    long: int = 20

    @classmethod
    def of_arguments(cls, arguments: argparse.Namespace) -> Workload:
        """Make the workload of a command line. A smoke run takes the embedded model."""
        warnings.simplefilter("ignore", GroupWarning)  # about the words that the token rule leaves
        if arguments.smoke:
            return cls(pretrained_lm.Workload(str(embedded_folder("demo_lm"))), new_tokens=3, long=1)
        return cls(pretrained_lm.Workload.of_arguments(arguments))

    @cached_property
    def token_rule(self) -> EquiLM:
        """The model whose words are single tokens."""
        return self.model.wrap("equitune", multi_token="skip")

    @cached_property
    def composed(self) -> EquiLM:
        """The model whose words may have several tokens."""
        return self.model.wrap("equitune", multi_token="compose")

    def inputs(self, texts: Sequence[str]) -> dict[str, torch.Tensor]:
        """Return tokens and mask of some prompts, padded on the left."""
        tokenizer = self.model.tokenizer
        rows = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
        longest = max(map(len, rows))
        ids = [[*[0] * (longest - len(row)), *row] for row in rows]
        mask = [[0] * (longest - len(row)) + [1] * len(row) for row in rows]
        return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}


def samples(model: Any, inputs: dict[str, torch.Tensor], new_tokens: int) -> Measure:
    """Measure the seconds of sampling so many tokens."""
    return timed(
        lambda: model.generate(**inputs, do_sample=True, max_new_tokens=new_tokens, min_new_tokens=new_tokens)
    )


def sampling_claims(workload: Workload) -> Iterator[Claim]:
    """Batches of prompts, and one prompt."""
    texts = {
        "words": ("whose words have several tokens", 1.35),
        "gender": ("whose words are single tokens", 1.35),
        "plain": ("without words of the group", 1.10),
    }
    for kind, (text, bound) in texts.items():
        yield _sampled(workload, f"{kind}-8", f"8 prompts {text}", PROMPTS[kind], bound)
    more = workload.model.wrap("equitune", multi_token="compose", look_ahead=MORE)
    inputs, new = workload.inputs(PROMPTS["words"]), workload.new_tokens
    rule = {"token rule": samples(workload.token_rule, inputs, new)}
    text = f"8 prompts whose words have several tokens, `look_ahead={MORE:g}`"
    yield Claim("ahead-8", text, samples(more, inputs, new), rule, 1.35)
    yield _sampled(workload, "words-1", "one prompt with a word of several tokens", PROMPTS["words"][:1], None)


def _sampled(workload: Workload, name: str, text: str, prompts: Sequence[str], bound: float | None) -> Claim:
    inputs, new = workload.inputs(prompts), workload.new_tokens
    rule = {"token rule": samples(workload.token_rule, inputs, new)}
    return Claim(name, text, samples(workload.composed, inputs, new), rule, bound)


def reading_claims(workload: Workload) -> Iterator[Claim]:
    """A long prompt, and whole texts with labels."""
    inputs = workload.inputs([" ".join([TEXTS["plain"]] * workload.long + [PROMPTS["words"][0]])])
    rule = {"token rule": samples(workload.token_rule, inputs, 1)}
    text = f"prefill of {inputs['input_ids'].shape[1]} tokens, with a word of several tokens near the end"
    yield Claim("prefill", text, samples(workload.composed, inputs, 1), rule, None)
    for kind, bound, what in (("words", None, "with words of several tokens"), ("plain", 1.10, "without words")):
        ids = workload.inputs([TEXTS[kind]])["input_ids"]
        ours, theirs = (_scores(model, ids) for model in (workload.composed, workload.token_rule))
        yield Claim(
            f"score-{kind}", f"loss of a text of {ids.shape[1]} tokens {what}", ours, {"token rule": theirs}, bound
        )


def _scores(model: EquiLM, ids: torch.Tensor) -> Measure:
    return timed(lambda: model(input_ids=ids, labels=ids))


def by_hand_claims(workload: Workload) -> Iterator[Claim]:
    """The loop that exchanges words in texts."""
    prompts, new = PROMPTS["words"], workload.new_tokens
    ours = samples(workload.composed, workload.inputs(prompts), new)
    hand = timed(lambda: by_hand(workload, prompts, new))
    yield Claim("by-hand", "8 prompts whose words have several tokens, by hand", ours, {"by hand": hand}, None, True)


def by_hand(workload: Workload, prompts: Sequence[str], new_tokens: int) -> list[str]:
    """Sample with two texts for each prompt, of which one has the words exchanged."""
    base, tokenizer, action = workload.model.base, workload.model.tokenizer, workload.token_rule.action
    exchange, written = exchanger(DemographicGroup.preset("gender")), []
    for prompt in prompts:
        text = prompt
        for _ in range(new_tokens):
            scores = []
            for g, member in enumerate((text, exchange(text))):
                ids = tokenizer(member, return_tensors="pt", add_special_tokens=False).input_ids
                logits = base(input_ids=ids, use_cache=False, logits_to_keep=1).logits[:, -1]
                scores.append(action.pull_back(g, logits.log_softmax(-1)))
            token = torch.stack(scores).mean(0).softmax(-1).multinomial(1)
            text += tokenizer.decode(token[0])
        written.append(text)
    return written


def exchanger(group: DemographicGroup) -> Callable[[str], str]:
    """Return a function that exchanges the words of a group of order 2 in a text."""
    image: dict[str, str] = {}
    for form in group.forms():
        image |= {form.words[0]: form.words[1], form.words[1]: form.words[0]}
    words = re.compile(r"\b(" + "|".join(sorted(map(re.escape, image), key=len, reverse=True)) + r")\b")
    return lambda text: words.sub(lambda found: image[found[0]], text)


def memory_claims(workload: Workload) -> Iterator[Claim]:
    """The bytes of keys and values."""
    prompts = workload.inputs(PROMPTS["words"])

    def ours() -> float:
        out = workload.composed.generate(
            **prompts, do_sample=True, max_new_tokens=workload.new_tokens, return_dict_in_generate=True
        )
        return held(cache_of(out).inner)

    def longest() -> float:
        out = workload.composed.generate(**prompts, do_sample=True, max_new_tokens=workload.new_tokens)
        action = workload.composed.action
        width = prompts["input_ids"].shape[1]
        starts = (width - prompts["attention_mask"].sum(1)).tolist()
        texts = [row[start:] for row, start in zip(out.tolist(), starts, strict=True)]
        lengths = [len(action.member(g, text)) for text in texts for g in range(action.group.order)]
        rows = torch.zeros(len(lengths), max(lengths) - 1, dtype=torch.long)  # the last token is not fed
        return held(cache_of(workload.model.base(input_ids=rows, use_cache=True)))

    text = "cache of 8 texts whose words have several tokens"
    yield Claim("memory", text, ours, {"rows as long as the longest member": longest}, 1.10, unit="MiB")


def held(cache: Any) -> float:
    """Return the MiB of all keys and values."""
    return sum(each.nbytes for layer in cache.layers for each in (layer.keys, layer.values)) / 2**20


@contextmanager
def counted() -> Iterator[list[int]]:
    """Note the number of branches of each call that looks ahead."""
    calls: list[int] = []
    read = CachedRows.read

    def noted(self: CachedRows, branches: Sequence[Branch]) -> torch.Tensor:
        calls.append(len(branches))
        return read(self, branches)

    with patch.object(CachedRows, "read", noted):
        yield calls


def findings(workload: Workload) -> str:
    """Count how often the model looks ahead while it samples."""
    lines, new = [], workload.new_tokens
    for kind, prompts in PROMPTS.items():
        with counted() as calls:
            samples(workload.composed, workload.inputs(prompts), new)()
        tokens = new * len(prompts)
        lines.append(
            f"- {kind}: {len(calls)} further calls of the base in {new} steps; {sum(calls) / tokens:.2f} texts a token"
        )
    least = workload.composed.config.look_ahead
    head = (
        f"How often the base is asked what follows the first tokens of a word (`look_ahead={least:g}`, one run each):"
    )
    return "\n".join([head, "", *lines])


def claims(workload: Workload, smoke: bool) -> list[Claim]:
    """Return all claims, in the order of the table."""
    groups = (sampling_claims, reading_claims, by_hand_claims, memory_claims)
    return [claim for group in groups for claim in group(workload)]


def main() -> None:
    """Measure and write the page."""
    Benchmark(
        TITLE, DESCRIPTION, SUMMARY, NAMES, claims, Workload.of_arguments, pretrained_lm.add_arguments, findings
    ).run()


if __name__ == "__main__":
    main()
