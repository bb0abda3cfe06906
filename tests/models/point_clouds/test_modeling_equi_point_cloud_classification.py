"""Losses, penalties and predictions; `test_model.py` has symmetries."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_point_clouds import classifier, clouds

import hf_equi
from hf_equi.errors import ConfigurationError
from hf_equi.groups import SO3, MatrixGroup


def test_the_loss_is_that_of_the_mean_with_the_penalty_of_the_base():
    base, labels = classifier("t_nets", label_smoothing=0.1), torch.tensor([0, 1, 4])
    group = MatrixGroup.cyclic(4, dimension=3)
    model = hf_equi.symmetrize(base, group)
    out = model(clouds(), labels=labels)
    members = [base(clouds() @ matrix.float().mT) for matrix in group.matrices]
    expected = torch.nn.functional.cross_entropy(out.logits, labels, label_smoothing=0.1)
    expected = expected + torch.stack([member.penalty for member in members]).mean()
    torch.testing.assert_close(out.loss, expected)


def test_predictions_name_classes():
    base = classifier("point_net", sure=3.0)
    base.config.id2label = {number: f"class {number}" for number in range(5)}
    processor = hf_equi.PointCloudProcessor(num_points=10)
    model = hf_equi.symmetrize(base, SO3(), processor=processor)
    cloud = clouds()[0].numpy()
    found = model.predict([cloud, cloud[:4]])
    assert len(found) == 2
    assert found[0]["label"].startswith("class ")
    assert 0.2 <= found[0]["score"] <= 1
    turned = model.predict(cloud @ SO3().sample(1)[0].numpy().T)
    assert turned[0]["label"] == found[0]["label"]
    np.testing.assert_allclose(turned[0]["score"], found[0]["score"], atol=1e-4)
    with pytest.raises(ConfigurationError, match="is not a PointCloudProcessor"):
        hf_equi.symmetrize(base, SO3(), processor="chair")
