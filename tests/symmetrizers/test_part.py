from __future__ import annotations

import torch

from hf_equi.symmetrizers import Combine, EqualWeights, Mean, Part, Select, SmallestMember, Weigh, WholeGroup


class Scaled(Mean):
    def create_network(self, group, shape):
        return torch.nn.Linear(1, 1)


def test_a_part_has_a_network_if_it_makes_one():
    for part in (WholeGroup(), SmallestMember(), EqualWeights(), Mean()):
        assert isinstance(part, Part)
        assert part.create_network(None, None) is None
        assert not part.has_network
        assert not part.needs_training
    assert Scaled().has_network
    assert Scaled().needs_training


def test_networks_of_parts_have_names_of_their_own():
    assert len({kind.network_name for kind in (Select, Weigh, Combine)}) == 3


def test_a_network_is_held_by_a_copy_of_the_part():
    part, network = Scaled("probabilities"), torch.nn.Linear(1, 1)
    held = part.with_network(network)
    assert held.network is network
    assert part.network is None
    assert (type(held), held.average) == (Scaled, "probabilities")
