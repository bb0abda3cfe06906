"""The models and batches of the training benchmark: random weights, and rows that the group moves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from transformers import PreTrainedModel, ViTConfig, ViTForImageClassification, set_seed
from workload import GENDER, Workload

import hf_equi
from hf_equi import DemographicGroup, ImageGroup

__all__ = ["KINDS", "TrainingWorkload"]

GROUPS: dict[str, Any] = {
    "texts-2": GENDER,
    "texts-4": GENDER * DemographicGroup([["gay", "straight"]]),
    "images-4": ImageGroup.rotations(4),
}
KINDS = tuple(GROUPS)


@dataclass(frozen=True)
class TrainingWorkload:
    """One model, and a batch.

    Args:
        kind: `"texts-2"` or `"texts-4"`, a language model and a group of order 2 or 4; `"images-4"`, an image
            classifier and the rotations by 90°.
        seed: The seed of weights and batch.
        small: Whether to make a tiny model, for smoke runs.
    """

    kind: str
    seed: int = 0
    small: bool = False

    @property
    def order(self) -> int:
        """The order of the group."""
        return int(GROUPS[self.kind].order)

    @cached_property
    def _texts(self) -> Workload:
        if self.small:
            return Workload.smoke(self.seed)
        sizes = {"layers": 6, "width": 512, "vocab_size": 16384, "prompts": 4, "scored_tokens": 64}
        return Workload(self.seed, **sizes)

    @property
    def _reads_texts(self) -> bool:
        return self.kind.startswith("texts")

    @cached_property
    def base(self) -> PreTrainedModel:
        """The plain model."""
        if self._reads_texts:
            return self._texts.base
        set_seed(self.seed)
        width, side = (32, 64) if self.small else (384, 224)
        sizes = {"num_hidden_layers": 1 if self.small else 6, "num_attention_heads": width // 32, "patch_size": 32}
        return ViTForImageClassification(
            ViTConfig(image_size=side, hidden_size=width, intermediate_size=4 * width, num_labels=100, **sizes)
        )

    @cached_property
    def batch(self) -> dict[str, torch.Tensor]:
        """Inputs and labels. Every element of the group but the identity moves every row."""
        if self._reads_texts:
            ids = self._texts.ids("all", self._texts.scored_tokens)
            return {"input_ids": ids, "labels": ids}
        generator = torch.Generator().manual_seed(self.seed)
        count, side = 2 if self.small else 16, self.base.config.image_size
        labels = torch.randint(self.base.config.num_labels, (count,), generator=generator)
        return {"pixel_values": torch.randn(count, 3, side, side, generator=generator), "labels": labels}

    def symmetrize(self, chunk: int | None = None) -> PreTrainedModel:
        """Make the base equivariant. All models share its weights."""
        settings = {"tokenizer": self._texts.tokenizer} if self._reads_texts else {}
        model: PreTrainedModel = hf_equi.symmetrize(
            self.base, GROUPS[self.kind], "equitune", orbit_chunk_size=chunk, **settings
        )
        return model

    def steps(self, model: PreTrainedModel, checkpointed: bool = False) -> Callable[[], None]:
        """Return a function that takes one step of AdamW, with activation checkpointing or without."""
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
        batch = {**self.batch, "use_cache": False} if self._reads_texts else self.batch

        def step() -> None:
            model.train()
            if checkpointed:
                model.activation_checkpointing_enable()
            else:
                model.activation_checkpointing_disable()
            loss = model(**batch).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

        return step
