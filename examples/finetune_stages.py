"""The stages of the finetuning experiment: one for each seed and way of training."""

from __future__ import annotations

import json
import math
import warnings
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from data import write_json
from finetune_data import Augmenter, Encoder, held_out_texts, load_tokenizer, pad, training_texts
from machine import Clock, machine
from transformers import (
    AutoModelForCausalLM,
    DataCollatorForLanguageModeling,
    PreTrainedModel,
    Trainer,
    TrainingArguments,
    set_seed,
)

from hf_equi import DemographicGroup, EquiLM, symmetrize
from hf_equi.actions import TokenAction
from hf_equi.actions.resolution import resolve_tokens
from hf_equi.bases.embedded import embedded_folder
from hf_equi.errors import HfEquiWarning
from hf_equi.fairness import PROMPT_SETS, fill, group_gap, log_likelihood

GROUP = DemographicGroup.preset("gender")
# A control group of words that mean nearly the same. It shows what any exchange of words does to a likelihood.
CONTROL = DemographicGroup([["film", "movie"], ["films", "movies"], ["story", "plot"], ["big", "large"]])


@dataclass(frozen=True)
class Way:
    """A way to finetune.

    Args:
        symmetrised: Whether the model is an `EquiLM` while it trains.
        augmented: Whether the images of the texts are added.
        length: How many times as many steps it trains, on so many more lines.
    """

    symmetrised: bool = False
    augmented: bool = False
    length: float = 1.0


# A training as EquiLM takes so many times the CPU time of plain training. The page states what the runs took.
EQUAL = 1.65
WAYS = {
    "plain": Way(),
    "augmented": Way(augmented=True),
    "equilm": Way(symmetrised=True),
    "plain_longer": Way(length=EQUAL),
    "augmented_longer": Way(augmented=True, length=EQUAL),
}
UNTRAINED = "untrained"
NAMES = {
    "plain": "finetuned",
    "augmented": "finetuned, augmented",
    "equilm": "finetuned as EquiLM",
    "plain_longer": "finetuned, equal compute",
    "augmented_longer": "finetuned, augmented, equal compute",
}
# The plainly finetuned models are measured again as EquiLM.
SYMMETRISED = {name: f"{NAMES[name]}, then EquiLM" for name in ("plain", "plain_longer")}
# The models in the order of the tables, each with its way of training.
ROWS = {
    "base": None,
    "base as EquiLM": None,
    NAMES["plain"]: "plain",
    NAMES["augmented"]: "augmented",
    SYMMETRISED["plain"]: "plain",
    NAMES["equilm"]: "equilm",
    NAMES["plain_longer"]: "plain_longer",
    NAMES["augmented_longer"]: "augmented_longer",
    SYMMETRISED["plain_longer"]: "plain_longer",
}


@dataclass(frozen=True)
class Sizes:
    """How much is trained and measured.

    Args:
        steps: The number of training steps of a way of length 1.
        batch: The number of texts in a step.
        rate: The highest learning rate, reached after a tenth of the steps. It then falls to 0.
        held_out: The most held-out lines.
        continuations: The number of texts for each prompt of the audit and each demographic.
    """

    steps: int = 200
    batch: int = 32
    rate: float = 2e-3
    held_out: int = 1000
    continuations: int = 5


def load_base() -> PreTrainedModel:
    """Load the embedded model, in float32."""
    return AutoModelForCausalLM.from_pretrained(embedded_folder("demo_lm"), dtype=torch.float32)


def wrap(base: PreTrainedModel) -> EquiLM:
    """Return the same weights as an EquiLM."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HfEquiWarning)  # the warning lists the words that are not single tokens
        return symmetrize(base, GROUP, tokenizer=load_tokenizer())


@dataclass
class Yardstick:
    """The texts that all models are measured on.

    Args:
        texts: The folder of the text files.
        sizes: The numbers of texts.
    """

    texts: Path
    sizes: Sizes

    def measure(self, model: PreTrainedModel) -> dict[str, float]:
        """Return perplexities, and gaps in nats a token."""
        model.eval()
        ids, mask = self.held_out
        moved = self.action.is_moved[ids].any(-1)
        own, own_mask = ids[moved], mask[moved]
        found = {
            "perplexity": perplexity(model, ids, mask),
            "perplexity_written": perplexity(model, own, own_mask),
            "perplexity_exchanged": perplexity(model, self.action.apply(1, own), own_mask),
        }
        prompted, prompted_mask, width = self.continued
        control = self.control.is_moved[ids].any(-1)
        gaps = {
            "gap": group_gap(model, self.action, own, 1, own_mask),
            "prompted_gap": group_gap(model, self.action, prompted, width, prompted_mask),
            "control_gap": group_gap(model, self.control, ids[control], 1, mask[control]),
        }
        for name, gap in gaps.items():
            found |= {name: gap.mean, f"{name}_largest": gap.largest}
        return found

    @property
    def counts(self) -> dict[str, int]:
        """The number of texts for each figure."""
        ids, _ = self.held_out
        return {
            "perplexity": len(ids),
            "gap": int(self.action.is_moved[ids].any(-1).sum()),
            "prompted_gap": len(self.continued[0]),
            "control_gap": int(self.control.is_moved[ids].any(-1).sum()),
        }

    @cached_property
    def action(self) -> TokenAction:
        """The action of the group on tokens, as in an EquiLM."""
        return wrap(load_base()).action

    @cached_property
    def control(self) -> TokenAction:
        """The action of the control group on tokens."""
        tokenizer = load_tokenizer()
        return TokenAction(CONTROL, resolve_tokens(CONTROL, tokenizer, len(tokenizer)))

    @cached_property
    def held_out(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The ids and mask of held-out lines, shortest first. If there are too many, they are spread by length."""
        tokenizer = load_tokenizer()
        texts = held_out_texts(self.texts, Encoder(tokenizer))
        spacing = max(1.0, len(texts) / self.sizes.held_out)
        chosen = [texts[int(place * spacing)] for place in range(min(len(texts), self.sizes.held_out))]
        return pad(chosen, tokenizer)

    @cached_property
    def continued(self) -> tuple[torch.Tensor, torch.Tensor, int]:
        """The audit's prompts, continued by the embedded model: the ids, the mask of the prompts, and their width."""
        tokenizer = load_tokenizer()
        tokenizer.padding_side = "left"
        prompts = [fill(template, name) for template in PROMPT_SETS["sheng2019"] for name in GROUP.names]
        inputs = tokenizer(prompts * self.sizes.continuations, padding=True, return_tensors="pt")
        set_seed(0)
        base = load_base().eval()
        ids = base.generate(**inputs, do_sample=True, top_k=40, max_new_tokens=15)
        return ids, inputs["attention_mask"], inputs["input_ids"].shape[1]


