"""Motions moved back by hand, and their losses; `test_model.py` has symmetries."""

from __future__ import annotations

import torch
from small_point_clouds import n_body, padding, systems

import hf_equi
from hf_equi.canonicalization import Centre
from hf_equi.groups import E3, MatrixGroup


def test_positions_and_velocities_are_moved_back():
    base, given, group = n_body(), systems(), MatrixGroup.tetrahedron()
    out = hf_equi.symmetrize(base, group)(**given)
    positions, velocities = [], []
    for matrix in group.matrices.float():
        moved = {**given, "positions": given["positions"] @ matrix.mT, "velocities": given["velocities"] @ matrix.mT}
        said = base(**moved)
        positions.append(said.positions @ matrix)
        velocities.append(said.velocities @ matrix)
    torch.testing.assert_close(out.positions, torch.stack(positions).mean(0))
    torch.testing.assert_close(out.velocities, torch.stack(velocities).mean(0))


def test_translations_move_positions_alone():
    model, given = hf_equi.symmetrize(n_body(), E3(), "canonical").eval(), systems()
    out = model(**given)
    far = model(**{**given, "positions": given["positions"] + 10})
    torch.testing.assert_close(far.positions, out.positions + 10, atol=1e-3, rtol=0)
    torch.testing.assert_close(far.velocities, out.velocities, atol=1e-3, rtol=0)
    place = model.group.parts(out.canonical_element)[1]
    torch.testing.assert_close(place, Centre()(given["positions"]))


def test_losses_leave_padding_out():
    model, given, mask = hf_equi.symmetrize(n_body(), E3(), "lambda"), systems(), padding(3, 5, 3)
    labels = {"labels": given["velocities"], "velocity_labels": given["positions"]}
    out = model(**given, mask=mask, **labels)
    there = mask > 0
    errors = (out.positions - given["velocities"])[there], (out.velocities - given["positions"])[there]
    torch.testing.assert_close(out.loss, errors[0].square().mean() + errors[1].square().mean())
    assert out.group_weights.shape == (3, 8)
    alone = hf_equi.symmetrize(n_body(predict_velocities=False), E3())
    assert alone(**given).velocities is None
