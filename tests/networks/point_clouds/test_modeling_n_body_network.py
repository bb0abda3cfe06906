"""NBodyNetwork against messages written out, body by body."""

from __future__ import annotations

import torch
from small_point_clouds import n_body, systems


def test_messages_are_those_of_all_other_bodies():
    model, given = n_body(), systems(1, 4)
    x, v, q = given["positions"][0], given["velocities"][0], given["charges"][0]
    h = model.embedding(torch.cat([x, v], 1))
    for layer in model.messages:
        told = []
        for i in range(4):
            heard = [
                layer.pair(torch.cat([h[i], h[j], (q[i] * q[j])[None], (x[i] - x[j]).square().sum()[None]]))
                for j in range(4)
                if j != i
            ]
            told.append(sum(heard))
        h = h + layer.body(torch.cat([h, torch.stack(told)], 1))
    out = model(**given, output_features=True)
    torch.testing.assert_close(out.positions[0], x + model.head(h)[:, :3])
    torch.testing.assert_close(out.velocities[0], v + model.head(h)[:, 3:])
    torch.testing.assert_close(out.features[0], h.mean(0))
    assert n_body(predict_velocities=False)(**given).velocities is None


def test_one_body_hears_nothing():
    out = n_body()(**systems(1, 1))
    assert out.positions.isfinite().all()
