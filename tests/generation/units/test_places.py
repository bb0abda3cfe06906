"""The places of texts whose next unit is asked for."""

from __future__ import annotations

import torch
from token_actions import units_of

from hf_equi.generation.units.places import Places
from hf_equi.generation.units.readings import Reading, UnitTables
from hf_equi.symmetrizers import Orbit


def test_members_and_what_is_open():
    """The second text ends in the beginning of a form."""
    tables = UnitTables(units_of(6, [[(2, 3), (4,)]]))
    orbit = Orbit.start(torch.tensor([[0, 1], [1, 0]]))
    readings = [[None, Reading.of(tables, [1, 4])], [Reading.of(tables, [1]), Reading.of(tables, [1, 2])]]
    places = Places(torch.zeros(2, 2, 6), readings, [[(1, ()), (2, ())]] * 2, orbit)
    assert list(places.members(1)) == list(zip(orbit.row_of[1].tolist(), (1, 0), strict=True))
    assert list(places.loud()) == [(1, 1, readings[1][1])]
