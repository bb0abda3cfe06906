import torch

from hf_equi.groups import DemographicGroup, FiniteGroup, Group, ImageGroup

GROUPS = (FiniteGroup.symmetric(3), FiniteGroup.trivial(), ImageGroup.dihedral(4), DemographicGroup([["he", "she"]]))


def test_finite_groups_are_groups():
    for finite in GROUPS:
        group: Group = finite
        g, h, k = (group.sample(20, torch.Generator().manual_seed(seed)) for seed in range(3))
        assert g.shape == (20,)
        assert torch.equal(group.compose(group.compose(g, h), k), group.compose(g, group.compose(h, k)))
        assert torch.equal(group.compose(group.inverse(g), g), torch.full((20,), group.identity))
        assert torch.equal(group.compose(group.identity, g), g)
        assert torch.equal(group.compose(g, group.identity), g)


def test_one_element_is_an_int_and_tensors_broadcast():
    group = FiniteGroup.symmetric(3)
    for g in range(6):
        assert type(group.inverse(g)) is int
        assert group.inverse(g) == group.inverses[g]
        assert [group.compose(g, h) for h in range(6)] == group.product[g].tolist()
    elements = torch.arange(6)
    assert torch.equal(group.compose(elements[:, None], elements), group.product)


def test_elements_are_drawn_from_the_whole_group():
    assert set(FiniteGroup.cyclic(5).sample(200, torch.Generator().manual_seed(0)).tolist()) == set(range(5))
