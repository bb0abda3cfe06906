"""The table of methods: of which parts each is made, and what it can do for that."""

from __future__ import annotations

import pytest

from hf_equi.symmetrizers import (
    Attention,
    Canonical,
    ClassMaximum,
    Combine,
    DraftedEquizero,
    Drafts,
    DrawnMember,
    EqualWeights,
    Equitune,
    Equizero,
    HistoryWeights,
    Identity,
    IdentityMember,
    LambdaEquitune,
    LargestOfEach,
    LeastLoss,
    Mean,
    Method,
    Mixture,
    NetworkWeights,
    SmallestMember,
    WholeGroup,
)

# Method, its name, its parts, and what it can do.
TABLE = [
    (Equitune, "equitune", WholeGroup, EqualWeights, Mean, {"relaxable"}),
    (Equizero, "equizero", WholeGroup, EqualWeights, LeastLoss, {"loss", "takes_best"}),
    (DraftedEquizero, "equizero", WholeGroup, EqualWeights, Drafts, {"relaxable", "searches"}),
    (ClassMaximum, "equizero", WholeGroup, EqualWeights, LargestOfEach, {"takes_best"}),
    (LambdaEquitune, "lambda", WholeGroup, NetworkWeights, Mean, {"network_weights"}),
    (Attention, "attention", WholeGroup, NetworkWeights, Mean, {"network_weights"}),
    (Mixture, "mixture", DrawnMember, HistoryWeights, Mean, {"history_weights", "selects_one"}),
    (Canonical, "canonical", SmallestMember, EqualWeights, Mean, {"selects_one"}),
    (Identity, "identity", IdentityMember, EqualWeights, Mean, {"selects_one"}),
]


@pytest.mark.parametrize(("kind", "name", "select", "weigh", "combine", "can"), TABLE, ids=[row[0] for row in TABLE])
def test_methods_are_made_of_parts(kind, name, select, weigh, combine, can):
    method = kind()
    assert isinstance(method, Method)
    assert kind.__mro__[1] is Method  # no method is another one with something undone
    assert method.name == name
    assert (type(method.select), type(method.weigh), type(method.combine)) == (select, weigh, combine)
    found = {"selects_one": method.select.selects_one}
    for ability in ("loss", "takes_best", "searches", "network_weights", "history_weights", "relaxable"):
        found[ability] = getattr(method, ability) not in (None, False)
    assert {ability for ability, has in found.items() if has} == can
    assert method.text.equation
    assert method.text.words.endswith(".")


def test_parts_from_elsewhere_are_asked_too():
    class Worst(Combine):
        loss = LeastLoss(Equizero().loss).loss

        def fold(self, orbit, action, normalised=True):
            raise NotImplementedError

    method = Method(WholeGroup(), NetworkWeights(lambda features, units, dropout: None), Worst())
    assert method.loss is Worst.loss
    assert method.takes_best
    assert method.network_weights.create_network(3, 4, 0.0) is None
    assert not method.relaxable
