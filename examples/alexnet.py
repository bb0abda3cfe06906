"""A thin adapter that makes torchvision's AlexNet, which transformers lacks, a model for `symmetrize`.

    from alexnet import AlexNetConfig, AlexNetForImageClassification
    base = AlexNetForImageClassification(AlexNetConfig(num_labels=10))
    model = hf_equi.symmetrize(base, hf_equi.ImageGroup.rotations(4), "lambda")

It needs torchvision (`pip install torchvision`). Importing this file registers the model with the Auto classes, so a
saved model loads again. VGG and DenseNet need no adapter, because transformers loads those of timm, as in
`symmetrize("timm/vgg16.tv_in1k", group)` and `symmetrize("timm/densenet121.tv_in1k", group)`.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoConfig, AutoModelForImageClassification, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import ImageClassifierOutputWithNoAttention


class AlexNetConfig(PreTrainedConfig):
    """The sizes of an AlexNet. It reads at least 64 pixels, so smaller images are enlarged to `image_size`."""

    model_type = "torchvision_alexnet"
    image_size: int = 64
    num_channels: int = 3
    dropout: float = 0.5


class AlexNetForImageClassification(PreTrainedModel):
    """An AlexNet with its classifier."""

    config_class = AlexNetConfig
    base_model_prefix = "alexnet"
    main_input_name = "pixel_values"

    def __init__(self, config: AlexNetConfig) -> None:
        super().__init__(config)
        try:
            from torchvision.models import AlexNet
        except ImportError as error:
            raise ImportError("AlexNet comes from torchvision: pip install torchvision") from error
        self.alexnet = AlexNet(num_classes=config.num_labels, dropout=config.dropout)
        self.post_init()

    def forward(
        self, pixel_values: torch.Tensor, labels: torch.Tensor | None = None, **kwargs: Any
    ) -> ImageClassifierOutputWithNoAttention:
        """Return the logits `(B, classes)` of images `(B, 3, H, W)`."""
        factor = self.config.image_size / min(pixel_values.shape[-2:])
        if factor > 1:
            pixel_values = torch.nn.functional.interpolate(pixel_values, scale_factor=factor, mode="nearest")
        logits = self.alexnet(pixel_values)
        loss = None if labels is None else self.loss_function(labels, logits, self.config)
        return ImageClassifierOutputWithNoAttention(loss=loss, logits=logits)


AutoConfig.register("torchvision_alexnet", AlexNetConfig, exist_ok=True)
AutoModelForImageClassification.register(AlexNetConfig, AlexNetForImageClassification, exist_ok=True)
