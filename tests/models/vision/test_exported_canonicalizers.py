"""Graphs of models with a canonicalizer, of each kind."""

from __future__ import annotations

import pytest
import torch
from small_rules import brightest_corner
from small_vision import classifier, images
from torch.export import Dim
from wrapped_vision import TURNS, wrap

from hf_equi import ImageGroup
from hf_equi.canonicalization import CircularHarmonic, ModelEnergy, OrbitScorer
from hf_equi.groups import O2, SO2

EIGHTHS = ImageGroup.rotations(8)
KINDS = {
    "convolution": (TURNS, lambda: None),
    "rule": (TURNS, lambda: brightest_corner),
    "energy": (TURNS, lambda: ModelEnergy(TURNS)),
    "scorer": (EIGHTHS, lambda: OrbitScorer(classifier("resnet-basic"), EIGHTHS, size=4)),
    "angle": (SO2(), lambda: CircularHarmonic(SO2(), ModelEnergy(EIGHTHS))),
    "mirrored angle": (O2(), lambda: None),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_graph_says_what_the_model_says_of_any_batch(kind):
    group, make = KINDS[kind]
    model = wrap("vit", group, "canonical", canonicalizer=make())
    sizes = {"pixel_values": {0: Dim.AUTO}}
    with torch.no_grad():
        exported = torch.export.export(model, (), {"pixel_values": images(3)}, dynamic_shapes=sizes, strict=False)
        graph = exported.module()
        for x in (images(3), images(2, seed=5)):
            torch.testing.assert_close(graph(pixel_values=x).logits, model(x).logits, atol=1e-4, rtol=0)
