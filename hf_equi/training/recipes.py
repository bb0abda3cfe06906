"""The training phases of the papers, for a model."""

from __future__ import annotations

from typing import Any

from hf_equi.errors import ConfigurationError
from hf_equi.models.clip import EquiCLIPModel
from hf_equi.models.image_classification import EquiForImageClassification
from hf_equi.symmetrizers import OrbitAttention
from hf_equi.training.phases import Phase

__all__ = ["corrected_phases", "published_phases"]

_TWICE = "published_double_softmax"
_ONCE = "cross_entropy"


def published_phases(model: Any) -> list[Phase]:
    """Return the phases of arXiv 2305.09900, §5.2, for a model and its method.

    - CLIP, λ-equitune: λ at 0.3, 1,000 steps of 32 images, with the base frozen; then the base at 5e-7 with λ frozen.
      Equitune and equizero: the base at 1e-3. The base trains 4,000 steps, to the end of the figures. The softmax is
      taken twice, as in the authors' code.
    - Classifiers, §5.2.2: the last two layers at 1e-3, everything else frozen; before it λ, if there is one, at 1e-3.
      Ten epochs, batches of 4 and SGD come from the authors' code, which trains both in one phase.
    - Attention has no λ to train at 0.3: its network trains with Adam at 1e-2 at most, as Vlasenko et al. 2024 advise.

    The authors' code averages probabilities (`level="probabilities"`) of cosines that are not scaled by CLIP's
    temperature, and λ reads features of length 1. A model here keeps its temperature and its features.

    A canonicalizer is frozen in all of these phases: train it before them (`Phase(..., trains="canonicalizer")`).

    Args:
        model: An `EquiCLIPModel` or `EquiForImageClassification`.

    Raises:
        ConfigurationError: For other models.

    Example:
        >>> from transformers import ResNetConfig, ResNetForImageClassification
        >>> from hf_equi import ImageGroup, symmetrize
        >>> sizes = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"}
        >>> model = symmetrize(ResNetForImageClassification(ResNetConfig(**sizes)), ImageGroup.rotations(4), "lambda")
        >>> [(phase.name, phase.trains, phase.learning_rate) for phase in published_phases(model)]
        [('lambda', 'lambda', 0.001), ('last_layers', 'last_layers', 0.001)]
    """
    if _is_clip(model):
        if not _weighs(model):
            return [Phase("base", "base", 1e-3, max_steps=4000, objective=_TWICE)]
        return [_clip_lambda(model, _TWICE), Phase("base", "base", 5e-7, max_steps=4000, objective=_TWICE)]
    probe = Phase("last_layers", "last_layers", 1e-3, epochs=10, batch_size=4, objective=_ONCE)
    return [_classifier_lambda(model), probe] if _weighs(model) else [probe]


def corrected_phases(model: Any) -> list[Phase]:
    """Return the published phases as corrected by Vlasenko et al. 2024: one softmax, and finally all weights trained.

    λ stays trainable in the second phase, which trains end to end with Adam: at 5e-6 for CLIP, the rate of their code;
    at 1e-4 for classifiers, which they did not train.

    Args:
        model: An `EquiCLIPModel` or `EquiForImageClassification`.

    Raises:
        ConfigurationError: For other models.

    References:
        https://github.com/iasonsky/EfficientEquivariantTransferLearning, `Blogpost.md` 4.1.

    Example:
        >>> from transformers import ResNetConfig, ResNetForImageClassification
        >>> from hf_equi import ImageGroup, symmetrize
        >>> sizes = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"}
        >>> model = symmetrize(ResNetForImageClassification(ResNetConfig(**sizes)), ImageGroup.rotations(4), "lambda")
        >>> [(phase.name, phase.trains, phase.optimizer) for phase in corrected_phases(model)]
        [('lambda', 'lambda', 'sgd'), ('end_to_end', 'all', 'adamw_torch')]
    """
    clip = _is_clip(model)
    length: dict[str, Any] = {"max_steps": 4000} if clip else {"epochs": 10}
    rate = 5e-6 if clip else 1e-4
    last = Phase("end_to_end", "all", rate, optimizer="adamw_torch", objective=_ONCE, **length)
    if not _weighs(model):
        return [last]
    return [_clip_lambda(model, _ONCE) if clip else _classifier_lambda(model), last]


def _clip_lambda(model: Any, objective: str) -> Phase:
    rate, optimizer = (1e-2, "adamw_torch") if _attends(model) else (0.3, "sgd")
    return Phase("lambda", "lambda", rate, max_steps=1000, optimizer=optimizer, objective=objective)


def _classifier_lambda(model: Any) -> Phase:
    optimizer = "adamw_torch" if _attends(model) else "sgd"
    return Phase("lambda", "lambda", 1e-3, epochs=10, batch_size=4, optimizer=optimizer, objective=_ONCE)


def _weighs(model: Any) -> bool:
    weighs: bool = model.method.weigh.has_network
    return weighs


def _attends(model: Any) -> bool:
    return isinstance(model.lambda_network, OrbitAttention)


def _is_clip(model: Any) -> bool:
    """Return which of the two kinds of models with phases it is."""
    if isinstance(model, EquiCLIPModel):
        return True
    if isinstance(model, EquiForImageClassification):
        return False
    raise ConfigurationError(
        f"The papers have no phases for a {type(model).__name__}: pass an EquiCLIPModel or EquiForImageClassification "
        "from hf_equi.symmetrize, or make a hf_equi.training.Phase"
    )
