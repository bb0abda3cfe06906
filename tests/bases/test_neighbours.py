from __future__ import annotations

import pytest
import torch
from small_point_clouds import padding

from hf_equi.bases.neighbours import gathered, nearest


@pytest.mark.parametrize("channels", [3, 7])
@pytest.mark.parametrize("at_once", [1, 20, 10**6])
def test_neighbours_are_the_nearest_in_any_pieces(channels, at_once):
    x = torch.randn(3, 12, channels, generator=torch.Generator().manual_seed(0)) + 5
    for kept in (None, padding() > 0):
        apart = (x[:, :, None] - x[:, None]).square().sum(-1)
        if kept is not None:
            apart = apart.masked_fill(~kept[:, None], torch.inf)
        expected = apart.argsort(-1)[..., :4].sort().values
        assert torch.equal(nearest(x, kept, 4, at_once=at_once).sort().values, expected)
        by_distance = nearest(x, kept, 4, ordered=True, at_once=at_once)
        lengths = apart.gather(2, by_distance)
        assert torch.equal(lengths, lengths.sort(2).values)


def test_channels_of_neighbours_are_gathered():
    x = torch.tensor([[[1.0], [2.0]], [[3.0], [4.0]]])
    assert gathered(x, torch.tensor([[[1, 0]], [[1, 1]]])).flatten().tolist() == [2.0, 1.0, 4.0, 4.0]
