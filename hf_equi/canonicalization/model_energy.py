"""The energy of a pretrained model as a canonicalizer, without training."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch.nn.functional import normalize
from transformers import PreTrainedModel

from hf_equi.actions import Action
from hf_equi.bases.chunks import in_pieces
from hf_equi.bases.similarity import similarity
from hf_equi.bases.weight_dtype import weight_dtype
from hf_equi.canonicalization.base import NOT_STORED
from hf_equi.canonicalization.held_models import answer_of, described, read_described
from hf_equi.canonicalization.orbit_scorer import OrbitCanonicalizer
from hf_equi.checks import check_choice
from hf_equi.errors import ConfigurationError
from hf_equi.groups import ImageGroup

__all__ = ["ENERGIES", "ModelEnergy"]

ENERGIES = ("logsumexp", "largest")
_BASE = "base"


class ModelEnergy(OrbitCanonicalizer):
    r"""Take the member that a pretrained model finds most usual: the one of the lowest energy. Nothing is trained.

    $$ \text{scores}(x)[h] = -E(h^{-1}x), \qquad E(x) = -\log \sum_c e^{z_c(x)} \quad\text{or}\quad -\max_c z_c(x) $$

    z are the logits of a classifier, or the similarities of an image to texts by a CLIP-like model. If the energy's
    model is the base and its answer is kept, this is equizero with one more base forward: use `method="equizero"`.

    Args:
        action: The group's action on inputs, or an `ImageGroup`, which acts on pixels.
        model: A classifier of images, or a CLIP-like model with `text_features`; by default the base of the
            symmetrised model. A model given here is frozen, stays in eval mode, and is saved with the symmetrised
            model, so it must not be the base itself.
        text_features: `(texts, dim)` the features of texts, for a CLIP-like model:
            `model.get_text_features(...).pooler_output`.
        energy: `"logsumexp"` or `"largest"`, the two forms of E.

    Raises:
        ConfigurationError: For an unknown energy; for a model that is not one of transformers, or has no energy, as
            in regression; for a CLIP-like model without features of texts, or a classifier with them; for features
            that are not a matrix.

    Cost: the model once for each element, and the base once. Guarantee: exact for exact groups.

    References:
        arXiv 2507.10375, which ranks members by the energies of CLIP and of a diffusion model. The first form of E is
        that of energy-based detection of unusual inputs, arXiv 2010.03759.

    Example:
        >>> from transformers import ResNetConfig, ResNetForImageClassification
        >>> from hf_equi import ImageGroup
        >>> sizes = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"}
        >>> model = ResNetForImageClassification(ResNetConfig(**sizes)).eval()
        >>> ModelEnergy(ImageGroup.rotations(4), model).scores(torch.rand(2, 3, 32, 32)).shape
        torch.Size([2, 4])
    """

    kind = "model_energy"
    learns = False

    def __init__(
        self,
        action: Action | ImageGroup,
        model: PreTrainedModel | None = None,
        *,
        text_features: Any = None,
        energy: str = "logsumexp",
    ) -> None:
        check_choice("energy", energy, ENERGIES)
        if model is not None and not isinstance(model, PreTrainedModel):
            raise ConfigurationError(f"A {type(model).__name__} is not a model of transformers: use an OrbitScorer")
        if text_features is not None and (not torch.is_tensor(text_features) or text_features.dim() != 2):
            given = type(text_features).__name__
            given += f" of the shape {tuple(text_features.shape)}" if torch.is_tensor(text_features) else ""
            raise ConfigurationError(
                f"text_features= are a matrix, (texts, dim), not a {given}: pass get_text_features(...).pooler_output"
            )
        if model is not None:
            _check_energy(f"A {type(model).__name__}", type(model), model.config, text_features is not None)
        super().__init__(action)
        self.energy = energy
        self.model = model
        self.texts: torch.Tensor | None
        self.register_buffer("texts", None if text_features is None else normalize(text_features.detach(), dim=-1))
        if model is not None:
            model.requires_grad_(False).eval()

    def check_base(self, base_class: type, config: Any) -> None:
        """Refuse a base without an energy, if the base is asked. The arguments are those of `Canonicalizer`.

        Raises:
            ConfigurationError: As for a model.
        """
        if self.model is None:
            _check_energy("The base", base_class, config, self.texts is not None)

    def train(self, mode: bool = True) -> ModelEnergy:
        """Set the mode; the model evaluates, so that no dropout or batch statistic changes the scores."""
        super().train(mode)
        if self.model is not None:
            self.model.requires_grad_(False).eval()  # loading has unfrozen its weights
        return self

    def scores(self, x: torch.Tensor) -> torch.Tensor:
        """Score the elements for each input, `(B, ...)` to `(B, G)`.

        Raises:
            ConfigurationError: If the energy is that of the base: call the symmetrised model.
        """
        found: torch.Tensor = self(x)[0]
        return found

    @torch.no_grad()
    def forward(self, x: torch.Tensor, base: Any = None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the scores.

        Args:
            x: `(B, ...)` inputs.
            base: The model that reads the canonical members.

        Raises:
            ConfigurationError: If neither this object nor the call has a model.
        """
        model = base if self.model is None else self.model
        if model is None:
            raise ConfigurationError(
                "This ModelEnergy has no model of its own: call the symmetrised model, or pass model="
            )
        _check_energy(f"A {type(model).__name__}", model, model.config, self.texts is not None)
        training = [module for module in model.modules() if module.training]
        for module in training:  # only while the base is trained
            module.training = False
        try:
            logits = in_pieces(partial(self._logits, model), model, self.members(x))
        finally:
            for module in training:
                module.training = True
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        scores = logits.logsumexp(-1) if self.energy == "logsumexp" else logits.amax(-1)
        return scores.view(-1, self.group.order), None

    def _logits(self, model: Any, members: torch.Tensor) -> torch.Tensor:
        members = members.to(weight_dtype(model, members.dtype))
        if self.texts is None:
            return answer_of(model, members)
        found = model.get_image_features(members)
        return similarity(model, getattr(found, "pooler_output", found), self.texts)

    @property
    def cost(self) -> str:
        """One pass of the model for each element."""
        asked = (
            "the base, for its energy" if self.model is None else f"the canonicalizer's {type(self.model).__name__}"
        )
        return f"{self.group.order} passes of {asked}"

    @property
    def base_forwards(self) -> int:
        """Once for each element, if it has no model of its own."""
        return self.group.order if self.model is None else 0

    def to_dict(self) -> dict[str, Any]:
        """Return the settings, the shape of the texts' features and the config of the model."""
        model = _BASE if self.model is None else described(self.model)
        texts = None if self.texts is None else list(self.texts.shape)
        return {**super().to_dict(), "energy": self.energy, "texts": texts, "model": model}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], group: Any, shape: tuple[int, ...] | None = None) -> ModelEnergy:
        """Return an energy with a new model, or that of the base.

        Raises:
            ConfigurationError: If the model's code is not in transformers.
        """
        if content.get("model") is None:
            raise ConfigurationError(f"The model of this ModelEnergy is not in transformers. {NOT_STORED}")
        model = None if content["model"] == _BASE else read_described(content["model"])
        texts = None if content["texts"] is None else torch.zeros(content["texts"])
        return cls(cls.read_action(content, group), model, text_features=texts, energy=content["energy"])


def _check_energy(name: str, kind: Any, config: Any, texts: bool) -> None:
    """Refuse a model that has no energy, or none with or without features of texts."""
    compares = hasattr(kind, "get_text_features")
    if compares and not texts:
        raise ConfigurationError(
            f"{name} compares images with texts, so its energy needs texts: pass text_features=, from its "
            "get_text_features(...).pooler_output"
        )
    if texts and not compares:
        raise ConfigurationError(
            f"{name} does not compare images with texts: leave text_features= out, or pass model=, a CLIP-like model"
        )
    regression = getattr(config, "problem_type", None) == "regression" or getattr(config, "num_labels", None) == 1
    if regression and not compares:
        raise ConfigurationError(
            f"{name} does regression, so its outputs are not logits and have no energy: pass model=, a classifier, or "
            "train an OrbitScorer"
        )
