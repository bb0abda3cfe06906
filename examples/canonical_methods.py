"""The groups, the turns, and what the experiment on canonicalization measures and trains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from transformers import ResNetConfig, ResNetForImageClassification
from vision_methods import ADAM, ALL

from hf_equi import ImageGroup
from hf_equi.canonicalization import FiniteCanonicalizer, GroupConvolution, OrbitScorer
from hf_equi.training import Phase

GROUPS = {"C4": ImageGroup.rotations(4), "C8": ImageGroup.rotations(8)}
ALONE = {"none": ImageGroup.trivial()}
"""The group of models that are not symmetrised."""
TURNS: dict[str, int | None] = {"upright": 1, "C4": 4, "C8": 8, "any": None}
"""How test images are turned: by one of so many equal steps, or by any angle."""
VECTOR = 32


def scorer(group: ImageGroup) -> OrbitScorer:
    """Return a small ResNet that looks at each view, with new weights."""
    sizes = {"embedding_size": 16, "hidden_sizes": [16, 32, 64], "depths": [1, 1, 1], "layer_type": "basic"}
    return OrbitScorer(ResNetForImageClassification(ResNetConfig(**sizes, num_labels=VECTOR)), group, size=VECTOR)


# Trained by the prior alone, without a base and without labels, so that one serves all bases.
BY_PRIOR: dict[str, tuple[Callable[[ImageGroup], FiniteCanonicalizer], Phase]] = {
    "prior only": (
        GroupConvolution,
        Phase("prior", "canonicalizer", 1e-2, epochs=4, batch_size=64, optimizer=ADAM.optimizer),
    ),
    "orbit scorer": (
        scorer,
        Phase("scorer", "canonicalizer", 3e-3, epochs=2, batch_size=64, optimizer=ADAM.optimizer),
    ),
}
UNTRAINED: dict[str, dict[str, Any]] = {
    "equitune": {"method": "equitune"},
    "equizero": {"method": "equizero"},
}
ENERGY = "energy"
LAMBDA = "λ-equitune"
FROZEN = (*BY_PRIOR, ENERGY, *UNTRAINED, LAMBDA)
"""What is measured with the base as it is."""

JOINT = replace(ALL, batch_size=64)
CANONICALIZER_RATE = 1e-2  # beside that of the base, which is the one of the phase
PLAIN = "plain finetuning"
FINETUNED: dict[str, dict[str, Any]] = {
    "augmentation": {"method": "identity"},
    "LC": {"method": "canonical", "prior_weight": 0.0},
    "prior-LC": {"method": "canonical"},
}
AUGMENTED = {"C4": 2, "C8": 3}  # epochs of augmentation in the CPU time of one epoch of the others


def finetuned_by(group: str) -> dict[str, tuple[dict[str, Any], Phase]]:
    """Return all that is finetuned for a group, or for none."""
    if group not in GROUPS:
        return {PLAIN: ({"method": "identity"}, JOINT)}
    phases = {"augmentation": replace(JOINT, epochs=AUGMENTED[group])}
    return {name: (settings, phases.get(name, JOINT)) for name, settings in FINETUNED.items()}


def finetune_stage(group: str) -> str:
    """Return the name of the stage that finetunes for one group, or for none."""
    return f"finetune_{group}"
