from __future__ import annotations

import literal_sam
import pytest
import small_sam
import torch
from torch.testing import assert_close

from hf_equi import ImageGroup

SQUARE = ImageGroup.dihedral(4)


@pytest.mark.parametrize(("family", "maps"), [("sam", 1), ("sam_hq", 1), ("sam2", 3)])
@torch.no_grad()
def test_rows_are_batch_major_and_each_in_the_frame_of_its_member(family: str, maps: int) -> None:
    model, images = small_sam.wrap(family, SQUARE), small_sam.images()
    found = model.get_image_embeddings(images)
    assert len(found) == 2
    assert found.elements.tolist() == [[*range(8)]] * 2
    assert len(found.maps) == maps
    assert bool(found.intermediate) == (family == "sam_hq")
    for g in (0, 5):
        said = model.base.get_image_embeddings(literal_sam.moved(SQUARE, g, images))
        said = said[0] if isinstance(said, tuple) else said
        for own, base in zip(found.maps, said if isinstance(said, list) else [said], strict=True):
            assert_close(own[g::8], base, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("method", ["equitune", "canonical"])
@torch.no_grad()
def test_maps_that_are_pulled_back_move_with_the_image(method: str) -> None:
    model, images = small_sam.wrap("sam2", SQUARE, method), small_sam.images()
    upright, turned = (
        [x.mean(1) for x in model.get_image_embeddings(literal_sam.moved(SQUARE, g, images)).pulled_back()]
        for g in (0, 3)
    )
    for one, other in zip(upright, turned, strict=True):
        assert_close(other, literal_sam.moved(SQUARE, 3, one), atol=1e-5, rtol=0)


def test_they_are_cast_and_keep_their_members() -> None:
    found = small_sam.wrap("sam_hq", SQUARE).get_image_embeddings(small_sam.images())
    cast = found.to(torch.float64)
    assert {x.dtype for x in (*cast.maps, *cast.intermediate)} == {torch.float64}
    assert torch.equal(cast.elements, found.elements)
    assert torch.equal(cast.keys, found.keys)
    assert cast.features().shape == (2, 8, 16)
