"""Canonicalizers of quarter turns, of every kind, and models of images with them."""

from __future__ import annotations

import torch
from small_rules import brightest_corner
from small_vision import classifier, clip, texts
from torch import nn
from wrapped_vision import TURNS

import hf_equi
from hf_equi.canonicalization import FiniteCanonicalizer, GroupConvolution, ModelEnergy, OrbitScorer


class Ramp(nn.Module):
    """A linear layer under a ramp that is not saved, with weights that a plain fill draws anew."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(3 * 32 * 32))
        self.register_buffer("ramp", torch.linspace(-1, 1, 32), persistent=False)
        self.reset_parameters()

    def reset_parameters(self):
        self.weight.data.normal_()

    def forward(self, x):
        return (x * self.ramp).flatten(1) @ self.weight


class Corner(FiniteCanonicalizer):
    """The brightness near each corner: equivariant, which a model does not know and checks."""

    kind = "corner"

    def __init__(self, group):
        super().__init__()
        self.group, self.scale = group, nn.Parameter(torch.ones(1))
        ramp = torch.linspace(0, 1, 32)
        self.register_buffer("ramp", ramp[:, None] * ramp.square(), persistent=False)

    def scores(self, x):
        ramps = torch.stack([self.ramp.rot90(h) for h in range(self.group.order)])
        return self.scale / 32 * torch.einsum("bchw,ghw->bg", x, ramps)

    @classmethod
    def from_dict(cls, content, group, shape):
        return cls(group)


def text_features():
    return clip("clip").get_text_features(**texts()).pooler_output


STORED = {
    "default": lambda: None,
    "convolution": lambda: GroupConvolution(TURNS, channels=4, layers=2, kernel=5),
    "scorer": lambda: OrbitScorer(classifier("resnet-basic"), TURNS, size=4),
    "energy": lambda: ModelEnergy(TURNS),
    "other energy": lambda: ModelEnergy(TURNS, clip("clip"), text_features=text_features(), energy="largest"),
    "registered": lambda: Corner(TURNS),
}
COSTS = {
    "scorer": "4 passes of the network in the canonicalizer",
    "network": "4 passes of the network in the canonicalizer",
    "energy": "4 passes of the base, for its energy",
    "other energy": "4 passes of the canonicalizer's CLIPModel",
    "rule": "the rule of the canonicalizer",
}
GIVEN = {"network": lambda: OrbitScorer(Ramp(), TURNS), "rule": lambda: brightest_corner}


def wrap(canonicalizer=None, **settings):
    return hf_equi.symmetrize(classifier("vit"), TURNS, "canonical", canonicalizer=canonicalizer, **settings)


def check(model, x, link=lambda logits: logits):
    """Invariant, and the element follows the image: so the base read the same image each time."""
    with torch.no_grad():
        out = model(x)
        for g in range(1, 4):
            moved = model(model.action.apply(g, x))
            torch.testing.assert_close(moved.logits, out.logits, atol=1e-5, rtol=0)
            assert torch.equal(moved.canonical_element, model.group.product[g, out.canonical_element])
        canonical = model.action.invert(out.canonical_element, x)
        torch.testing.assert_close(out.logits, link(model.base(canonical).logits), atol=1e-5, rtol=0)
    return out
