"""The phases of the papers."""

from __future__ import annotations

import pytest
from small_training import classification, comparison
from small_vision import classifier

from hf_equi.errors import ConfigurationError
from hf_equi.training import corrected_phases, published_phases

TWICE, ONCE = "published_double_softmax", "cross_entropy"


def facts(phases):
    return [(phase.trains, phase.learning_rate, phase.max_steps or phase.epochs, phase.objective) for phase in phases]


def test_published_phases_are_those_of_the_paper():
    assert facts(published_phases(comparison("lambda"))) == [
        ("lambda", 0.3, 1000, TWICE),
        ("base", 5e-7, 4000, TWICE),
    ]
    for method in ("equitune", "equizero"):
        assert facts(published_phases(comparison(method))) == [("base", 1e-3, 4000, TWICE)]
        assert facts(published_phases(classification(method))) == [("last_layers", 1e-3, 10, ONCE)]
    assert facts(published_phases(classification("lambda"))) == [
        ("lambda", 1e-3, 10, ONCE),
        ("last_layers", 1e-3, 10, ONCE),
    ]
    assert {phase.batch_size for phase in published_phases(comparison("lambda"))} == {32}
    assert {phase.optimizer for phase in published_phases(comparison("lambda"))} == {"sgd"}


def test_corrected_phases_take_one_softmax_and_train_all_in_the_end():
    for model in (comparison("lambda"), classification("lambda")):
        first, last = corrected_phases(model)
        assert (first.trains, last.trains) == ("lambda", "all")
        assert first.objective == last.objective == ONCE
    assert facts(corrected_phases(comparison("lambda")))[0] == ("lambda", 0.3, 1000, ONCE)
    assert [phase.trains for phase in corrected_phases(comparison("equizero"))] == ["all"]


def test_attention_trains_with_adam_at_a_low_rate():
    for make in (classification, comparison):
        for phases in (published_phases(make("attention")), corrected_phases(make("attention"))):
            assert phases[0].trains == "lambda"
            assert phases[0].optimizer == "adamw_torch"
            assert phases[0].learning_rate <= 1e-2


def test_models_without_phases_are_refused():
    for phases in (published_phases, corrected_phases):
        with pytest.raises(ConfigurationError, match="no phases for a ResNetForImageClassification"):
            phases(classifier("resnet"))
