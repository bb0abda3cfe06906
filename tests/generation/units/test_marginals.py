"""From units to tokens."""

from __future__ import annotations

import torch
from token_actions import units_of

from hf_equi.generation.units.marginals import OpenForms, TokenMarginal

ACTION = units_of(4, [[(1, 2), (0,)], [(1, 3), (2, 2, 0)], [(1, 3, 3), (3,)]])


def scores(*shape):
    return torch.randn(*shape, ACTION.units, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_a_token_has_the_mass_of_the_units_that_begin_with_it():
    """Also where a unit, or all units of a token, cannot follow; with a gradient that is a number."""
    units = scores(2, 3).log_softmax(-1)
    units[0, 0, 5] = units[1, 1, [1, *range(4, ACTION.units)]] = -torch.inf
    units.requires_grad_()
    found = TokenMarginal(ACTION).of_closed(units)
    expected = units.detach().exp()[..., :4].clone()
    for place, form in enumerate(ACTION.forms):
        expected[..., form[0]] += units.detach().exp()[..., 4 + place]
    torch.testing.assert_close(found.exp(), expected)
    (gradient,) = torch.autograd.grad(found.exp()[found > -torch.inf].sum(), units)
    assert bool(gradient.isfinite().all())


def test_open_forms_add_their_next_tokens():
    marginal, units = TokenMarginal(ACTION), scores().log_softmax(-1)
    long, other = (ACTION.vocab_size + ACTION.forms.index(form) for form in ((1, 3, 3), (1, 2)))
    before = OpenForms(torch.tensor(0.0, dtype=torch.float64))
    opened = marginal.after(before, units, 1)
    assert set(opened.forms) == {(unit, 1) for unit in marginal.begun(1)}
    torch.testing.assert_close(opened.total, torch.tensor(0.0, dtype=torch.float64))
    law = marginal.mixed(marginal.of_closed(units), opened)
    torch.testing.assert_close(law.exp().sum(), torch.tensor(1.0, dtype=torch.float64))
    closed = marginal.of_closed(units)[2].exp() * opened.closed.exp()
    torch.testing.assert_close(law[2].exp(), closed + opened.forms[other, 1].exp())
    going = marginal.after(opened, units, 3)
    assert set(going.forms) == {(long, 2)}
    nothing = marginal.after(before, units, 0)
    assert nothing is before
