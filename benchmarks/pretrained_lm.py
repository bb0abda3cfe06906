"""Time EquiLM, mixture and canonical on a pretrained model, and how long loading takes, as ratios.

    python benchmarks/pretrained_lm.py --model DIR --output docs/benchmarks.md

`examples/real_models.py` makes the folder of SmolLM2. Every ratio comes from one run in which both sides take turns.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import workload
from causal_lm import generates, orbit
from command import Benchmark
from timing import Claim, Measure, timed
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM
from transformers.utils import logging

import hf_equi
from hf_equi import DemographicGroup, EquiLM
from hf_equi.errors import GroupWarning

TITLE = "A pretrained language model"
SUMMARY = "Time symmetrised SmolLM2 against plain transformers: sampling, and loading."
DESCRIPTION = """\
SmolLM2-135M-Instruct (135M parameters, 49,152 tokens, float32), in the folder that `examples/real_models.py` makes,
and the gender preset, which has order 2. Sampling adds 64 tokens to one prompt, "The man worked as". *plain* is
`generate` of the unwrapped model with the same settings, on that prompt alone or on 2 rows: the prompt and its image.
*plain loading* is `AutoModelForCausalLM.from_pretrained` and `AutoTokenizer.from_pretrained` of the base. Loading is
timed in a process that has imported everything and has loaded both sides once, from files that the system holds in
memory. Plain loading then takes about a quarter of a second: it maps the weights into memory and reads none of them.
The library reads each weight once, to refuse numbers that are not finite. That takes about a fifth of the time of
plain loading. The library also looks up the words of the group in the tokenizer. In return, it reads the vocabulary of
a folder once where transformers reads it twice. The first token needs all weights in any case, so the last two rows go
on to its probabilities.
"""
NAMES = (
    "orbit-2",
    "mixture",
    "canonical",
    "load-preset",
    "load-saved",
    "first-token-preset",
    "first-token-saved",
)
PROMPT = "The man worked as"


@dataclass(frozen=True)
class Workload:
    """The model that is timed.

    Args:
        folder: The folder of the base and its tokenizer.
        new_tokens: The number of tokens that `generate` adds to the prompt.
        place: The folder where a symmetrised model is saved. It is deleted with this object.
    """

    folder: str
    new_tokens: int = 64
    place: tempfile.TemporaryDirectory[str] = field(default_factory=tempfile.TemporaryDirectory)

    @classmethod
    def of_arguments(cls, arguments: argparse.Namespace) -> Workload:
        """Make the workload of a command line. A smoke run makes its own tiny base."""
        logging.disable_progress_bar()
        gc.freeze()  # what is imported stays: else each collection looks through all of it
        if arguments.smoke:
            place: tempfile.TemporaryDirectory[str] = tempfile.TemporaryDirectory()
            return cls(save_tiny(Path(place.name) / "base", arguments.seed), new_tokens=4, place=place)
        if arguments.model is None or not arguments.model.is_dir():
            print("Pass --model DIR, the folder smollm2 that examples/real_models.py makes", file=sys.stderr)
            raise SystemExit(2)
        return cls(str(arguments.model))

    def symmetrize(self, method: str = "equitune") -> EquiLM:
        """Make the base of the folder equivariant to the preset, by the name of the folder."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", GroupWarning)  # about words that are several tokens
            return hf_equi.symmetrize(self.folder, DemographicGroup.preset("gender"), method)

    def load_base(self) -> tuple[Any, Any]:
        """Load the base and its tokenizer as transformers does."""
        return AutoModelForCausalLM.from_pretrained(self.folder), AutoTokenizer.from_pretrained(self.folder)

    def first_token(self, model: Any) -> tuple[Any, Any]:
        """A model, and what it says of the token behind the prompt."""
        return model, model(input_ids=self.prompt)

    @cached_property
    def saved(self) -> str:
        """The folder of a symmetrised model, saved with its base."""
        path = str(Path(self.place.name) / "saved")
        self.symmetrize().save_pretrained(path)
        return path

    @cached_property
    def base(self) -> Any:
        """The plain model. It never ends a text early."""
        base, _ = self.load_base()
        base.generation_config.eos_token_id = None
        base.generation_config.pad_token_id = 0
        return base

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer of the base."""
        return AutoTokenizer.from_pretrained(self.folder)

    @cached_property
    def prompt(self) -> torch.Tensor:
        """The tokens of the prompt, `(1, T)`."""
        return self.tokenizer(PROMPT, return_tensors="pt").input_ids

    def wrap(self, method: str, **settings: Any) -> EquiLM:
        """Make the base in memory equivariant. All models share its weights."""
        group = DemographicGroup.preset("gender")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", GroupWarning)
            return hf_equi.symmetrize(self.base, group, method, tokenizer=self.tokenizer, **settings)


def save_tiny(folder: Path, seed: int) -> str:
    """Save a Llama with random weights and a tokenizer of one token a word, to show that the code runs."""
    torch.manual_seed(seed)
    tokenizer = workload.Workload.smoke(seed).tokenizer
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **sizes)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def sampling_claims(workload: Workload) -> Iterator[Claim]:
    """One text at a time, with the methods that need no scorer."""
    ids, new = workload.prompt, workload.new_tokens
    lm = workload.wrap("equitune")
    pair = {"plain on 2 rows": generates(workload.base, orbit(lm, ids), new)}
    yield Claim("orbit-2", "EquiLM, one prompt", generates(lm, ids, new), pair, 1.05)
    plain = {"plain on one row": generates(workload.base, ids, new)}
    for method in ("mixture", "canonical"):
        yield Claim(method, f"`{method}`, one prompt", generates(workload.wrap(method), ids, new), plain, 1.05)


def loading_claims(workload: Workload) -> Iterator[Claim]:
    """Loading alone, and up to the probabilities of the first token."""
    ways: dict[str, tuple[str, Callable[[], EquiLM]]] = {
        "preset": ("`symmetrize(name, preset)`", workload.symmetrize),
        "saved": ("`EquiLM.from_pretrained` of a saved model", lambda: EquiLM.from_pretrained(workload.saved)),
    }
    _ = workload.saved  # written before the clock starts
    plain = {"plain loading": worked(workload.load_base)}
    for name, (text, load) in ways.items():
        yield Claim(f"load-{name}", text, worked(load), plain, 1.2)
    plain = {"plain": worked(lambda: workload.first_token(workload.load_base()[0]))}
    for name, (text, load) in ways.items():
        ours = worked(lambda load=load: workload.first_token(load()))
        yield Claim(f"first-token-{name}", f"{text} and the first token", ours, plain, None)


def worked(run: Callable[[], object]) -> Measure:
    """Measure the CPU time of a call that makes a model, without collecting garbage or giving the model back."""
    made: list[object] = []
    measure = timed(lambda: made.append(run()))

    def alone() -> float:
        gc.collect()
        took = measure()
        made.clear()
        return took

    return alone


def claims(workload: Workload, smoke: bool) -> list[Claim]:
    """Return all claims, in the order of the table."""
    return [*sampling_claims(workload), *loading_claims(workload)]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the option for the base."""
    parser.add_argument("--model", type=Path, metavar="DIR", help="the folder that examples/real_models.py makes")


def main() -> None:
    """Measure and write the page."""
    Benchmark(TITLE, DESCRIPTION, SUMMARY, NAMES, claims, Workload.of_arguments, add_arguments).run()


if __name__ == "__main__":
    main()