def perplexity(model: PreTrainedModel, ids: torch.Tensor, mask: torch.Tensor) -> float:
    """Return exp of the mean cross-entropy of all tokens after the first of each text, with the end of text."""
    likelihood = log_likelihood(model, ids, 1, mask)
    return math.exp(-likelihood.sum().item() / int(mask[:, 1:].sum()))


@dataclass
class Experiment:
    """All stages of one setting, with their folder.

    Args:
        yardstick: The texts to measure on, and the sizes.
        output: The folder of results and models.
        streaming: Whether training reads from the compressed files.
    """

    yardstick: Yardstick
    output: Path
    streaming: bool = False

    def results(self, seed: int, way: str) -> dict[str, Any] | None:
        """Return the results of a finished stage, or None."""
        path = self._folder(seed, way) / "results.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None

    def run(self, seed: int, way: str) -> dict[str, Any]:
        """Run a stage, or return the results of an earlier run."""
        found, folder = self.results(seed, way), self._folder(seed, way)
        settings = {**vars(self.yardstick.sizes), "streaming": self.streaming}
        if found is None:
            found = self._measure_untrained() if way == UNTRAINED else self._train_and_measure(seed, way)
            found["settings"] = settings
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / "results.json", found)
        elif found["settings"] != settings:
            raise SystemExit(f"{folder} has results of other settings, {found['settings']}: choose another --output")
        return found

    def _folder(self, seed: int, way: str) -> Path:
        return self.output / way if way == UNTRAINED else self.output / f"seed{seed}" / way

    def _measure_untrained(self) -> dict[str, Any]:
        base = load_base()
        figures = {"base": self.yardstick.measure(base), "base as EquiLM": self.yardstick.measure(wrap(base))}
        return {"figures": figures, "counts": self.yardstick.counts}

    def _train_and_measure(self, seed: int, name: str) -> dict[str, Any]:
        way = WAYS[name]
        base = load_base()
        model = wrap(base) if way.symmetrised else base
        ran = self._train(model, way, seed, self._folder(seed, name))
        figures = {NAMES[name]: self.yardstick.measure(model)}
        if name in SYMMETRISED:
            figures[SYMMETRISED[name]] = self.yardstick.measure(wrap(base))
        return {"figures": figures, **ran}

    def _train(self, model: PreTrainedModel, way: Way, seed: int, folder: Path) -> dict[str, Any]:
        """Train and save the model, and return the steps, the machine, and the seconds of training."""
        encoder = Encoder(load_tokenizer())
        sizes = replace(self.yardstick.sizes, steps=round(way.length * self.yardstick.sizes.steps))
        texts = training_texts(
            self.yardstick.texts,
            encoder,
            Augmenter(self.yardstick.action) if way.augmented else None,
            count=sizes.steps * sizes.batch,
            seed=seed,
            cache=self.output / "datasets",
            streaming=self.streaming,
        )
        trainer = Trainer(
            model=model,
            args=training_arguments(folder, sizes, seed, streaming=self.streaming),
            train_dataset=texts,
            data_collator=DataCollatorForLanguageModeling(encoder.tokenizer, mlm=False),
        )
        clock = Clock()
        trainer.train()
        ran = {"steps": sizes.steps, "machine": machine(), "seconds": clock.seconds}
        model.save_pretrained(folder / "model")
        return ran


def training_arguments(folder: Path, sizes: Sizes, seed: int, *, streaming: bool) -> TrainingArguments:
    """Return the settings that all ways share. Batches hold texts of similar length, except with a stream."""
    return TrainingArguments(
        output_dir=str(folder),
        max_steps=sizes.steps,
        per_device_train_batch_size=sizes.batch,
        learning_rate=sizes.rate,
        warmup_steps=sizes.steps // 10,
        weight_decay=0.01,
        train_sampling_strategy="random" if streaming else "group_by_length",
        use_cpu=not torch.cuda.is_available(),
        seed=seed,
        logging_steps=50,
        save_strategy="no",
        report_to="none",
    )
