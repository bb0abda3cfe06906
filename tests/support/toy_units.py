"""Toy texts of units: a group, a base, and the law of their next tokens."""

from __future__ import annotations

import torch
from literal_units import toy_base
from token_actions import units_of

from hf_equi.generation import OrbitInputs, forward_orbit
from hf_equi.generation.orbit_forward import OrbitScores
from hf_equi.generation.units.laws import LookAhead
from hf_equi.symmetrizers import Equitune

VOCAB = 8
# Common beginnings, a form that begins a longer one, pieces that meet, one token that is the image of two.
PAIRS = [[(2, 3), (4,)], [(2, 5), (6, 1, 3)], [(2, 3, 5), (6, 6)], [(7,), (0,)]]
TRIPLES = [[(2, 3), (4,), (2, 3, 5)], [(6, 1), (6, 6), (0,)]]
OTHER = [[(1, 5), (6, 7)]]
ACTIONS = {"order 2": (PAIRS,), "order 3": (TRIPLES,), "product": ([[(2, 3), (4,)], [(6, 1, 3), (6, 6)]], OTHER)}
SHARE = 0.05


def law(base, action, average, look_ahead, ids, **settings) -> OrbitScores:
    """P(t | x) after each token."""
    inputs = OrbitInputs(ids, look=LookAhead(look_ahead, SHARE), **settings)
    elements = torch.arange(action.group.order).expand(len(ids), -1)
    with torch.no_grad():
        return forward_orbit(base, action, Equitune(average), elements, inputs)


def pairs():
    """A base and a group of order 2."""
    return toy_base(VOCAB), units_of(VOCAB, PAIRS)
