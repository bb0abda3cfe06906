"""Any network as a canonicalizer: it scores every member of an orbit."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.functional import normalize

from hf_equi.actions import Action, PixelAction
from hf_equi.bases.chunks import in_pieces
from hf_equi.bases.weight_dtype import weight_dtype
from hf_equi.canonicalization.base import NOT_STORED
from hf_equi.canonicalization.finite import FiniteCanonicalizer
from hf_equi.canonicalization.held_models import answer_of, described, read_described
from hf_equi.checks import check_between, check_count, check_weight
from hf_equi.errors import ConfigurationError
from hf_equi.groups import FiniteGroup, ImageGroup

__all__ = ["OrbitCanonicalizer", "OrbitScorer", "contrast"]


class OrbitCanonicalizer(FiniteCanonicalizer):
    """The base class of canonicalizers that look at every member of an orbit, and at each one alike.

    Args:
        action: The group's action on inputs, or an `ImageGroup`, which acts on pixels.

    Raises:
        ConfigurationError: If it is neither, or of a group that is not finite.
    """

    equivariant = True

    def __init__(self, action: Action | ImageGroup) -> None:
        super().__init__()
        found: Any = PixelAction(action) if isinstance(action, ImageGroup) else action
        if not isinstance(found, Action) or not isinstance(found.group, FiniteGroup):
            name = type(self).__name__
            raise ConfigurationError(
                f"{name} scores all members of an orbit, so it needs an ImageGroup, or the action of a finite group "
                f"on its inputs; received {action!r}. For SO2() and O2() let it score some turns: "
                f"CircularHarmonic(group, {name}(...))"
            )
        self.action = found
        self.group = found.group
        # As numbers: a table has no values in a graph that is traced.
        self.inverses: list[int] = self.group.inverse(torch.arange(self.group.order, device="cpu")).tolist()

    def members(self, x: torch.Tensor) -> torch.Tensor:
        """Return the members $h^{-1}x$ of all elements h, `(B, ...)` to `(B * G, ...)`."""
        return torch.stack([self.action.apply(g, x) for g in self.inverses], 1).flatten(0, 1)

    def to_dict(self) -> dict[str, Any]:
        """Return the kind, and how images continue beyond their edges; no more of an action is stored."""
        padding = {"padding": self.action.padding} if isinstance(self.action, PixelAction) else {}
        return {**super().to_dict(), **padding}

    @staticmethod
    def read_action(content: Mapping[str, Any], group: Any) -> Action:
        """Return the stored action.

        Raises:
            ConfigurationError: If it is not that on pixels.
        """
        if "padding" not in content:
            raise ConfigurationError(f"The action of this canonicalizer is not stored. {NOT_STORED}")
        return PixelAction(group, content["padding"])


class OrbitScorer(OrbitCanonicalizer):
    r"""Score the elements by any network s, which looks at each member of the orbit: equivariant whatever s is.

    $$ \text{scores}(x)[h] = s(h^{-1}x) \qquad\text{or}\qquad c \cos\big(s(h^{-1}x), r\big) $$

    The second form is for a network that returns vectors of `size` numbers, with a reference vector r that is drawn
    once. Such a network has a loss of its own, the contrast of its vectors, which keeps them apart.

    Args:
        network: From inputs `(B, ...)` to one number each, `(B,)` or `(B, 1)`, or to `size` numbers each. A model of
            transformers gives its logits. Other modules are saved by their weights alone, so whoever loads the
            symmetrised model passes the canonicalizer again.
        action: The group's action on inputs, or an `ImageGroup`, which acts on pixels.
        size: The size of the vectors; `None` for numbers.
        scale: The factor c of the cosines.
        contrast_weight: The weight of the contrast in the model's loss.
        learn_reference: Whether r is trained.

    Raises:
        ConfigurationError: For a size or scale that is not above 0, a negative weight, or settings of vectors without
            a size; for a network that is not a module; as `OrbitCanonicalizer`.

    Cost: the network once for each element. Guarantee: exact for exact groups, whatever the network.

    References:
        arXiv 2405.14089. The contrast there is of dot products, which shorter vectors lower too; here it is of
        cosines. The public code has c = 1.

    Example:
        >>> from hf_equi import ImageGroup
        >>> network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 1))
        >>> scorer, image = OrbitScorer(network, ImageGroup.rotations(4)), torch.rand(1, 3, 8, 8)
        >>> turned = scorer.scores(image.rot90(1, (2, 3)))
        >>> torch.allclose(turned.roll(-1, 1), scorer.scores(image), atol=1e-6)
        True
    """

    kind = "orbit_scorer"

    def __init__(
        self,
        network: nn.Module,
        action: Action | ImageGroup,
        *,
        size: int | None = None,
        scale: float = 10.0,
        contrast_weight: float = 1.0,
        learn_reference: bool = False,
    ) -> None:
        if not isinstance(network, nn.Module):
            raise ConfigurationError(f"network={network!r} is not a torch module: put a function into one's forward")
        super().__init__(action)
        self.settings: dict[str, Any] = {
            "size": size,
            "scale": scale,
            "contrast_weight": contrast_weight,
            "learn_reference": learn_reference,
        }
        check_between("scale", scale)
        check_weight("contrast_weight", contrast_weight)
        self.own_loss = size is not None and contrast_weight > 0
        if size is not None:
            check_count("size", size, "size")
            drawn = torch.randn(size)
            self.reference: torch.Tensor
            if learn_reference:
                self.reference = nn.Parameter(drawn)
            else:
                self.register_buffer("reference", drawn)
        self.network = network

    def scores(self, x: torch.Tensor) -> torch.Tensor:
        """Score the elements for each input, `(B, ...)` to `(B, G)`."""
        found: torch.Tensor = self(x)[0]
        return found

    def forward(self, x: torch.Tensor, base: Any = None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the scores, and for a network of vectors the weighted contrast, `(B,)`.

        Args:
            x: `(B, ...)` inputs.
            base: Not used.

        Raises:
            ConfigurationError: If the network returns something else.
        """
        members = self.members(x).to(weight_dtype(self.network, x.dtype))
        answers = in_pieces(partial(answer_of, self.network), self.network, members)
        size, rows = self.settings["size"], x.shape[0] * self.group.order
        fits = [(rows,), (rows, 1)] if size is None else [(rows, size)]
        if tuple(answers.shape) not in fits:
            raise ConfigurationError(
                f"The network of an OrbitScorer returned the shape {tuple(answers.shape)} for {rows} inputs, but it "
                f"must be {' or '.join(map(str, fits))}" + (": pass size= for vectors" if size is None else "")
            )
        if size is None:
            return answers.view(-1, self.group.order), None
        vectors = normalize(answers, dim=-1).view(-1, self.group.order, size)  # (B, G, size)
        scores = self.settings["scale"] * (vectors @ normalize(self.reference, dim=0).to(vectors.dtype))
        return scores, self.settings["contrast_weight"] * contrast(vectors)

    @property
    def cost(self) -> str:
        """One pass of the network for each element."""
        return f"{self.group.order} passes of the network in the canonicalizer"

    def to_dict(self) -> dict[str, Any]:
        """Return the settings, and the network if it is a model of transformers."""
        return {**super().to_dict(), **self.settings, "network": described(self.network)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], group: Any, shape: tuple[int, ...] | None = None) -> OrbitScorer:
        """Return a scorer with a new model of transformers.

        Raises:
            ConfigurationError: If the network is of another kind.
        """
        if content.get("network") is None:
            raise ConfigurationError(f"The network of this OrbitScorer is not a model of transformers. {NOT_STORED}")
        network, action = read_described(content["network"]), cls.read_action(content, group)
        settings = {name: value for name, value in content.items() if name not in ("type", "padding", "network")}
        return cls(network, action, **settings)


def contrast(vectors: torch.Tensor) -> torch.Tensor:
    r"""Return how far the vectors of an orbit are from being orthogonal.

    $$ \frac{1}{|G|(|G| - 1)} \sum_{g \neq h} |\langle v_g, v_h \rangle| $$

    Args:
        vectors: `(B, G, size)` of length 1.

    Returns:
        `(B,)`; 0 for a group of one element.

    Example:
        >>> contrast(torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [-1.0, 0.0]]]))
        tensor([0., 1.])
    """
    order = vectors.shape[1]
    others = 1 - torch.eye(order, dtype=vectors.dtype, device=vectors.device)
    return ((vectors @ vectors.mT).abs() * others).sum((1, 2)) / max(order * (order - 1), 1)
