"""Principal axes with all signs."""

from __future__ import annotations

import pytest
import torch
from small_clouds import draw

from hf_equi.canonicalization import PrincipalFrames
from hf_equi.groups import O2, O3, SO2, SO3


@pytest.mark.parametrize(("group", "frames"), [(SO2(), 2), (O2(), 4), (SO3(), 4), (O3(), 8)], ids=repr)
def test_each_frame_makes_the_second_moments_diagonal(group, frames):
    x = draw(3, 6, group.dimension)
    elements, log_weights = PrincipalFrames(group).poses(x)
    assert log_weights is None
    assert elements.shape[1] == frames
    read = x[:, None] @ elements  # (B, K, N, n)
    moments = read.mT @ read
    diagonal = moments.diagonal(dim1=-2, dim2=-1)
    torch.testing.assert_close(moments, torch.diag_embed(diagonal))
    assert (diagonal[..., :-1] > diagonal[..., 1:]).all()
    kinds = {tuple(frame.flatten().tolist()) for frame in elements[0]}
    assert len(kinds) == frames
    assert group.mirrored(elements).any() == group.mirrors
