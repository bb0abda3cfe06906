"""What a dense model predicts: classes, depths or key points, with how members and labels are compared.

Letters: B batch, R rows, K classes, J key points, C channels of any of these, H, W size of images, h, w of outputs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import torch
import transformers
from torch.nn.functional import logsigmoid
from transformers import PreTrainedModel

from hf_equi.bases.signatures import parameters
from hf_equi.errors import ActionError, UnsupportedModelError
from hf_equi.models.dense.losses import class_loss, depth_loss, heat_map_loss, ignored_class, size_error
from hf_equi.symmetrizers import ProxyLoss

__all__ = ["KINDS", "DenseKind", "Depth", "KeyPoints", "Segmentation", "kind_of"]

LabelLoss = Callable[..., torch.Tensor]
"""Takes combined outputs, labels and the base's config."""
GLPN, SAPIENS = "GLPNForDepthEstimation", "Sapiens2ForPoseEstimation"
"""The classes without which their kind has no loss."""


class DenseKind(ABC):
    """One kind of output with a value for each pixel."""

    name: ClassVar[str]
    """As in the setting `predicts`."""
    what: ClassVar[str]
    """The outputs in words, for messages."""
    output: ClassVar[str]
    """The name of the output, in the base and here."""
    auto_class: ClassVar[str]
    """The Auto class of transformers that loads such models."""
    suffix: ClassVar[str]
    """The end of the names of such classes."""
    levels: ClassVar[tuple[str, ...]]
    """What members can be combined at, the default first."""
    confidences: ClassVar[tuple[str, ...]] = ()
    """Where equizero can choose, the default first; nothing if it cannot choose at all."""
    losses: ClassVar[tuple[str, ...]] = ()
    """What equizero can minimise, the default first."""
    exchanges: ClassVar[bool] = False
    """Whether mirrors have to exchange some channels."""
    beside: ClassVar[tuple[str, ...]] = ()
    """Other outputs of bases, one for each image, which do not move."""

    @property
    def mapping(self) -> Any:
        """The classes of such models, by their configs."""
        return getattr(transformers, self.auto_class)._model_mapping

    def owns(self, base: PreTrainedModel | type[PreTrainedModel]) -> bool:
        """Return whether a base is such a model, by the name of its class or of one that this extends."""
        kind = base if isinstance(base, type) else type(base)
        named = any(one.__name__.endswith(self.suffix) for one in kind.__mro__)
        return named and "pixel_values" in parameters(kind.forward)

    def channels(self, config: Any) -> int:
        """Return the number of channels of the maps of a base, given its config."""
        return int(config.num_labels)

    def maps(self, out: Any) -> torch.Tensor:
        """Return the maps of a base's output, `(R, C, h, w)`."""
        maps: torch.Tensor = out[self.output]
        return maps

    def values(self, maps: torch.Tensor, level: str) -> torch.Tensor:
        """Return what is combined, `(R, ..., h, w)`."""
        return maps

    def of_values(self, values: torch.Tensor, level: str, channels: int) -> torch.Tensor:
        """Return the output of combined values, `(B, ...)`."""
        return values

    def member_losses(self, maps: torch.Tensor, loss: ProxyLoss, confidence: str) -> torch.Tensor:
        """Return the losses by which equizero chooses: `(R,)`, or those at each place, `(R, ...)` as the values."""
        raise NotImplementedError

    def places(self, decided: torch.Tensor | None) -> torch.Tensor | None:
        """Return what was decided, without the axes that `member_losses` adds."""
        return decided

    @abstractmethod
    def label_loss(self, base: PreTrainedModel | type[PreTrainedModel]) -> LabelLoss | None:
        """Return the loss of outputs and labels, if the base's class has one."""

    @abstractmethod
    def check_labels(self, labels: torch.Tensor, images: torch.Tensor, config: Any) -> None:
        """Refuse labels of another kind or size, before anything runs.

        Raises:
            ActionError: For such labels.
        """


class Segmentation(DenseKind):
    """A class for each pixel."""

    name = "segmentation"
    what = "segments images"
    output = "logits"
    auto_class = "AutoModelForSemanticSegmentation"
    suffix = "ForSemanticSegmentation"
    levels = ("logits", "probabilities")
    confidences = ("pixel", "image")
    losses = ("max_probability", "entropy")

    def values(self, maps: torch.Tensor, level: str) -> torch.Tensor:
        """Return logits, or log-probabilities: of a single class with those of its absence, `(R, 2, h, w)`."""
        return _log_probabilities(maps) if level == "probabilities" else maps

    def of_values(self, values: torch.Tensor, level: str, channels: int) -> torch.Tensor:
        """Return logits: the values themselves, or the log-odds of a single class."""
        return values if values.shape[1] == channels else values[:, :1] - values[:, 1:]

    def member_losses(self, maps: torch.Tensor, loss: ProxyLoss, confidence: str) -> torch.Tensor:
        """Return the losses of each pixel, `(R, 1, h, w)`, or their means, `(R,)`."""
        steps = loss.of_steps(_log_probabilities(maps.detach()).movedim(1, -1))  # (R, h, w)
        return steps.unsqueeze(1) if confidence == "pixel" else loss.reduce(steps.flatten(1))

    def places(self, decided: torch.Tensor | None) -> torch.Tensor | None:
        """Return what was decided for each pixel, `(B, h, w)`, or for each image, `(B,)`."""
        return decided.squeeze(1) if decided is not None and decided.dim() > 1 else decided

    def label_loss(self, base: PreTrainedModel | type[PreTrainedModel]) -> LabelLoss:
        """The cross-entropy of all segmentation models of transformers."""
        return class_loss

    def check_labels(self, labels: torch.Tensor, images: torch.Tensor, config: Any) -> None:
        """Refuse labels that are not a map of classes for each image.

        Raises:
            ActionError: For other shapes, numbers that are not whole, and classes that the base does not have.
        """
        if labels.is_floating_point() or labels.dtype == torch.bool:
            raise ActionError(f"labels= are numbers of classes; received {labels.dtype}. Convert them: labels.long().")
        wanted = (images.shape[0], *images.shape[-2:])
        if labels.shape != wanted:
            raise size_error(labels, wanted)
        if torch.compiler.is_compiling():
            return
        known, ignored = max(self.channels(config), 2), ignored_class(config)
        found = labels[labels != ignored]
        if found.numel() and not 0 <= int(found.min()) <= int(found.max()) < known:
            raise ActionError(
                f"labels= hold the classes {int(found.min())} to {int(found.max())}, but the model has {known}, "
                f"numbered from 0, and {ignored} for pixels that do not count. Renumber them."
            )


