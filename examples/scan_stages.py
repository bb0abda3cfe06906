"""The stages of one SCAN experiment, which is a split, a cell and a seed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from data import write_json
from datasets import DatasetDict
from machine import Clock, machine
from scan_data import (
    ACTIONS,
    COMMANDS,
    CYCLIC_GROUPS,
    GROUPS,
    MAX_ACTIONS,
    SPECIAL,
    VALIDATION,
    load_split,
    longest_first,
    make_tokenizer,
)
from scan_training import AccuracyCurve, accuracy, train
from transformers import set_seed

from hf_equi import (
    EquiForSeq2SeqLM,
    GroupRecurrentSeq2Seq,
    RecurrentSeq2Seq,
    RecurrentSeq2SeqConfig,
    symmetrize,
)

# Batches of 64 sentences at 1e-3 instead of the published 200,000 single sentences at 1e-4.
PRETRAINING = {"max_steps": 5000, "per_device_train_batch_size": 64, "learning_rate": 1e-3, "eval_steps": 1000}
EQUIVARIANT = {**PRETRAINING, "max_steps": 2500, "eval_steps": 500}
# For finetuning, instead of 10,000 single sentences at 2e-5 and 5e-5. All of it is teacher-forced.
FINETUNING = {"max_steps": 1600, "per_device_train_batch_size": 64, "learning_rate": 1e-4, "eval_steps": 400}
SIZES = {"vocab_size": len(SPECIAL) + len(COMMANDS), "decoder_vocab_size": len(SPECIAL) + len(ACTIONS)}
ZERO_SHOT: dict[str, dict[str, Any]] = {
    "equitune, independent": {"method": "equitune", "decoding": "independent"},
    "equitune, synchronised": {"method": "equitune", "decoding": "synchronised"},
    "equizero": {"method": "equizero"},
    "equizero, published max": {"method": "equizero", "loss": "published_max_probability"},
    "equizero, entropy": {"method": "equizero", "loss": "entropy"},
    "equizero, published entropy": {"method": "equizero", "loss": "published_entropy"},
}
FINETUNED = {name: ZERO_SHOT[name] for name in ("equitune, independent", "equitune, synchronised", "equizero")}
SETTINGS = ("ours", "published")
PUBLISHED_CELLS = {"pretrain": "lstm", "zero_shot": "lstm", "finetune": "lstm", "equivariant": "rnn"}
"""The networks that are also trained with the published settings: those that fell short of the published figures."""
PARTS = ("validation", "test")
Network = TypeVar("Network", bound=RecurrentSeq2Seq)


@dataclass
class Run:
    """One split, cell and seed, with their folder.

    Args:
        data: The folder of the SCAN files.
        output: The folder of all runs.
        split: `"add_jump"` or `"around_right"`.
        cell: `"lstm"`, `"gru"` or `"rnn"`.
        seed: The seed of the split, the initial weights and the order of the batches.
        settings: `"ours"`, or `"published"` for single sentences and the published rates.
    """

    data: Path
    output: Path
    split: str
    cell: str
    seed: int
    settings: str = SETTINGS[0]

    @property
    def name(self) -> str:
        """The name of this run in the results."""
        return f"{self.split}/{self.cell}/seed{self.seed}{'' if self.settings == SETTINGS[0] else f'-{self.settings}'}"

    @property
    def folder(self) -> Path:
        """The folder of this run."""
        return self.output / self.name

    @cached_property
    def parts(self) -> DatasetDict:
        """Train, validation and test."""
        return load_split(self.data, self.split, self.seed)

    def takes(self, stage: str) -> bool:
        """Whether this run has that stage."""
        return self.settings == SETTINGS[0] or PUBLISHED_CELLS[stage] == self.cell

    def results(self, stage: str) -> dict[str, Any] | None:
        """Return the results of a finished stage, or None. Results of another rule of validation are refused."""
        path = self.folder / f"{stage}.json"
        if not path.is_file():
            return None
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if found.get("validation") != VALIDATION:
            raise SystemExit(f"{path} drew validation by an earlier rule: remove {self.folder} to run it anew")
        return found

    def finish(self, stage: str, results: dict[str, Any]) -> None:
        """Write the results of a stage with the machine and the rule of validation, all at once."""
        self.folder.mkdir(parents=True, exist_ok=True)
        record = {"machine": machine(), "validation": VALIDATION, **results}
        write_json(self.folder / f"{stage}.json", record)

    def base(self, name: str = "base") -> RecurrentSeq2Seq:
        """Load a trained base."""
        if not (self.folder / name).is_dir() or self.results("pretrain") is None:
            raise SystemExit(f"{self.folder / name} is missing: run the stage that trains it first")
        model: RecurrentSeq2Seq = RecurrentSeq2Seq.from_pretrained(self.folder / name)
        return model.eval()

    def symmetrize(self, base: RecurrentSeq2Seq, **settings: Any) -> EquiForSeq2SeqLM:
        """Make a base equivariant to the group of the split."""
        tokenizers = {"tokenizer": make_tokenizer(COMMANDS), "target_tokenizer": make_tokenizer(ACTIONS)}
        model: EquiForSeq2SeqLM = symmetrize(base, GROUPS[self.split], **tokenizers, **settings)
        return model


def make_base(run: Run) -> RecurrentSeq2Seq:
    """Make a base with random weights."""
    config = RecurrentSeq2SeqConfig(**SIZES, cell=run.cell, teacher_forcing_ratio=0.5)
    return _limit(RecurrentSeq2Seq(config))


def make_equivariant(run: Run, hidden_size: int, **config: Any) -> GroupRecurrentSeq2Seq:
    """Make a network that is equivariant by construction (Gordon et al. 2020), with random weights.

    Args:
        run: The run.
        hidden_size: The units for each element and direction.
        **config: Other entries of its configuration.
    """
    tokenizers = make_tokenizer(COMMANDS), make_tokenizer(ACTIONS)
    settings = {"cell": run.cell, "hidden_size": hidden_size, "teacher_forcing_ratio": 0.5, **config}
    return _limit(GroupRecurrentSeq2Seq.from_group(CYCLIC_GROUPS[run.split], *tokenizers, **settings))


def _limit(model: Network) -> Network:
    """Let a network answer with at most 49 tokens."""
    model.generation_config.max_length, model.generation_config.max_new_tokens = None, MAX_ACTIONS
    return model


def pretrain(run: Run) -> dict[str, Any]:
    """Train the base, and measure it."""
    set_seed(run.seed)
    return _train_network(run, make_base(run), "base", PRETRAINING)


def equivariant(run: Run) -> dict[str, Any]:
    """Train the network that is equivariant by construction, and measure it."""
    set_seed(run.seed)
    return _train_network(run, make_equivariant(run, hidden_size=32), "equivariant", EQUIVARIANT)


def _train_network(run: Run, model: RecurrentSeq2Seq, name: str, settings: dict[str, Any]) -> dict[str, Any]:
    clock = train(model, run.parts, run.folder / f"{name}_checkpoints", seed=run.seed, **settings)
    model.save_pretrained(run.folder / name)
    return {"accuracy": {part: accuracy(model, run.parts[part]) for part in PARTS}, "seconds": clock.seconds}


def zero_shot(run: Run) -> dict[str, Any]:
    """Measure the base symmetrised, without training."""
    clock = Clock()
    return {"accuracy": measure(run, run.base(), ZERO_SHOT), "seconds": clock.seconds}


def finetune(run: Run) -> dict[str, Any]:
    """Train the base symmetrised, and measure it.

    Equizero passes on the gradient of the mean. With all sentences teacher-forced and the members' objective, it takes
    the same steps as equi-tuning, so one training serves both.
    """
    set_seed(run.seed)
    base = run.base()
    model = run.symmetrize(base, method="equitune", decoding="independent")
    model.config.objective = "members"
    test = run.parts["test"].shuffle(seed=0)
    watched = longest_first(test.select(range(min(1000, len(test)))))
    shown = FINETUNED if run.split == "add_jump" else ()  # the figure shows only add_jump
    curves = [AccuracyCurve(name, run.symmetrize(base, **ZERO_SHOT[name]), watched) for name in shown]
    clock = train(
        model,
        run.parts,
        run.folder / "finetune_checkpoints",
        callbacks=curves,
        keep_best=False,
        seed=run.seed,
        **FINETUNING,
    )
    base.save_pretrained(run.folder / "finetuned")
    return {
        "accuracy": measure(run, base.eval(), FINETUNED),
        "curves": {curve.name: curve.read(run.folder / "finetune_checkpoints") for curve in curves},
        "seconds": clock.seconds,
    }


def measure(run: Run, base: RecurrentSeq2Seq, methods: dict[str, dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Return the accuracy of a base symmetrised by several methods, by method and part."""
    models = {name: run.symmetrize(base, **settings).eval() for name, settings in methods.items()}
    return {name: {part: accuracy(model, run.parts[part]) for part in PARTS} for name, model in models.items()}


STAGES: dict[str, Callable[[Run], dict[str, Any]]] = {
    "pretrain": pretrain,
    "zero_shot": zero_shot,
    "finetune": finetune,
    "equivariant": equivariant,
}
