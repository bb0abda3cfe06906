"""Symmetrised classifiers against their formulas, member by member."""

from __future__ import annotations

import pytest
import torch
from literal_vision import Literal, literal_choice
from small_vision import classifier
from wrapped_vision import LEVELS, METHODS, SQUARE, TURNS, ragged, wrap

from hf_equi.models.vision.classification_cuts import find_classification_cut

# A network of convolutions, one that reads its class token, a mean of tokens, a norm between the maps and their mean.
FAMILIES = ("resnet", "vit", "beit", "poolformer")
GROUPS = {"C4": TURNS, "D4": SQUARE}


def literal(family, group):
    base = classifier(family)
    cut = find_classification_cut(base)
    return Literal(base, cut, group, lambda features: cut.head(base, features))


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_every_method_at_every_level_is_its_formula(family, group):
    formula, x = literal(family, GROUPS[group]), ragged()
    orbits = [formula.members(image) for image in x]
    differences = []
    for name, settings in METHODS.items():
        model = wrap(formula.base, GROUPS[group], **settings)
        for level in LEVELS:
            model.config.level = level
            out, choice = model(x), literal_choice(model, name)
            required = torch.stack([formula.logits(members, level, choice) for members in orbits])
            decided = torch.ones(len(x), dtype=torch.bool) if out.margin is None else out.margin > 1e-4
            assert decided[: 1 if level == "spatial" else 2].all()  # maps of equal members are rows of their own
            torch.testing.assert_close(out.logits[decided], required[decided], atol=1e-5, rtol=1e-5)
            differences.append(out.logits[0].log_softmax(-1))
    # Methods differ, and levels: what is compared is not one and the same.
    assert len({tuple(row) for row in torch.stack(differences).mul(1e3).round().tolist()}) >= 6


@pytest.mark.parametrize("name", ["max_probability", "entropy", "published_least_confident"])
@torch.no_grad()
def test_the_chosen_element_is_the_literal_one(name):
    formula, x = literal("vit", SQUARE), ragged()
    out = wrap(formula.base, **METHODS[name])(x)
    for image, g, margin in zip(x, out.chosen_element.tolist(), out.margin.tolist(), strict=True):
        members = formula.members(image)
        required = formula.combine(members, "logits", name)
        torch.testing.assert_close(members[g]["logits"], required, atol=1e-6, rtol=1e-6)
        assert margin > 0
    assert out.margin[1] == torch.inf  # one member alone


@pytest.mark.parametrize("group", GROUPS)
@torch.no_grad()
def test_pulling_back_by_the_element_itself_would_show(group):
    """The norm of PoolFormer stands between maps and their mean, so that it matters where a map's numbers lie."""
    formula, x = literal("poolformer", GROUPS[group]), ragged()[:1]
    members = formula.members(x[0])
    for settings in (METHODS["equitune"], METHODS["lambda"], METHODS["attention"]):
        model = wrap(formula.base, GROUPS[group], level="spatial", **settings)
        choice, received = literal_choice(model, ""), model(x).logits[0]
        torch.testing.assert_close(received, formula.logits(members, "spatial", choice), atol=1e-5, rtol=1e-5)
        assert (received - formula.logits(members, "astray", choice)).abs().max() > 1e-3
