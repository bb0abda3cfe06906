"""The pipeline for features of images, of classifiers and of all other models."""

from __future__ import annotations

import pytest
import torch
from small_processors import image_processor, picture
from small_vision import classifier
from transformers import ImageFeatureExtractionPipeline, pipeline
from transformers.pipelines import PIPELINE_REGISTRY
from wrapped_vision import TURNS, wrap

from hf_equi.bases.compat import replace_pipeline
from hf_equi.errors import ConfigurationError

TASK = "image-feature-extraction"


@torch.no_grad()
def test_classifiers_and_folders_give_invariant_features(tmp_path):
    model = wrap("vit", TURNS, processor=image_processor())
    model.save_pretrained(tmp_path)
    pixels = model.processor(images=picture(), return_tensors="pt")["pixel_values"]
    required = model(pixels).image_features
    for each in (
        pipeline(TASK, model=model, image_processor=model.processor),
        pipeline(TASK, model=model.feature_model(), image_processor=model.processor),
        pipeline(TASK, model=str(tmp_path)),
    ):
        for pooled in (True, False):
            for turns in range(4):
                received = torch.tensor(each(picture().rotate(90 * turns), pool=pooled))
                torch.testing.assert_close(received, required, atol=1e-5, rtol=1e-5)
    labels = pipeline("image-classification", model=model, image_processor=model.processor)(picture())
    assert {"label", "score"} == {*labels[0]}  # the model that was given keeps its head


def test_a_classifier_without_features_is_refused():
    with pytest.raises(ConfigurationError, match=r"level='logits' combines what the head .* level=\"features\""):
        pipeline(TASK, model=wrap("vit", TURNS, level="logits"), image_processor=image_processor())


def test_other_models_are_read_as_ever():
    base, processor = classifier("vit"), image_processor()
    ours = pipeline(TASK, model=base, image_processor=processor)
    plain = ImageFeatureExtractionPipeline(model=base, image_processor=processor)
    assert ours.model is base
    assert ours(picture()) == plain(picture())


def test_a_pipeline_that_others_have_put_there_stays(monkeypatch):
    monkeypatch.setitem(PIPELINE_REGISTRY.supported_tasks, TASK, {"impl": "theirs.Pipeline"})
    replace_pipeline(TASK, "transformers.pipelines.image_feature_extraction.ImageFeatureExtractionPipeline", "x.Y")
    assert PIPELINE_REGISTRY.supported_tasks[TASK]["impl"] == "theirs.Pipeline"
