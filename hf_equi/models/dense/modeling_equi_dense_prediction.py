"""EquiForDensePrediction: segmentation, depth and key points that turn with the picture."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import torch
import transformers
from transformers import AutoImageProcessor, AutoModelForSemanticSegmentation, PreTrainedModel

from hf_equi.actions import Action
from hf_equi.bases.chunks import images_at_once
from hf_equi.bases.orbit_reader import OrbitRows, check_batch
from hf_equi.bases.signatures import parameters
from hf_equi.checks import check_seed
from hf_equi.errors import ConfigurationError, HfEquiWarning, UnsupportedModelError
from hf_equi.models.cards.kinds import CardKind
from hf_equi.models.dense.card import CARDS
from hf_equi.models.dense.configuration_equi_dense import EquiDenseConfig
from hf_equi.models.dense.kinds import DenseKind, kind_of
from hf_equi.models.dense.outputs import EquiDensePredictionOutput
from hf_equi.models.vision.pixel_model import EquiPixelModel
from hf_equi.symmetrizers import DrawnMember, Draws, KeyedDraws
from hf_equi.symmetrizers.weigh import joint_log_weights

__all__ = ["EquiForDensePrediction"]

_STATISTICS = 3
"""The numbers by which λ knows a channel: its mean, its deviation and its largest value."""
_OF_LABELS = ("label_weights",)
"""The arguments of bases that belong to labels."""
_MOVING = "prompt_depth"
"""The one argument of bases besides the image that moves with it, as PromptDepthAnything has it."""


class EquiForDensePrediction(EquiPixelModel):
    r"""A model with an output for each pixel, which turns with the picture, without retraining.

    $$ M_G(gx) = g M_G(x), \qquad M_G(x) = \text{combine}_g\; g^{-1} M(gx) $$

    g moves pixels of the output at the output's own size. Classes and depths stay as they are. Left and right key
    points are exchanged by mirrors.

    | base | output | loss for labels |
    |---|---|---|
    | `AutoModelForSemanticSegmentation` | `logits`, `(batch, classes, h, w)` | the bases' formula (`class_loss`) |
    | `AutoModelForDepthEstimation` | `predicted_depth`, `(batch, h, w)` | that of GLPN; no other class has one |
    | `AutoModelForPoseEstimation` | `heatmaps`, `(batch, key points, h, w)` | that of Sapiens2; VitPose has none |

    Methods: equi-tuning (the mean), equizero (the member of which the base is surest, at each pixel or for the whole
    image), λ-equitune (a mean with one weight for each member, which λ reads off the mean, the deviation and the
    largest value of each channel of the member's output), mixture (one member, drawn from the seed), canonical (the
    member that a canonicalizer chooses before the base runs), canonical-λ-equitune. Labels are those of the given
    image: outputs are moved back before the loss, so labels do not move, whatever the method.

    Auxiliary heads of bases are not part of what is combined. They get no gradient, and a warning says so.

    Args:
        config: The model's configuration.
        base: The base model, shared and not copied; by default a new one from the configuration.
        canonicalizer: As in `EquiForImageClassification`.

    Raises:
        UnsupportedModelError: For a base without an output for each pixel.
        ConfigurationError: For a configuration without a group.

    Cost: one base forward for each element, |G|, because the maps of equal members are moved differently; 1 for
    mixture, canonical and identity. Guarantee: exact in float32 to 1e-5 for quarter turns and mirrors; equizero and
    canonical up to their margin. Other angles resample image and output: approximate, see `PixelAction`.

    Example:
        >>> from transformers import SegformerConfig, SegformerForSemanticSegmentation
        >>> from hf_equi import ImageGroup, symmetrize
        >>> sizes = {"depths": [1] * 4, "hidden_sizes": [8] * 4, "num_attention_heads": [1] * 4}
        >>> base = SegformerForSemanticSegmentation(SegformerConfig(**sizes, decoder_hidden_size=8)).eval()
        >>> model, image = symmetrize(base, ImageGroup.rotations(4)), torch.rand(1, 3, 64, 64)
        >>> upright, turned = model(image).logits, model(image.rot90(1, (2, 3))).logits
        >>> upright.shape, torch.allclose(turned, upright.rot90(1, (2, 3)), atol=1e-5)
        (torch.Size([1, 2, 16, 16]), True)
    """

    config_class = EquiDenseConfig
    auto_class: ClassVar[Any] = AutoModelForSemanticSegmentation
    processor_class: ClassVar[Any] = AutoImageProcessor
    accepts_loss_kwargs = False

    @classmethod
    def auto_class_of(cls, config: EquiDenseConfig) -> Any:
        """Return the Auto class of models that predict the same."""
        return getattr(transformers, config.kind.auto_class)

    @classmethod
    def check_base(cls, base: PreTrainedModel | type[PreTrainedModel]) -> None:
        """Refuse a base without an output for each pixel."""
        kind_of(base)

    @property
    def card_kind(self) -> CardKind:  # type: ignore[override]
        """What the model card says depending on the output."""
        return CARDS[self.config.predicts]

    @property
    def _kind(self) -> DenseKind:
        kind: DenseKind = self.config.kind
        return kind

    def make_action(self, group: Any) -> Any:
        """Make the group's action on pixels, and on the output maps."""
        self._output_action = self.config.output_action(group)
        return super().make_action(group)

    @property
    def output_action(self) -> Action:
        """The group's action on the output maps, `(batch, channels, height, width)`."""
        action: Action = self._output_action
        return action

    def input_actions(self) -> dict[str, Any]:
        """Return the group's action on images, and on what else moves with them."""
        return {self.main_input_name: self.action, _MOVING: self.action}

    def prepare(self) -> None:
        """Make the network of the method, if it has one.

        Raises:
            ConfigurationError: If the config says that the base predicts something else.
        """
        if (found := kind_of(self.base)) is not self._kind:
            raise ConfigurationError(
                f"predicts={self.config.predicts!r}, but {type(self.base).__name__} {found.what}: make the model with "
                "hf_equi.symmetrize(model, group)"
            )
        if self.method.feature_weights is not None:
            self.add_network(_STATISTICS * self._kind.channels(self.base.config))

    def rows_at_once(self, x: torch.Tensor) -> int:
        """The most images that a CPU reads at once in evaluation."""
        return images_at_once(self.base, math.prod(x.shape[-2:]))

    def forward(
        self,
        pixel_values: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        return_dict: bool | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> EquiDensePredictionOutput | tuple[Any, ...]:
        """Predict something for each pixel of images.

        Args:
            pixel_values: `(batch, channels, height, width)`, square for groups with rotations by 90°.
            labels: For the loss, in the frame of the images: `(batch, height, width)` classes or depths of the size of
                the images, or heat maps of the size of the output. In training with `task_weight=0` only the
                canonicalizer runs: labels are not used, and there is no other output.
            return_dict: `False` for a tuple; by default as in the config.
            seed: For `"mixture"`, what draws the member, by default 0; with one seed, an image and its turned copy
                have the same member. In training without a seed, torch's generator draws.
            **kwargs: Other arguments of the base, such as `interpolate_pos_encoding`; `prompt_depth` moves with the
                image, `label_weights` go to the loss.

        Raises:
            ActionError: If the group does not act on the images, or they are not tensors; for labels of another size
                or kind. Both before the base runs.
            ConfigurationError: Without images; for labels if the base's class has no loss; for hidden states or
                attentions, and arguments of which it is unknown how they move; for a seed that nothing reads.
        """
        if self._prior_only:
            selection = self._select_by_prior(pixel_values)
            prior = EquiDensePredictionOutput(self.penalised(None, selection))
            return self.returned(self._said(prior, selection), return_dict)
        draws, extras = self._draws(seed), self.checked_extras(kwargs)
        of_labels = {name: extras.pop(name) for name in _OF_LABELS if name in extras}
        self._check_inputs(pixel_values, labels, of_labels, extras)
        given, outputs = {"pixel_values": pixel_values, **extras}, {"maps": self._output_action}
        rows = self.read_orbits(given, self._read_rows, outputs, "images", draws=draws)
        said, output = self._combined(rows)
        loss = None
        if labels is not None and (label_loss := self._kind.label_loss(self.base)) is not None:
            loss = label_loss(_wide(output), labels, self.base.config, **of_labels)
        result = EquiDensePredictionOutput(self.penalised(loss, rows.selection), **said)
        return self.returned(self._said(result, rows.selection), return_dict)

    def _draws(self, seed: int | None) -> Draws | None:
        """Return what draws members in this call.

        Raises:
            ConfigurationError: For a seed that is not a number, or that nothing reads.
            UnsupportedModelError: While a graph is exported.
        """
        check_seed(seed)
        if not isinstance(self.method.select, DrawnMember):
            if seed is not None:
                raise ConfigurationError(
                    f"seed={seed}: the method {self.config.method!r} draws nothing. Leave it out."
                )
            return None
        if torch.compiler.is_exporting():
            raise UnsupportedModelError(
                f"A graph cannot draw by what an image holds: export another method than {self.config.method!r}."
            )
        return Draws() if seed is None and self.training else KeyedDraws(seed or 0)

    def _check_inputs(
        self, images: torch.Tensor | None, labels: Any, of_labels: Mapping[str, Any], extras: Mapping[str, Any]
    ) -> None:
        """Refuse what cannot be read, before the base runs.

        Raises:
            ActionError: For images or labels of another shape or kind.
            ConfigurationError: Without images; for labels without a loss; for arguments that would have to move.
        """
        if images is None:
            raise ConfigurationError(f"{type(self).__name__} needs pixel_values")
        check_batch(images, "pixel_values", "images")
        for name, value in extras.items():
            spatial = name != _MOVING and isinstance(value, torch.Tensor) and value.dim() > 2
            if spatial or name == "flip_pairs":
                raise ConfigurationError(
                    f"{name}= is an argument of the base, and it is unknown how it moves with an image. Mirrors "
                    "exchange the channels that flip_pairs= of symmetrize names; for all else call the base, "
                    "model.unwrap()."
                )
        if labels is None:
            if of_labels:
                raise ConfigurationError(
                    f"{', '.join(of_labels)}: these weigh labels, but there are none: pass labels="
                )
            return
        if self._kind.label_loss(self.base) is None:
            raise ConfigurationError(
                f"labels=: {type(self.base).__name__} has no loss. Compute one from {self._kind.output}, without "
                "labels= in the call."
            )
        check_batch(labels, "labels", "labels")
        self._kind.check_labels(labels, images, self.base.config)
        self._warn_of_auxiliary()

    def _warn_of_auxiliary(self) -> None:
        """Say that a head whose output is not combined does not train."""
        head = getattr(self.base, "auxiliary_head", None)
        if self.training and head is not None and any(weight.requires_grad for weight in head.parameters()):
            warnings.warn(
                f"The auxiliary head of {type(self.base).__name__} does not train here: its output is not combined, "
                "and the loss is that of the main head. Freeze it (base.auxiliary_head.requires_grad_(False)), or "
                "train the base before you symmetrize it.",
                HfEquiWarning,
                stacklevel=4,
            )

    def _read_rows(self, rows: dict[str, Any]) -> dict[str, Any]:
        """Return the base's outputs for some rows, and what λ reads of them."""
        names = parameters(type(self.base).forward)
        named = {"return_dict": True} if {"return_dict", "kwargs"} & names else {}
        out = self.base(**rows, **named)
        maps = self._kind.maps(out)
        # In the frame of each member, because mirrors exchange channels.
        features = None if self.method.feature_weights is None else _statistics(maps)
        return {"maps": maps, "features": features, **{name: out.get(name) for name in self._kind.beside}}

    def _combined(self, rows: OrbitRows) -> tuple[dict[str, Any], torch.Tensor]:
        """Return the entries of an output, and the one with the maps."""
        method, kind, level = self.method, self._kind, self.config.level
        maps, weigh = rows.outputs["maps"], method.feature_weights
        own = None if weigh is None else joint_log_weights(weigh.log_weights(rows.by_member("features")))
        losses = None if method.loss is None else kind.member_losses(maps, method.loss, self.config.confidence)
        rows = replace(rows, outputs={**rows.outputs, "values": kind.values(maps, level)})
        values, decision = rows.combine("values", method.combine, own, losses)
        output = kind.of_values(values, level, maps.shape[1]).to(maps.dtype).contiguous()
        beside = {name: rows.outputs[name] for name in kind.beside}
        for name in (name for name, value in beside.items() if value is not None):
            beside[name] = rows.combine(name, method.combine, own, losses)[0]
        joint = joint_log_weights(own, rows.selection.log_weights)
        said = {
            kind.output: output,
            **beside,
            "chosen_element": kind.places(decision.chosen_element),
            "margin": kind.places(decision.margin),
            "group_weights": None if joint is None else joint.softmax(1),
        }
        return said, output


def _wide(values: torch.Tensor) -> torch.Tensor:
    """Convert to float32 at least, for a loss."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _statistics(maps: torch.Tensor) -> torch.Tensor:
    """Return the mean, the deviation and the largest value of each channel, `(R, 3 C)`, in float32 at least."""
    wide = _wide(maps).flatten(2)
    deviation = (wide.var(2, correction=0) + 1e-12).sqrt()  # whose gradient is finite for maps of one number too
    return torch.cat([wide.mean(2), deviation, wide.amax(2)], 1)
