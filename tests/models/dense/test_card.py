from __future__ import annotations

import pytest
from small_dense import SQUARE, TURNS, wrap

from hf_equi.groups import SO2
from hf_equi.hub import write_card
from hf_equi.models.cards.measuring import measure


@pytest.mark.parametrize(
    ("family", "tag", "loader"),
    [
        ("segformer", "image-segmentation", "AutoModelForSemanticSegmentation"),
        ("glpn", "depth-estimation", "AutoModelForDepthEstimation"),
        ("vitpose", "keypoint-detection", "AutoModelForPoseEstimation"),
    ],
)
def test_a_card_is_about_what_the_model_predicts(family, tag, loader, tmp_path):
    model = wrap(family, SQUARE, "lambda")
    model.base.config.image_size = 32  # a SegFormer reads images of any size, and says 224
    card = write_card(model, tmp_path).read_text(encoding="utf-8")
    assert f"pipeline_tag: {tag}" in card
    assert f"{loader}.from_pretrained(" in card
    assert "the output moves with it: $M_G(gx) = g M_G(x)$, pixel by pixel" in card
    assert "Up and down are alike" in card
    assert "at most 1e-05" in card
    assert ("flip_pairs" in card) == (family == "vitpose")


def test_settings_are_listed_where_they_are_used():
    model = wrap("segformer", TURNS, "equizero", confidence="image", loss="entropy")
    listed = model.card_kind.config_settings(model)
    assert (listed["confidence"], listed["loss"], listed["level"]) == ("image", "entropy", "logits")
    assert not {"confidence", "loss"} & {*wrap("segformer", TURNS).card_kind.config_settings(wrap("segformer", TURNS))}
    mixture = wrap("segformer", TURNS, "mixture")
    assert any("**In law.**" in limit for limit in mixture.card_kind.limits(mixture))


def test_a_continuous_group_is_measured_too():
    model = wrap("glpn", SO2(), "canonical")
    model.base.config.image_size = 32
    assert measure(model).error is not None
    model.processor = object()
    assert "model.processor(images=Image.new" in model.card_kind.usage(model, '"me/x"')
