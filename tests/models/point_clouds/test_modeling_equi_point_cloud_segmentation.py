"""Losses, choices and predictions of parts; `test_model.py` has symmetries."""

from __future__ import annotations

import numpy as np
import torch
from small_point_clouds import clouds, padding, segmenter
from torch.nn.functional import cross_entropy

import hf_equi
from hf_equi.groups import SO3, MatrixGroup

QUARTERS = MatrixGroup.cyclic(4, dimension=3)


def test_one_member_is_chosen_by_the_points_there_are():
    base, mask, categories = segmenter("point_net"), padding(), torch.tensor([0, 1, 1])
    model = hf_equi.symmetrize(base, QUARTERS, "equizero")
    labels = torch.randint(0, 4, (3, 12))
    out = model(clouds(), mask, categories, labels)
    members = torch.stack([base(clouds() @ m.float().mT, mask, categories).logits for m in QUARTERS.matrices])
    sure = (members.softmax(-1).amax(-1) * mask).sum(-1) / mask.sum(-1)
    best = sure.argmax(0)
    assert torch.equal(out.chosen_element, best)
    there = mask > 0
    torch.testing.assert_close(out.logits[there], members[best, torch.arange(3)][there])
    penalty = torch.stack([base(clouds() @ m.float().mT, mask, categories).penalty for m in QUARTERS.matrices]).mean()
    torch.testing.assert_close(out.loss, cross_entropy(out.logits[there], labels[there]) + penalty)


def test_predictions_are_parts_of_the_points_that_were_read():
    model = hf_equi.symmetrize(segmenter("point_net"), SO3(), processor=hf_equi.PointCloudProcessor(num_points=8))
    cloud = clouds()[0].numpy() + 5
    found = model.predict([cloud, cloud[:6]], categories=[0, 1])
    assert [one["points"].shape for one in found] == [(8, 3), (6, 3)]
    assert [one["parts"].shape for one in found] == [(8,), (6,)]
    apart = np.abs(found[0]["points"][:, None] - cloud[None]).max(2).min(1)
    assert apart.max() < 1e-5