class Depth(DenseKind):
    """A depth for each pixel."""

    name = "depth"
    what = "estimates depth"
    output = "predicted_depth"
    auto_class = "AutoModelForDepthEstimation"
    suffix = "ForDepthEstimation"
    levels = ("values",)
    beside = ("domain_logits", "field_of_view")

    def channels(self, config: Any) -> int:
        """One."""
        return 1

    def maps(self, out: Any) -> torch.Tensor:
        """Return the depths as maps of one channel."""
        return super().maps(out).unsqueeze(1)

    def of_values(self, values: torch.Tensor, level: str, channels: int) -> torch.Tensor:
        """Return depths, `(B, h, w)`."""
        return values.squeeze(1)

    def label_loss(self, base: PreTrainedModel | type[PreTrainedModel]) -> LabelLoss | None:
        """That of GLPN, the one class that has one."""
        return (lambda depth, labels, config: depth_loss(depth, labels)) if _is(base, GLPN) else None

    def check_labels(self, labels: torch.Tensor, images: torch.Tensor, config: Any) -> None:
        """Refuse labels that are not a depth for each pixel of each image."""
        wanted = (images.shape[0], *images.shape[-2:])
        if labels.shape != wanted:
            raise size_error(labels, wanted)


class KeyPoints(DenseKind):
    """A heat map for each key point."""

    name = "key_points"
    what = "finds key points"
    output = "heatmaps"
    auto_class = "AutoModelForPoseEstimation"
    suffix = "ForPoseEstimation"
    levels = ("values",)
    confidences = ("key_point", "image")
    losses = ("max_similarity",)
    exchanges = True

    def member_losses(self, maps: torch.Tensor, loss: ProxyLoss, confidence: str) -> torch.Tensor:
        """Return minus the peaks of each map, `(R, J, 1, 1)`, or their means, `(R,)`."""
        steps = loss.of_steps(maps.detach().flatten(2))  # (R, J)
        return steps[..., None, None] if confidence == "key_point" else loss.reduce(steps)

    def places(self, decided: torch.Tensor | None) -> torch.Tensor | None:
        """Return what was decided for each key point, `(B, J)`, or for each image, `(B,)`."""
        return decided.flatten(1) if decided is not None and decided.dim() > 1 else decided

    def label_loss(self, base: PreTrainedModel | type[PreTrainedModel]) -> LabelLoss | None:
        """That of Sapiens2, the one class that has one."""
        if not _is(base, SAPIENS):
            return None
        return lambda maps, labels, config, label_weights=None: heat_map_loss(maps, labels, label_weights)

    def check_labels(self, labels: torch.Tensor, images: torch.Tensor, config: Any) -> None:
        """Refuse labels that are not a heat map for each key point of each image."""
        wanted = (images.shape[0], self.channels(config))
        if labels.dim() != 4 or labels.shape[:2] != wanted:
            raise size_error(labels, (*wanted, "h", "w"))


KINDS: dict[str, DenseKind] = {kind.name: kind for kind in (Segmentation(), Depth(), KeyPoints())}
"""The kinds by name."""


def kind_of(base: PreTrainedModel | type[PreTrainedModel]) -> DenseKind:
    """Return what a base predicts.

    Args:
        base: A base, or its class.

    Raises:
        UnsupportedModelError: For a model without an output for each pixel; the message says how to load one.

    Example:
        >>> from transformers import DPTForDepthEstimation
        >>> kind_of(DPTForDepthEstimation).name
        'depth'
    """
    found = [kind for kind in KINDS.values() if kind.owns(base)]
    if found:
        return found[0]
    name = (base if isinstance(base, type) else type(base)).__name__
    *others, last = [kind.auto_class for kind in KINDS.values()]
    raise UnsupportedModelError(
        f"{name} has no output for each pixel that is known here: load a model with {', '.join(others)} or {last}"
    )


def _is(base: PreTrainedModel | type[PreTrainedModel], name: str) -> bool:
    kind = base if isinstance(base, type) else type(base)
    return any(one.__name__ == name for one in kind.__mro__)


def _log_probabilities(maps: torch.Tensor) -> torch.Tensor:
    """Return log-probabilities of classes, in float32 at least; a single class is present or absent."""
    wide = maps.to(torch.promote_types(maps.dtype, torch.float32))
    return wide.log_softmax(1) if maps.shape[1] > 1 else torch.cat([logsigmoid(wide), logsigmoid(-wide)], 1)
