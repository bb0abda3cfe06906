"""The pipeline for features of images, which also takes a symmetrised classifier."""

from __future__ import annotations

from typing import Any

from transformers import ImageFeatureExtractionPipeline

from hf_equi.models.image_classification.modeling_equi_image_classification import EquiForImageClassification

__all__ = ["FeaturesPipeline"]


class FeaturesPipeline(ImageFeatureExtractionPipeline):
    """The pipeline `"image-feature-extraction"` of transformers, which reads the first output of any model.

    The first output of a classifier is its logits, so here a symmetrised classifier is used without its head. For all
    other models this is the pipeline of transformers. It replaces that pipeline as soon as a symmetrised classifier
    can exist.

    Args:
        model: The model.
        **kwargs: The arguments of the transformers pipeline.

    Raises:
        ConfigurationError: For a classifier at a level that has no features.
    """

    def __init__(self, model: Any, **kwargs: Any) -> None:
        super().__init__(
            model=model.feature_model() if isinstance(model, EquiForImageClassification) else model, **kwargs
        )
