"""How often an image is in canonical pose already, as a module of `evaluate`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import evaluate
from datasets import Features, Value

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

    def compute(
        self, *, predictions: Sequence[int], references: Sequence[int] | None = None, **kwargs: Any
    ) -> dict[str, float] | None:
        """Compute the share.

        Args:
            predictions: The `canonical_element` of each input.
            references: The element by which each was turned; by default the identity.
            **kwargs: As in `evaluate`.
        """
        known = [0] * len(predictions) if references is None else references
        result: dict[str, float] | None = super().compute(predictions=predictions, references=known, **kwargs)
        return result

    def _compute(self, predictions: Sequence[int], references: Sequence[int]) -> dict[str, float]:
        pairs = list(zip(predictions, references, strict=True))
        return {"identity_share": sum(one == other for one, other in pairs) / len(pairs)}
