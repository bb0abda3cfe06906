"""Methods by name, and models that an audit of images cannot count."""

from __future__ import annotations

from typing import Any

import pytest
from small_vision import classifier
from transformers import PreTrainedModel

from hf_equi import ImageGroup, symmetrize
from hf_equi.canonicalization import CircularHarmonic, ModelEnergy
from hf_equi.errors import ConfigurationError
from hf_equi.groups import SO2
from hf_equi.image_audit.subjects import DEFAULT_METHODS, describe, make_models, make_subjects

GROUP = ImageGroup.rotations(4)


def test_methods_are_made_around_one_base(base: PreTrainedModel) -> None:
    models: dict[str, Any] = make_models(base, GROUP, [*DEFAULT_METHODS, "equizero:entropy", "equitune:spatial"])
    assert models["base"] is base
    assert all(model.base is base for name, model in models.items() if name != "base")
    assert [models[name].config.level for name in ("equitune", "equitune:probabilities", "equitune:spatial")] == [
        "features",
        "probabilities",
        "spatial",
    ]
    assert models["equizero:entropy"].config.loss == "entropy"
    subjects = make_subjects(models)
    assert [subject.forwards for subject in subjects] == [1, 4, 4, 4, 4, 4]
    assert len({str({**describe(subject), "name": ""}) for subject in subjects}) == len(subjects)


def test_a_trained_model_is_audited_beside_its_base(base: PreTrainedModel) -> None:
    trained = symmetrize(base, GROUP, "lambda").eval()
    models = make_models(trained, GROUP, ["base", "equitune"])
    assert [*models] == ["base", "equitune", "this model (lambda)"]
    assert models["this model (lambda)"] is trained
    assert [*make_models(trained, ImageGroup.flips(), ["base"])] == ["base"]


def test_models_of_one_pose_are_counted_and_told_apart(base: PreTrainedModel) -> None:
    """Energies and sets Θ have no weights by which two models could be told apart."""
    angles = CircularHarmonic(SO2(), ModelEnergy(ImageGroup.rotations(8)))
    made = {
        "identity": symmetrize(base, GROUP, "identity"),
        "network": symmetrize(base, GROUP, "canonical"),
        "energy": symmetrize(base, GROUP, "canonical", canonicalizer=ModelEnergy(GROUP)),
        "largest": symmetrize(base, GROUP, "canonical", canonicalizer=ModelEnergy(GROUP, energy="largest")),
        "angles": symmetrize(base, SO2(), "canonical", canonicalizer=angles),
        "two": symmetrize(base, GROUP, "canonical_lambda", theta=[0, 1]),
        "others": symmetrize(base, GROUP, "canonical_lambda", theta=[0, 2]),
    }
    made["others"].load_state_dict(made["two"].state_dict())
    subjects = make_subjects({name: model.eval() for name, model in made.items()})
    assert [subject.forwards for subject in subjects] == [1, 1, 5, 5, 9, 2, 2]
    assert len({str({**describe(subject), "name": ""}) for subject in subjects}) == len(subjects)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("magic", "method='magic' is not known to the audit of images: use one of 'base', 'attention', 'can"),
        ("lambda", "has to be trained|before it is trained: train it"),
        ("attention:logits", "before it is trained: train it"),
        ("equitune:entropy", "has no setting 'entropy': use one of features, logits, probabilities, spatial"),
        ("equitune:logit", "has no setting 'logit': did you mean 'logits'"),
        ("equizero:hope", "use one of features, .*, entropy"),
    ],
)
def test_methods_that_cannot_be_audited_are_refused(base: PreTrainedModel, name: str, fault: str) -> None:
    with pytest.raises(ConfigurationError, match=fault):
        make_models(base, GROUP, [name])


def test_models_without_one_class_of_several_are_refused(base: PreTrainedModel) -> None:
    several, training, others = (classifier("resnet-basic") for _ in range(3))
    several.config.problem_type = "multi_label_classification"
    training.train()
    for models, fault in (
        ({}, "at least one model by name"),
        ({"": base}, "has the name ''"),
        ({"base": "resnet"}, "is a str: pass a PreTrainedModel"),
        ({"base": several}, "does multi_label_classification"),
        ({"base": training}, "in training mode"),
        ({"base": base, "other": others}, "have different classes"),
    ):
        with pytest.raises(ConfigurationError, match=fault):
            make_subjects(models)
