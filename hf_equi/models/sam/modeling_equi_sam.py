"""EquiSamModel: a model that segments by prompts, made equivariant to a group of the image plane."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import torch
from transformers import AutoModelForMaskGeneration, AutoProcessor, PreTrainedModel
from transformers.utils import ModelOutput

from hf_equi.actions import PixelAction
from hf_equi.bases.chunks import images_at_once
from hf_equi.bases.orbit_reader import OrbitReader, OrbitRows, check_batch, losses_of
from hf_equi.bases.signatures import parameters
from hf_equi.errors import ActionError, ConfigurationError
from hf_equi.models.cards.kinds import CardKind
from hf_equi.models.sam.base_check import check_sam
from hf_equi.models.sam.card import SamCard
from hf_equi.models.sam.configuration_equi_sam import EquiSamConfig
from hf_equi.models.sam.embeddings import ReadImages, SamEmbeddings
from hf_equi.models.sam.padding import check_padding
from hf_equi.models.sam.prompts import PromptReader
from hf_equi.models.vision.pixel_model import EquiPixelModel
from hf_equi.symmetrizers import Decision, Orbit, Selection
from hf_equi.symmetrizers.weigh import joint_log_weights

__all__ = ["EquiSamModel", "EquiSamOutput"]

_MASKS, _IOU, _PRESENT = "pred_masks", "iou_scores", "object_score_logits"
_MAP, _INTERMEDIATE = "map", "intermediate"
_OF_PROCESSORS = ("original_sizes", "reshaped_input_sizes")


@dataclass
class EquiSamOutput(ModelOutput):
    """The output of `EquiSamModel`.

    Args:
        loss: `()` in training, what a canonicalizer that trains adds to a loss of yours: its prior, weighted.
        iou_scores: `(batch, objects, masks)` the overlap that the model predicts for each mask.
        pred_masks: `(batch, objects, masks, height, width)` logits of the masks, in the frame of the given images.
        object_score_logits: `(batch, objects, 1)` whether there is an object, of bases that say so.
        image_embeddings: What the encoder said, for more prompts about the same images.
        chosen_element: `(batch, objects)` the element whose member equizero took, for each object.
        margin: `(batch, objects)` by how much its predicted overlap exceeds that of the next member; of a
            canonicalizer `(batch,)`, by how much its best score exceeds the next one.
        group_weights: `(batch, group)` the weights of λ-equitune, which add up to 1.
        prior_loss: `()` the cross-entropy of a canonicalizer's scores to the identity, without its weight.
        canonical_element: `(batch,)` the element h(x) that takes the canonical image, which the base reads, to the
            given one.
        identity_share: `()` the share of images for which it is the identity.
    """

    loss: torch.Tensor | None = None
    iou_scores: torch.Tensor | None = None
    pred_masks: torch.Tensor | None = None
    object_score_logits: torch.Tensor | None = None
    image_embeddings: SamEmbeddings | None = None
    chosen_element: torch.Tensor | None = None
    margin: torch.Tensor | None = None
    group_weights: torch.Tensor | None = None
    prior_loss: torch.Tensor | None = None
    canonical_element: torch.Tensor | None = None
    identity_share: torch.Tensor | None = None


class EquiSamModel(EquiPixelModel):
    r"""SAM, SAM-HQ, SAM 2 (images), the tracker of SAM 3 and EdgeTAM: a turned picture gets the turned masks.

    $$ M_G(gx, gp) = g M_G(x, p), \qquad M_G(x, p) = \text{combine}_g\; g^{-1} M(gx, gp) $$

    for images x and prompts p: points, boxes and masks, which move with the image. Masks move back; predicted overlaps
    and object scores are invariant. The three masks of a prompt have an order, so the mean is defined. Methods:
    equi-tuning (the mean of the logits), equizero (for each object the member with the largest predicted overlap),
    λ-equitune (a weighted mean), canonical (the member that a canonicalizer chooses; one base forward).

    The encoder reads the members once. `get_image_embeddings` returns what it says, and every call with
    `image_embeddings` runs only the prompt encoder and the decoder, at most |G| times.

    It computes no loss for masks, as its bases compute none: train with a loss of your own on `pred_masks`, and add
    `loss` to it, which is the prior of a canonicalizer.

    Args:
        config: The model's configuration.
        base: The base model, shared and not copied; by default a new one from the configuration.
        canonicalizer: For `"canonical"`: as in `EquiForImageClassification`.

    Raises:
        UnsupportedModelError: For a base that does not segment images by prompts, such as a model of videos.
        ConfigurationError: For a configuration without a group; for a canonicalizer that does not fit.

    Cost: |G| passes of the encoder for an image, and |G| of the decoder for a prompt; 1 and 1 for canonical and
    identity. Guarantee: exact in float32 to 1e-5 of logits of size 1, for quarter turns and mirrors of square images;
    equizero up to its margin. Other rotations resample, and then boxes are refused.

    Example:
        >>> from transformers import SamConfig, SamModel
        >>> from hf_equi import ImageGroup, symmetrize
        >>> sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
        >>> vision = {**sizes, "image_size": 32, "patch_size": 8, "output_channels": 16, "num_pos_feats": 8}
        >>> prompts = {"hidden_size": 16, "image_size": 32, "patch_size": 8}
        >>> decoder = {**sizes, "mlp_dim": 8, "iou_head_hidden_dim": 8}
        >>> config = SamConfig(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=decoder)
        >>> model = symmetrize(SamModel(config).eval(), ImageGroup.rotations(4))
        >>> image, point = torch.randn(1, 3, 32, 32), torch.tensor([[[[20.0, 5.0]]]])  # x and y
        >>> masks = model(image, input_points=point).pred_masks
        >>> turned = model(image.rot90(1, (2, 3)), input_points=torch.tensor([[[[5.0, 31 - 20.0]]]])).pred_masks
        >>> torch.allclose(turned, masks.rot90(1, (3, 4)), atol=1e-5)
        True
    """

    config_class = EquiSamConfig
    auto_class: ClassVar[Any] = AutoModelForMaskGeneration
    processor_class: ClassVar[Any] = AutoProcessor
    card_kind: ClassVar[CardKind] = SamCard()
    action: PixelAction

    @classmethod
    def check_base(cls, base: PreTrainedModel | type[PreTrainedModel]) -> None:
        """Refuse a base that does not segment images by prompts."""
        check_sam(base)

    def prepare(self) -> None:
        """Make the network of the method, if it has one."""
        self.add_network(self.base.prompt_encoder.hidden_size)

    def penalised(
        self, loss: torch.Tensor | None, selection: Selection | None, share: torch.Tensor | float = 1.0
    ) -> torch.Tensor | None:
        """Return in training what the selection of members adds to the user's loss, and otherwise `None`.

        Args:
            loss: `None`: there is no loss of the base.
            selection: The selection of the members.
            share: As in the base class.
        """
        if self._prior_only or not self.training:
            return super().penalised(loss, selection, share)
        return None if selection is None or selection.penalty is None else share * selection.penalty.mean()

    def forward(
        self,
        pixel_values: torch.Tensor | None = None,
        input_points: torch.Tensor | None = None,
        input_labels: torch.Tensor | None = None,
        input_boxes: torch.Tensor | None = None,
        input_masks: torch.Tensor | None = None,
        image_embeddings: SamEmbeddings | None = None,
        multimask_output: bool = True,
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> EquiSamOutput | tuple[Any, ...]:
        """Segment what prompts point at.

        Coordinates count pixels of the processed image, as the processor returns them. Pixel c lies between the edges
        c and c + 1, so a left-right mirror takes it to S - 1 - c, for an image of S pixels.

        Args:
            pixel_values: `(batch, channels, S, S)`.
            input_points: `(batch, objects, points, 2)` x and y.
            input_labels: `(batch, objects, points)` 1 for a point on the object, 0 for one that is not on it, -1 for
                none, -10 for padding; by default all 1.
            input_boxes: `(batch, objects, 4)` x0, y0, x1, y1.
            input_masks: `(batch, 1, height, width)` logits of a mask, such as an earlier `pred_masks[:, 0, 0:1]`.
            image_embeddings: What `get_image_embeddings` or an earlier output returned, instead of `pixel_values`.
            multimask_output: Whether to return three masks for each object, or one.
            return_dict: `False` for a tuple; by default as in the config.
            **kwargs: Other arguments of the base, such as `hq_token_only`. The sizes that a processor returns are
                read, to see padding.

        Raises:
            ActionError: For images of another size, and for prompts that do not fit, before the base runs.
            ConfigurationError: Without images, or with two kinds of them; for images that were padded on one side; for
                labels, hidden states and attentions, and arguments that do not move.
        """
        if self._prior_only:
            selection = self._select_by_prior(pixel_values)
            return self.returned(self._said(EquiSamOutput(self.penalised(None, selection)), selection), return_dict)
        sizes = {name: kwargs.pop(name, None) for name in _OF_PROCESSORS}
        extras = self._checked_arguments(kwargs)
        samples = self._check_images(pixel_values, image_embeddings, sizes["reshaped_input_sizes"])
        given = {"input_points": input_points, "input_labels": input_labels}
        prompts = self._prompts.read(samples, **given, input_boxes=input_boxes, input_masks=input_masks)
        self._prompts.actions(prompts)  # refuses what does not move, before the encoder runs
        found: Any = image_embeddings if pixel_values is None else self._encode(pixel_values)
        weigh = self.method.feature_weights
        log_weights = None if weigh is None else joint_log_weights(weigh.log_weights(found.features()))
        rows = self._decode(found, prompts, multimask_output, extras)
        result = self._combined(rows, samples, log_weights)
        result.image_embeddings = found
        result.loss = self.penalised(None, found.selection)
        result.group_weights = None if log_weights is None else log_weights.softmax(1)
        return self.returned(self._said(result, found.selection), return_dict)

    @torch.no_grad()
    def get_image_embeddings(self, pixel_values: torch.Tensor, **kwargs: Any) -> SamEmbeddings:
        """Return what the encoder says of the members that the method reads, for any number of prompts.

        Args:
            pixel_values: `(batch, channels, S, S)`.
            **kwargs: The sizes that a processor returns, to see padding.

        Returns:
            The embeddings, `batch · K` rows of them: see `SamEmbeddings`. `forward` takes them as `image_embeddings`.

        Raises:
            ActionError: As in `forward`.
            ConfigurationError: As in `forward`.

        Cost: one pass of the encoder for each member. No gradient is kept, as in the base.
        """
        sizes = {name: kwargs.pop(name, None) for name in _OF_PROCESSORS}
        self._checked_arguments(kwargs)
        self._check_images(pixel_values, None, sizes["reshaped_input_sizes"])
        return self._encode(pixel_values)

    @property
    def _prompts(self) -> PromptReader:
        encoder = self.base.prompt_encoder
        resizes = hasattr(encoder, "mask_input_size")  # as all bases but the first two do
        mask_side = None if resizes else 4 * encoder.image_embedding_size[0]
        return PromptReader(self.action, encoder.input_image_size, mask_side)

    def _checked_arguments(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of the base besides images and prompts.

        Raises:
            ConfigurationError: For arguments that the base does not take, or that belong to one frame.
        """
        extras = self.checked_extras(kwargs)
        reasons = {
            "labels": "neither the base nor this model computes a loss: compute one from pred_masks",
            "attention_similarity": "it is a map of the image, and how it moves is not defined: call model.unwrap()",
            "intermediate_embeddings": "they are part of the image_embeddings that get_image_embeddings returns",
        }
        taken = parameters(type(self.base).forward)
        for name in extras:
            if name in reasons or name not in taken:
                reason = reasons.get(name, f"{type(self.base).__name__} takes no such argument")
                raise ConfigurationError(f"{name}= cannot be used: {reason}")
        return extras

    def _check_images(self, pixel_values: Any, image_embeddings: Any, sizes: Any) -> int:
        """Return the number of images.

        Raises:
            ActionError: For images of another shape.
            ConfigurationError: Without images, with both kinds of them, or with padding on one side.
        """
        if (pixel_values is None) == (image_embeddings is None):
            raise ConfigurationError(f"{type(self).__name__} needs either pixel_values or image_embeddings")
        if pixel_values is None:
            return self._check_embeddings(image_embeddings)
        check_batch(pixel_values, "pixel_values", "images")
        if pixel_values.dim() != 4 or tuple(pixel_values.shape[1:]) != self.input_shape():
            raise ActionError(
                f"pixel_values needs the shape (images, {', '.join(map(str, self.input_shape()))}), which the base "
                f"reads; received {tuple(pixel_values.shape)}. Pass what its processor returns."
            )
        check_padding(pixel_values, self.action, sizes)
        return len(pixel_values)

    def _check_embeddings(self, given: Any) -> int:
        if not isinstance(given, SamEmbeddings):
            raise ConfigurationError(
                f"image_embeddings= is a {type(given).__name__}, but the members of an orbit are needed: pass what "
                "get_image_embeddings of this model returns"
            )
        members = 1 if self.method.selects_one else self.group.order
        if given.action.group != self.group or given.elements.shape[1] != members:
            raise ConfigurationError(
                f"image_embeddings= holds {given.elements.shape[1]} members of {given.action.group!r}, but this model "
                f"reads others (method={self.config.method!r}, {self.group!r}): make them with this model"
            )
        return len(given)

    def _encode(self, pixel_values: torch.Tensor) -> SamEmbeddings:
        """Run the encoder on the members that the method reads."""
        base, selection = self.base, self.select_members(self.action, pixel_values)
        piece = images_at_once(base.vision_encoder, pixel_values.shape[-2] * pixel_values.shape[-1])
        # In the order of the elements, so that rows are where the user would look for them.
        reader = OrbitReader({"pixel_values": self.action}, {}, self.config.orbit_chunk_size, piece, distinct=False)
        what = f"images of {' × '.join(map(str, pixel_values.shape[1:]))}"
        rows = reader.read(base, partial(_read_images, base), {"pixel_values": pixel_values}, selection, what)
        maps, intermediate = (
            tuple(value for name, value in rows.outputs.items() if name.startswith(kind))
            for kind in (_MAP, _INTERMEDIATE)
        )
        several = selection.elements.shape[1] > 1 and not torch.compiler.is_exporting()
        keys = self.action.keys(pixel_values) if several else None
        return SamEmbeddings(maps, self.action, selection, keys, intermediate)

    def _decode(
        self, found: SamEmbeddings, prompts: dict[str, torch.Tensor], multimask_output: bool, extras: dict[str, Any]
    ) -> OrbitRows:
        """Run the prompt encoder and the decoder on the members."""
        base = self.base
        inputs = {"images": ReadImages(found), **self._prompts.actions(prompts)}
        objects = next((prompts[name].shape[1] for name in ("input_points", "input_boxes") if name in prompts), 1)
        # Counted like images of half the side: so a CPU decodes members of 1024 pixels one by one, the fastest way.
        piece = images_at_once(base.mask_decoder, objects * (self._prompts.side // 2) ** 2)
        reader = OrbitReader(inputs, {_MASKS: self.action}, self.config.orbit_chunk_size, piece)
        numbers = torch.arange(len(found), device=found.maps[-1].device)
        run = partial(_read_prompts, base, found, multimask_output=multimask_output)
        return reader.read(base, run, {"images": numbers, **prompts, **extras}, found.selection, "prompts")

    def _combined(self, rows: OrbitRows, samples: int, log_weights: torch.Tensor | None) -> EquiSamOutput:
        """Combine the members, for each object by itself: what it gets does not depend on the other objects."""
        objects = rows.outputs[_IOU].shape[1]
        each, combine = _by_object(rows, objects), self.method.combine
        if log_weights is not None:
            log_weights = log_weights.repeat_interleave(objects, 0)
        losses = None if combine.loss is None else losses_of(combine.loss, each.outputs[_IOU].float())
        found: dict[str, Any] = {}
        decision = Decision()
        for name in each.outputs:
            value, decision = each.combine(name, combine, log_weights, losses)
            found[name] = value.view(samples, objects, *value.shape[1:])
        result = EquiSamOutput(**found)
        if decision.chosen_element is not None:
            result.chosen_element = decision.chosen_element.view(samples, objects)
        if decision.margin is not None:
            result.margin = decision.margin.view(samples, objects)
        return result


def _read_images(base: Any, rows: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Return the encoder's maps for some images; unlike the base's own method, with gradients."""
    said = inspect.unwrap(type(base).get_image_embeddings)(base, rows["pixel_values"])
    maps, intermediate = said if isinstance(said, tuple) else (said, ())
    maps = [maps] if isinstance(maps, torch.Tensor) else maps
    return {
        f"{kind}{number}": value
        for kind, values in ((_MAP, maps), (_INTERMEDIATE, intermediate))
        for number, value in enumerate(values)
    }


def _read_prompts(base: Any, found: SamEmbeddings, rows: dict[str, Any], multimask_output: bool) -> dict[str, Any]:
    """Return what the decoder says of some members, with the masks of all objects in one axis."""
    images = rows.pop("images")
    maps = [value[images] for value in found.maps]
    if found.intermediate:
        rows["intermediate_embeddings"] = [value[images] for value in found.intermediate]
    embeddings = maps[0] if len(maps) == 1 else maps
    out = base(image_embeddings=embeddings, multimask_output=multimask_output, return_dict=True, **rows)
    said = {_MASKS: out[_MASKS].flatten(1, 2), _IOU: out[_IOU]}
    return {**said, _PRESENT: out[_PRESENT]} if _PRESENT in out else said


def _by_object(rows: OrbitRows, objects: int) -> OrbitRows:
    """Return the same rows with an orbit for each object of each image."""
    orbit = rows.orbit
    elements, rank = (table.repeat_interleave(objects, 0) for table in (orbit.elements, orbit.rank))
    samples, members = orbit.members

    def ordered(value: torch.Tensor) -> torch.Tensor:
        # (B · K, N, ...) to (B · N · K, ...)
        return value.view(samples, members, *value.shape[1:]).transpose(1, 2).flatten(0, 2)

    outputs = {
        name: value.unflatten(1, (objects, -1)) if name == _MASKS else value for name, value in rows.outputs.items()
    }
    given = rows.selection.log_weights
    given = None if given is None else given.repeat_interleave(objects, 0)
    return replace(
        rows,
        orbit=Orbit(elements, rank, shared=False),
        outputs={name: ordered(value) for name, value in outputs.items()},
        selection=Selection(elements, log_weights=given),
    )
