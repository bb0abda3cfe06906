"""What the cards of models of images say."""

from __future__ import annotations

from small_processors import image_processor
from wrapped_vision import SQUARE, TURNS, wrap, wrap_clip

from hf_equi import ImageGroup, symmetric_processor


def test_the_motions_are_named():
    kind = wrap("resnet", SQUARE).card_kind
    assert kind.group_tags(wrap("resnet", SQUARE)) == ["dihedral-4"]
    assert kind.group_tags(wrap("resnet", ImageGroup.flips("horizontal"))) == ["flips-horizontal"]
    text = kind.group_text(wrap("resnet", SQUARE))
    assert "`ImageGroup.dihedral(4)`, 8 elements" in text
    assert "90° mirrored" in text


def test_settings_are_those_that_are_read():
    plain, weighed = wrap("resnet", TURNS), wrap("resnet", TURNS, "lambda", lambda_units=5)
    assert {*plain.card_kind.config_settings(plain)} == {"method", "level", "objective"}
    assert weighed.card_kind.config_settings(weighed)["lambda_units"] == 5
    chosen = wrap_clip("clip", TURNS, "equizero")
    assert chosen.card_kind.config_settings(chosen)["selection"] == "image"


def test_limits_go_by_method_and_group():
    frozen = wrap("resnet", TURNS, "lambda", lambda_features="frozen")
    assert frozen.card_kind.limits(frozen)[-1].endswith(
        "for each distinct member of an orbit. The frozen copy of the base reads what the base reads."
    )
    exact, choice = wrap("resnet", TURNS), wrap("resnet", TURNS, "equizero")
    assert not any("A choice" in limit or "Resampling" in limit for limit in exact.card_kind.limits(exact))
    assert any("A choice" in limit for limit in choice.card_kind.limits(choice))
    turned = wrap("resnet", ImageGroup.rotations(8))
    assert any("Resampling" in limit for limit in turned.card_kind.limits(turned))
    assert "up to what resampling" in turned.card_kind.guarantee(turned)
    assert "padding" in turned.card_kind.config_settings(turned)


def test_the_limits_say_whether_the_processor_is_symmetric():
    model = wrap("resnet", TURNS, processor=image_processor())
    assert "hf_equi.symmetric_processor(model.processor)` is exact" in model.card_kind.limits(model)[0]
    model.processor = symmetric_processor(model.processor)
    assert model.card_kind.limits(model)[0].startswith("**From pictures on.**")
