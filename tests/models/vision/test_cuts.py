"""Cuts in general: what has no maps, which arguments go through, grids of tokens."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from small_vision import classifier, images
from transformers import FocalNetConfig, Swinv2Config, ViTConfig

from hf_equi import ImageGroup
from hf_equi.actions.images import GridAction, PixelAction
from hf_equi.errors import ActionError, UnsupportedModelError
from hf_equi.models.vision.cuts import BodyCut, Cut, PixelMaps, TokenMaps, merged_grid, patch_grid, taken_by

FLIP = ImageGroup.flips("horizontal")
ROTATIONS = ImageGroup.rotations(4)


class Featureful(Cut):
    """A cut with features alone."""

    def features(self, base, pixel_values, **kwargs):
        return pixel_values.flatten(1)


def test_a_cut_has_features():
    with pytest.raises(TypeError, match="features"):
        Cut()


@pytest.mark.parametrize("ask", ["maps", "map_action", "pool"])
def test_a_cut_without_maps_says_so_and_names_the_model(ask):
    base = classifier("vit")
    arguments = {"maps": (base, images()), "map_action": (FLIP, base, (32, 32)), "pool": (base, images())}
    assert not Featureful().has_maps
    with pytest.raises(UnsupportedModelError, match=r"ViTForImageClassification.*level='features'"):
        getattr(Featureful(), ask)(*arguments[ask])


def test_features_of_a_body_are_its_pooled_maps():
    base = classifier("resnet")
    cut = BodyCut("resnet", lambda base, body, maps: maps.amax((-2, -1)))
    maps = base.resnet(images()).last_hidden_state
    assert cut.has_maps
    assert torch.equal(cut.maps(base, images()), maps)
    assert torch.equal(cut.pool(base, maps), maps.amax((-2, -1)))
    assert torch.equal(cut.features(base, images()), maps.amax((-2, -1)))
    assert cut.body_of(base) is base.resnet


def test_a_body_is_given_the_arguments_that_it_names():
    def forward(images, interpolate=False, *, mask=None, **others):
        raise AssertionError

    assert taken_by(forward, {"interpolate": True, "mask": 1, "position": 2}) == {"interpolate": True, "mask": 1}


def test_asking_what_a_model_takes_does_not_keep_it_alive():
    base = classifier("resnet")
    assert taken_by(base.forward, {"labels": 1, "nothing": 2}) == {"labels": 1}
    alive = weakref.ref(base)
    del base
    gc.collect()
    assert alive() is None


def test_maps_with_rows_and_columns_move_as_pixels_do():
    action = PixelMaps().action(ROTATIONS, ViTConfig(), (32, 32))
    assert isinstance(action, PixelAction)
    assert action.group == ROTATIONS


def test_tokens_move_on_the_grid_of_their_patches():
    action = TokenMaps(special=2).action(FLIP, ViTConfig(patch_size=16), (16, 48))
    tokens = torch.arange(5.0).view(1, 5, 1)  # two special ones, then one row of three
    assert isinstance(action, GridAction)
    assert action.apply(1, tokens).flatten().tolist() == [0, 1, 4, 3, 2]


def test_registers_are_counted_by_the_config():
    config = ViTConfig(patch_size=16)
    config.registers = 2
    action = TokenMaps(special=1, registers="registers").action(FLIP, config, (16, 32))
    assert action.apply(1, torch.arange(5.0).view(1, 5, 1)).flatten().tolist() == [0, 1, 2, 4, 3]


def test_a_grid_that_breaks_the_symmetry_is_refused():
    with pytest.raises(ActionError, match="grid"):
        TokenMaps().action(ROTATIONS, ViTConfig(patch_size=16), (32, 48))


def test_grids_of_patches_and_of_merged_patches():
    assert patch_grid(ViTConfig(patch_size=[8, 16]), (32, 32)) == (4, 2)
    assert merged_grid(Swinv2Config(patch_size=4, depths=[1, 1, 1]), (32, 48)) == (2, 3)
    assert merged_grid(FocalNetConfig(patch_size=4, depths=[1, 1]), (33, 40)) == (5, 5)
