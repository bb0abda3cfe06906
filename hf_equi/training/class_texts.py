"""Class names as texts, for models that compare images with texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Any

import torch
from torch.nn.functional import normalize
from transformers import ImageProcessingMixin, default_data_collator

from hf_equi.errors import ConfigurationError
from hf_equi.models.clip import EquiCLIPModel
from hf_equi.models.peft.bases import bare_base
from hf_equi.models.vision.clip_cuts import check_clip

__all__ = ["ClassTexts", "class_text_features"]


@torch.no_grad()
def class_text_features(
    model: Any, processor: Any, class_names: Sequence[str], templates: Sequence[str] = ("a photo of a {}.",)
) -> torch.Tensor:
    r"""Return one text feature for each class: the mean over templates, as in Radford et al. 2021.

    $$ t_c = \frac{\bar{t}_c}{\lVert \bar{t}_c \rVert}, \qquad
    \bar{t}_c = \frac{1}{K} \sum_k \frac{h(\tau_k(c))}{\lVert h(\tau_k(c)) \rVert} $$

    Args:
        model: An `EquiCLIPModel`, or its base.
        processor: Its processor or tokenizer.
        class_names: C names.
        templates: K texts with one `{}` for the name.

    Returns:
        `(C, D)`, of length 1, without gradients.

    Raises:
        ConfigurationError: Without names or templates; for a template without `{}` or with several; if the processor
            has no tokenizer.
        UnsupportedModelError: For a model that does not compare images with texts.

    Cost: C·K texts through the text tower, K at a time.

    References:
        Radford et al. 2021, arXiv 2103.00020, §3.1.4.
    """
    if isinstance(class_names, str) or isinstance(templates, str) or not class_names or not templates:
        raise ConfigurationError(
            f"Class texts need a list of names and a list of templates; received {class_names!r} and {templates!r}"
        )
    if unfit := [template for template in templates if not _has_one_place(template)]:
        raise ConfigurationError(f"{unfit[0]!r} needs exactly one place for the name of a class: write {{}} once")
    base = _base_of(model)
    tokenize = getattr(processor, "tokenizer", processor)
    if not callable(tokenize) or isinstance(tokenize, ImageProcessingMixin):
        raise ConfigurationError(
            f"A {type(processor).__name__} does not read texts: pass the model's tokenizer, or the processor that "
            "contains it"
        )
    length: dict[str, Any] = {"padding": True}
    if "siglip" in base.config.model_type:  # it was trained on texts padded to the full length, without a mask
        length = {"padding": "max_length", "max_length": base.config.text_config.max_position_embeddings}
    mode = model.training
    model.eval()
    try:
        rows = []
        for name in class_names:
            texts = [template.format(name) for template in templates]
            tokens = tokenize(texts, **length, truncation=True, return_tensors="pt").to(model.device)
            features = model.get_text_features(**tokens, return_dict=True).pooler_output
            rows.append(normalize(normalize(features, dim=-1).mean(0), dim=-1))
    finally:
        model.train(mode)
    return torch.stack(rows)


def _has_one_place(template: str) -> bool:
    """Return whether a text has exactly one `{}`."""
    try:
        return [field for _, field, _, _ in Formatter().parse(template) if field is not None] == [""]
    except ValueError:  # a brace is never closed
        return False


def _base_of(model: Any) -> Any:
    """Return the CLIP-like model: the given one, or the base of a symmetrised one."""
    model = bare_base(model)
    base = model.base if isinstance(model, EquiCLIPModel) else model
    check_clip(base)
    return base


@dataclass(frozen=True)
class ClassTexts:
    """A data collator that adds the features of the class texts to the images and labels of each batch.

    Use one process for each device: `torch.nn.DataParallel` would split the texts up with the images.

    Args:
        text_features: `(C, D)` from `class_text_features`; kept on the CPU, so that workers can pass them on.
        collate: Makes a batch from examples.

    Example:
        >>> batch = ClassTexts(torch.eye(3))([{"pixel_values": torch.zeros(3, 8, 8), "label": 2}])
        >>> {name: tuple(tensor.shape) for name, tensor in batch.items()}
        {'labels': (1,), 'pixel_values': (1, 3, 8, 8), 'text_features': (3, 3)}
    """

    text_features: torch.Tensor
    collate: Callable[[list[Any]], dict[str, Any]] = default_data_collator

    def __post_init__(self) -> None:
        object.__setattr__(self, "text_features", self.text_features.detach().cpu())

    def __call__(self, examples: list[Any]) -> dict[str, Any]:
        """Return a batch of the examples, with the texts."""
        # Last, because the size of a batch is read off its first tensor.
        return {**self.collate(examples), "text_features": self.text_features}
