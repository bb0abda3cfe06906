"""The table of methods: of which parts each is made, and what it can do for that."""

from __future__ import annotations

import pytest
import torch

from hf_equi.errors import ConfigurationError
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
    FeatureWeights,
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
    OneDraw,
    OneMember,
    Select,
    SmallestMember,
    Weigh,
    WholeGroup,
)

# Method, its name, its parts, and what it can do.
TABLE = [
    (Equitune, "equitune", WholeGroup, EqualWeights, Mean, {"relaxable"}),
    (Equizero, "equizero", WholeGroup, EqualWeights, LeastLoss, {"loss", "takes_best"}),
    (DraftedEquizero, "equizero", WholeGroup, EqualWeights, Drafts, {"relaxable", "searches"}),
    (ClassMaximum, "equizero", WholeGroup, EqualWeights, LargestOfEach, {"takes_best"}),
    (LambdaEquitune, "lambda", WholeGroup, NetworkWeights, Mean, {"feature_weights", "needs_training"}),
    (Attention, "attention", WholeGroup, NetworkWeights, Mean, {"feature_weights", "needs_training"}),
    (Mixture, "mixture", DrawnMember, HistoryWeights, Mean, {"history_weights", "selects_one"}),
    (OneDraw, "mixture", DrawnMember, EqualWeights, Mean, {"selects_one"}),
    (Canonical, "canonical", SmallestMember, EqualWeights, Mean, {"selects_one"}),
    (Identity, "identity", IdentityMember, EqualWeights, Mean, {"selects_one"}),
]
ABILITIES = (
    "selects_one",
    "loss",
    "takes_best",
    "searches",
    "feature_weights",
    "history_weights",
    "relaxable",
    "needs_training",
)


@pytest.mark.parametrize(("kind", "name", "select", "weigh", "combine", "can"), TABLE, ids=[row[0] for row in TABLE])
def test_methods_are_made_of_parts(kind, name, select, weigh, combine, can):
    method = kind()
    assert isinstance(method, Method)
    assert kind.__mro__[1] is Method  # no method is another one with something undone
    assert method.name == name
    assert (type(method.select), type(method.weigh), type(method.combine)) == (select, weigh, combine)
    assert {ability for ability in ABILITIES if getattr(method, ability) not in (None, False)} == can
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
    assert method.feature_weights.create_network(3, 4, 0.0) is None
    assert not method.relaxable


def test_parts_from_elsewhere_can_do_all_that_ours_can():
    """What a method can do is what its parts say, of whatever class they are."""

    class Half(Select):
        relaxable = True

        def members(self, asked):
            raise NotImplementedError

    class Alike(Weigh):
        relaxable = True

    class Searching(Combine):
        relaxable = searches = takes_best = True

        def fold(self, orbit, action, normalised=True):
            raise NotImplementedError

    class First(OneMember):
        def element(self, asked):
            raise NotImplementedError

    class Sizes(FeatureWeights):
        def log_weights(self, features):
            return features.norm(dim=-1)

    able = Method(Half(), Alike(), Searching())
    assert {name for name in ABILITIES if getattr(able, name) not in (None, False)} == {
        "relaxable",
        "searches",
        "takes_best",
    }
    method = Method(First(), Sizes(), Mean())
    assert method.selects_one
    assert method.feature_weights is method.weigh
    method.name = "sizes"
    with pytest.raises(
        ConfigurationError, match=r"'sizes' weighs members by Sizes, which texts do not support\. They support"
    ):
        method.check_parts((EqualWeights,), chooses=True, what="texts")


def test_networks_are_held_by_a_copy():
    class Scaled(Mean):
        def create_network(self, group, shape):
            return torch.nn.Linear(1, 1)

    method = Method(WholeGroup(), EqualWeights(), Scaled())
    method.name = "scaled"
    network = method.combine.create_network(None, None)
    held = method.with_networks({"combine_network": network}.get)
    assert held.combine.network is network
    with pytest.raises(ConfigurationError, match="'scaled' has a network that means nothing before it is trained: do"):
        method.refuse_untrained("do.")
    assert (held.select.network, held.weigh.network, method.combine.network) == (None, None, None)
    with pytest.raises(ConfigurationError, match="With method='scaled', Scaled combines members by a network"):
        held.with_networks({}.get)
    assert Equitune().with_networks({"lambda_network": network}.get).weigh.network is None  # of a method before it
