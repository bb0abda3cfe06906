"""How often an image is in canonical pose already, as a module of `evaluate`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import evaluate
from datasets import Features, Value

from hf_equi.errors import ConfigurationError

__all__ = ["IdentityShare"]

_DESCRIPTION = """
The share of inputs for which a canonicalizer takes the identity, so that the base reads them as they are. After
training by the prior it should be near 1 on upright inputs, and near 1 / |G| on inputs that are turned at random.
"""

_CITATION = """
@inproceedings{mondal2023equivariant,
  title = {Equivariant Adaptation of Large Pretrained Models},
  author = {Mondal, Arnab Kumar and Panigrahi, Siba Smarak and Kaba, Sékou-Oumar and Rajeswar, Sai and Ravanbakhsh,
            Siamak},
  booktitle = {NeurIPS},
  year = {2023},
  url = {https://arxiv.org/abs/2310.01647}
}
"""

_NONE = "No input has a share: pass predictions=, the canonical_element of each input, or add them before"

_INPUTS = """
Args:
    predictions (`list` of `int`): the `canonical_element` of each input, as a model returns it.
    references (`list` of `int`, *optional*): the element by which each input was turned from its upright pose. The
        share is then that of inputs whose element was found.

Returns:
    identity_share (`float`).
"""


class IdentityShare(evaluate.Metric):  # type: ignore[misc]  # evaluate has no types
    """The share of inputs for which h(x) is the identity, or the known element.

    Example:
        >>> IdentityShare().compute(predictions=[0, 0, 1, 0])
        {'identity_share': 0.75}
        >>> IdentityShare().compute(predictions=[0, 2, 1, 0], references=[0, 2, 3, 1])
        {'identity_share': 0.5}
    """

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=Features({"predictions": Value("int64"), "references": Value("int64")}),
            reference_urls=["https://arxiv.org/abs/2310.01647"],
        )

    def add(self, *, prediction: Any = None, reference: Any = None, **kwargs: Any) -> None:
        """Add one input, as in `evaluate`; its `reference` is by default the identity."""
        super().add(prediction=prediction, reference=0 if reference is None else reference, **kwargs)

    def add_batch(self, *, predictions: Any = None, references: Any = None, **kwargs: Any) -> None:
        """Add inputs, as in `evaluate`, which calls it for those of `compute` too. The defaults are those of `add`.

        Raises:
            ConfigurationError: For `references` without `predictions`.
        """
        if predictions is None:
            raise ConfigurationError("references= are compared with predictions=: pass each canonical_element too")
        known = [0] * len(predictions) if references is None else references
        super().add_batch(predictions=predictions, references=known, **kwargs)

    def compute(self, *, predictions: Any = None, references: Any = None, **kwargs: Any) -> dict[str, float] | None:
        """Compute the share of these inputs, and of those that were added before.

        Args:
            predictions: The `canonical_element` of each input; `None` for those that were added alone.
            references: The element by which each was turned; by default the identity.
            **kwargs: As in `evaluate`.

        Raises:
            ConfigurationError: For empty predictions.
        """
        if predictions is None and references is None and not self.writer:
            raise ConfigurationError(_NONE)
        result: dict[str, float] | None = super().compute(predictions=predictions, references=references, **kwargs)
        return result

    def _compute(self, predictions: Sequence[int], references: Sequence[int]) -> dict[str, float]:
        if not len(predictions):
            raise ConfigurationError(_NONE)
        pairs = list(zip(predictions, references, strict=True))
        return {"identity_share": sum(one == other for one, other in pairs) / len(pairs)}
