from __future__ import annotations

import pytest
from small_dense import SQUARE, TURNS, dense, wrap

from hf_equi import EquiDenseConfig, ImageGroup
from hf_equi.actions import HeatMapAction, PixelAction, PlaneAction
from hf_equi.errors import ActionError, ConfigurationError
from hf_equi.groups import O2

POSE = dense("vitpose").config


def config(base, group=TURNS, **settings):
    return EquiDenseConfig(base_config=base, group=group.to_dict(), **settings)


def test_each_kind_of_output_has_its_own_defaults():
    assert [EquiDenseConfig().level, EquiDenseConfig().confidence, EquiDenseConfig().loss] == [
        "logits",
        "pixel",
        "max_probability",
    ]
    depth = EquiDenseConfig(predicts="depth")
    assert [depth.level, depth.confidence, depth.loss] == ["values", None, None]
    assert EquiDenseConfig(predicts="key_points").confidence == "key_point"
    assert EquiDenseConfig(level="probabilities").create_method().combine.average == "probabilities"
    assert depth.create_method().combine.average == "logits"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"predicts": "normals"}, "predicts='normals' is not known: .*'segmentation', 'depth', 'key_points'"),
        ({"level": "features"}, "level='features' is not known to a model that segments images: .*'logits', 'prob"),
        ({"level": "logits", "predicts": "depth"}, "level='logits' is not known to a model that estimates depth"),
        ({"confidence": "class"}, "confidence='class' is not known to a model that segments images"),
        ({"confidence": "pixel", "predicts": "depth"}, "a model that estimates depth has no such setting. Leave it"),
        ({"loss": "entropy", "predicts": "depth"}, "loss='entropy': a model that estimates depth has no such setting"),
        (
            {"loss": "entropy", "predicts": "key_points"},
            "loss='entropy' is not known to a model that finds key points",
        ),
        ({"method": "equizero", "predicts": "depth"}, "'equizero' takes the member .* a depth has no probability"),
    ],
)
def test_settings_that_an_output_does_not_have(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        EquiDenseConfig(**settings)


def test_mirrors_exchange_the_channels_that_are_named():
    turning = config(POSE, predicts="key_points")
    assert type(turning.output_action(TURNS)) is PixelAction  # a turn makes no left hand a right one
    with pytest.raises(ConfigurationError, match=r"mirrors images.*pass the pairs, flip_pairs=\[\[1, 2\], \.\.\.\]"):
        config(POSE, SQUARE, predicts="key_points")
    mirrored = config(POSE, SQUARE, predicts="key_points", flip_pairs=[[1, 2]])
    assert mirrored.output_action(SQUARE).pairs == [(1, 2)]
    with pytest.raises(ConfigurationError, match=r"channels that mirrors exchange, but .* has no mirrors: leave them"):
        config(POSE, TURNS, predicts="key_points", flip_pairs=[[1, 2]])
    for pairs in (5, [1, 2], "12", [[1]], [["a", "b"]]):
        with pytest.raises(ConfigurationError, match=r"are not pairs of channels: pass a list such as \[\[1, 2\], "):
            config(POSE, SQUARE, predicts="key_points", flip_pairs=pairs)
    assert config(POSE, SQUARE, predicts="key_points", flip_pairs=[(1, 2)]).flip_pairs == [[1, 2]]
    for pairs in ([[1, 9]], [[1, 1]], [[1, 2], [2, 3]], [[-1, 2]]):
        with pytest.raises(
            ActionError, match="does not exchange two channels: name two different numbers from 0 to 4"
        ):
            config(POSE, SQUARE, predicts="key_points", flip_pairs=pairs)


def test_classes_are_exchanged_where_that_is_asked_for():
    base = dense("segformer").config
    assert type(config(base, SQUARE).output_action(SQUARE)) is PixelAction
    assert isinstance(config(base, SQUARE, flip_pairs=[[0, 1]]).output_action(SQUARE), HeatMapAction)
    continuous = config(base, O2(), method="canonical")
    assert isinstance(continuous.output_action(O2()), PlaneAction)
    with pytest.raises(ConfigurationError, match="method='equitune' is for finite groups"):
        config(base, O2())


def test_classes_are_those_of_the_base():
    model = wrap("segformer", ImageGroup.trivial())
    assert model.config.id2label == model.base.config.id2label == {n: f"class {n}" for n in range(5)}
    assert model.config.num_labels == 5
