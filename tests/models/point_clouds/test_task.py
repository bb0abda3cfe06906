from __future__ import annotations

import pytest
from small_point_clouds import classifier, n_body, segmenter

import hf_equi
from hf_equi import PointCloudProcessor, symmetrize
from hf_equi.errors import ConfigurationError, UnsupportedModelError
from hf_equi.groups import SE3, SO3, MatrixGroup
from hf_equi.registration import tasks


def test_the_task_is_found_from_the_network(tmp_path):
    for made, task in (
        (classifier("point_net"), "point_cloud_classification"),
        (segmenter(), "point_cloud_segmentation"),
        (n_body(), "n_body"),
    ):
        made.save_pretrained(tmp_path / task)
        PointCloudProcessor(num_points=9).save_pretrained(tmp_path / task)
        by_name = symmetrize(str(tmp_path / task), SE3(), "canonical")
        assert type(by_name) is tasks()[task].model_class
        assert by_name.processor.num_points == 9
        assert type(symmetrize(made, SE3())) is type(by_name)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"theta": [0]}, "theta: the method 'equitune' does not use these settings"),
        ({"loss": "entropy"}, "loss: the method 'equitune' does not use these settings"),
        ({"lambda_units": 3}, "lambda_units: the method 'equitune' does not use these settings"),
        ({"tokenizer": object()}, r"tokenizer: a model that classifies point clouds does not use these settings"),
        ({"method": "canonical", "prior_weight": 0.0, "task_weight": 0.0}, "leave no loss to train by"),
    ],
)
def test_settings_without_effect_are_refused(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        symmetrize(classifier(), SO3(), **settings)


def test_another_task_is_refused():
    with pytest.raises(UnsupportedModelError, match="is not a model that predicts how bodies move"):
        symmetrize(classifier(), MatrixGroup.cube(), task="n_body")
    assert isinstance(
        symmetrize(classifier(), SO3(), average="probabilities"), hf_equi.EquiForPointCloudClassification
    )
