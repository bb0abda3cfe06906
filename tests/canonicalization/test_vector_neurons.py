"""The network of vector neurons: its size, its neighbourhoods, and that it learns. The rest is in test_clouds."""

from __future__ import annotations

import pytest
import torch
from small_clouds import draw

from hf_equi.actions import PointAction
from hf_equi.canonicalization import VectorNeurons, distance_prior
from hf_equi.errors import ConfigurationError
from hf_equi.groups import O2, O3, SO2, SO3


def test_its_size_is_stored_and_is_about_the_stated_one():
    made = VectorNeurons(SO3())
    assert 1000 < sum(weight.numel() for weight in made.parameters()) < 3000
    assert made.to_dict() == {
        "type": "vector_neurons",
        "vectors": None,
        "channels": 21,
        "layers": 2,
        "neighbours": 20,
    }
    assert VectorNeurons(SO3(), 2).to_dict()["neighbours"] is None


@pytest.mark.parametrize("group", [SO2(), O2(), SO3(), O3()], ids=repr)
def test_without_mirrors_it_tells_a_cloud_from_its_mirror_image(group):
    torch.manual_seed(0)
    made, x = VectorNeurons(group, neighbours=3).double().eval(), draw(1, 6, group.dimension)
    mirror = torch.ones(group.dimension, dtype=x.dtype)
    mirror[0] = -1
    plain, mirrored = (one @ made.poses(one)[0][:, 0] for one in (x, x * mirror))
    assert torch.allclose(plain, mirrored) == group.mirrors


def test_a_neighbour_that_comes_makes_no_jump():
    torch.manual_seed(0)
    made, x = VectorNeurons(SO2(), neighbours=2).double().eval(), draw(1, 5, 2)
    target, far = x[0, 0], (x[0, 1:] - x[0, 0]).norm(dim=-1).min()
    found = []
    for step in (-1e-6, 1e-6):  # the last point comes nearer to the first than all others are
        cloud = x.clone()
        cloud[0, 4] = target + torch.tensor([1.0, 0], dtype=x.dtype) * (far + step)
        found.append(made.poses(cloud)[0])
    torch.testing.assert_close(*found, atol=1e-4, rtol=0)


def test_it_learns_by_the_prior():
    torch.manual_seed(0)
    made, x = VectorNeurons(SO3(), channels=8).double(), draw(16, 8, 3) + torch.tensor([2.0, 0, 0])
    optimizer = torch.optim.Adam(made.parameters(), lr=1e-2)
    priors = []
    for _ in range(25):
        prior = distance_prior(made.poses(x)[0]).mean()
        optimizer.zero_grad()
        prior.backward()
        optimizer.step()
        priors.append(float(prior.detach()))
    assert priors[-1] < 0.5 * priors[0]
    made.eval()
    turned = PointAction(SO3()).apply(SO3().sample(16, torch.Generator().manual_seed(1)), x)
    read = [PointAction(SO3()).invert(made.poses(one)[0][:, 0], one) for one in (x, turned)]
    torch.testing.assert_close(*read, atol=1e-6, rtol=0)


def test_sizes_that_make_no_network_are_refused():
    for settings, message in (
        ({"channels": 0}, "channels=0 is not a size"),
        ({"layers": 0}, "layers=0 is not a size"),
        ({"neighbours": 0}, "neighbours=0 is not a size"),
        ({"vectors": 0}, "vectors=0 is not a size"),
        ({"vectors": 2, "neighbours": 3}, "have no neighbours: leave neighbours=3 out"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            VectorNeurons(SO3(), **settings)
    with pytest.raises(ConfigurationError, match="reads 2 vectors for each input; received 3"):
        VectorNeurons(SO3(), 2).poses(torch.zeros(1, 3, 3))


def test_pieces_of_a_batch_change_nothing(monkeypatch):
    torch.manual_seed(0)
    network, x, mask = VectorNeurons(SO3(), channels=6, neighbours=4).eval(), torch.randn(5, 9, 3), torch.ones(5, 9)
    mask[1, 6:] = 0
    with torch.no_grad():
        whole = network.poses(x, mask)[0]
        monkeypatch.setattr("hf_equi.canonicalization.vector_neurons._PAIRS_AT_ONCE", 72)
        torch.testing.assert_close(network.poses(x, mask)[0], whole)
