"""One experiment on a real language model: its folders, its models, and the functions that its stages share."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch
from machine import progress
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from hf_equi import DemographicGroup, RegardScorer, symmetrize
from hf_equi.errors import GroupWarning
from hf_equi.fairness.likelihood import log_likelihood
from hf_equi.fairness.resampling import Blocks, Resampling, ratio_interval
from hf_equi.groups.demographic import occupations

GROUPS = {
    "gender": DemographicGroup.preset("gender"),
    "race": DemographicGroup.preset("race", elements=["Black", "White"]),
    "sexuality": DemographicGroup.preset("sexuality"),
}
COMPOSED = "EquiLM, composed"
"""The EquiLM that moves words of several tokens, too."""


class Way(NamedTuple):
    """How the base becomes a model: the name of the method, whether the group is relaxed, and which words move."""

    method: str | None
    relaxed: bool = False
    multi_token: str = "skip"


AUDITED = {
    "base": Way(None),
    "EquiLM": Way("equitune"),
    "R-EquiLM": Way("equitune", relaxed=True),
    "EquizeroLM": Way("equizero"),
    "mixture": Way("mixture"),
    "canonical": Way("canonical"),
}
"""The models of an audit."""
METHODS = {**AUDITED, COMPOSED: Way("equitune", multi_token="compose")}
"""All models."""
SCORED = ("base", "EquiLM", COMPOSED, "R-EquiLM", "mixture", "canonical")
"""The methods that have a likelihood."""


@dataclass(frozen=True)
class Sizes:
    """How much is measured. Smaller sizes are for trials.

    Args:
        lines: The number of lines of each corpus for perplexity.
        tokens: The most tokens of such a line.
        professions: The number of sentences for each pair of words.
        batches: The batch sizes that are timed.
        new_tokens: The number of tokens of each timed text.
        repeats: The number of times that each is timed.
        answer: The most tokens of an answer in chat.
        composed: The number of lines with words of several tokens; a fifth as many prompts of each group have some.
        sampled: The number of sampled continuations of each prompt with such words.
        continued: The most tokens of one, and of the texts that are shown.
        exact: How many prompts and lines are measured with `look_ahead=0`, which takes seconds for each token.
        exact_tokens: The most tokens of such a line.
        exact_continued: The most tokens of a continuation then.
    """

    lines: int = 10
    tokens: int = 48
    professions: int = 6
    batches: tuple[int, ...] = (1, 8)
    new_tokens: int = 32
    repeats: int = 3
    answer: int = 48
    composed: int = 60
    sampled: int = 2
    continued: int = 16
    exact: int = 3
    exact_tokens: int = 20
    exact_continued: int = 3


def unwarned() -> AbstractContextManager[None]:
    """Say nothing of words that stay: `hf-equi inspect` shows them."""
    return warnings.catch_warnings(action="ignore", category=GroupWarning)


@dataclass
class Experiment:
    """A language model, the data, and the folder of results.

    Args:
        data: The folder of all data.
        model: The folder of the language model, or its name.
        output: The folder of the results.
        audits: The folder that holds the audits, one for each pair and seed, such as `gender-7`.
        seed: The seed of everything that is drawn here.
        sizes: How much is measured.
    """

    data: Path
    model: str
    output: Path
    audits: Path
    seed: int = 7
    sizes: Sizes = Sizes()

    def results(self, stage: str) -> dict[str, Any] | None:
        """Return the results of a finished stage, or None."""
        path = self.output / f"{stage}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None

    @cached_property
    def base(self) -> PreTrainedModel:
        """The language model, unchanged."""
        return AutoModelForCausalLM.from_pretrained(self.model, dtype=torch.float32, use_safetensors=True).eval()

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer of the language model."""
        return AutoTokenizer.from_pretrained(self.model)

    def symmetrize(self, name: str, group: DemographicGroup, **settings: Any) -> Any:
        """Symmetrise the language model with a method, or return the model itself for the base."""
        way = METHODS[name]
        if way.method is None:
            return self.base
        if way.method == "equizero":
            settings["scorer"] = RegardScorer("demo")
        settings |= {"tokenizer": self.tokenizer, "multi_token": way.multi_token}
        group = group.relax(neutral=occupations()) if way.relaxed else group
        with unwarned():
            return symmetrize(self.base, group, way.method, **settings)

    def likelihoods(self, model: PreTrainedModel, texts: Sequence[Sequence[int]], title: str) -> torch.Tensor:
        """Return the log-likelihood of each text `(N,)`, given its first token."""
        found = []
        for start in progress(range(0, len(texts), 32), title):
            some = texts[start : start + 32]
            longest = max(map(len, some))
            ids = torch.tensor([[*text, *[0] * (longest - len(text))] for text in some])
            mask = torch.tensor([[1] * len(text) + [0] * (longest - len(text)) for text in some])
            found.append(log_likelihood(model, ids, 1, mask, eos_token_id=()))
        return torch.cat(found)

    def chat(self, text: str) -> str:
        """Format a message to the model with its chat template."""
        turns = [{"role": "user", "content": text}]
        return self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)


def mean_and_interval(values: Sequence[float], counts: Sequence[float], blocks: Sequence[str]) -> dict[str, Any]:
    """Return a ratio of sums with its 95 per cent interval. Values of one block are resampled together."""
    number = {name: place for place, name in enumerate(dict.fromkeys(blocks))}
    of_row = Blocks.read([""] * len(values), [number[name] for name in blocks])
    interval = ratio_interval(of_row, values, counts, Resampling(seed=0))
    return {"mean": sum(values) / sum(counts), "interval": interval}
