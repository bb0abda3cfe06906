"""Symmetrised CLIP-like models against their formulas, member by member."""

from __future__ import annotations

import pytest
import torch
from literal_vision import Literal, literal_choice
from small_vision import CLIPS, clip, side, texts
from wrapped_vision import CLIP_METHODS, LEVELS, SQUARE, TURNS, ragged, wrap_clip

from hf_equi.models.vision.clip_cuts import find_clip_cut

CLASS = {"method": "equizero", "level": "probabilities", "selection": "class"}


def literal(family, group, count=5):
    base = clip(family)
    words = base.get_text_features(**texts(count)).pooler_output

    def head(features):
        """Scaled cosines of one image, by the model card of each family."""
        cosines = [(features[0] @ word) / (features[0].norm() * word.norm()) for word in words]
        logits = torch.stack(cosines)[None]
        if family == "align":
            return logits / base.temperature
        return logits * base.logit_scale.exp() + (base.logit_bias if family == "siglip" else 0)

    return Literal(base, find_clip_cut(base), group, head, sigmoid=family == "siglip")


@pytest.mark.parametrize("family", CLIPS)
@torch.no_grad()
def test_every_method_at_every_level_is_its_formula(family):
    group = SQUARE if family in ("clip", "siglip") else TURNS
    formula, x, words = literal(family, group), ragged(side(family)), texts(5)
    orbits = [formula.members(image) for image in x]
    own = formula.base(pixel_values=x, **words).logits_per_image  # the base agrees on what logits are
    torch.testing.assert_close(torch.cat([orbit[0]["logits"] for orbit in orbits]), own, atol=1e-5, rtol=1e-5)
    models = {name: wrap_clip(formula.base, group, **each) for name, each in CLIP_METHODS.items()}
    every = [(name, model, level) for name, model in models.items() for level in LEVELS]
    for name, model, level in (*every, ("class", wrap_clip(formula.base, group, **CLASS), "probabilities")):
        model.config.level = level
        out, choice = model(pixel_values=x, **words), literal_choice(model, name)
        required = torch.stack([formula.logits(members, level, choice) for members in orbits])
        decided = torch.ones(len(x), dtype=torch.bool) if out.margin is None else out.margin > 1e-4
        assert decided[: 1 if level == "spatial" else 2].all()  # maps of equal members are rows of their own
        torch.testing.assert_close(out.logits_per_image[decided], required[decided], atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize("family", CLIPS)
@torch.no_grad()
def test_equizero_takes_the_highest_similarity(family):
    formula, x = literal(family, TURNS), ragged(side(family))
    out = wrap_clip(formula.base, TURNS, "equizero")(pixel_values=x, **texts(5))
    for row, g in enumerate(out.chosen_element.tolist()):
        best = [float(member["logits"].max()) for member in formula.members(x[row])]
        assert best[g] == pytest.approx(max(best), abs=1e-5)
        others = [value for value in best if value < best[g] - 1e-6]
        if row < 2:
            expected = best[g] - max(others) if others else float("inf")
            assert float(out.margin[row]) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("family", CLIPS)
@torch.no_grad()
def test_the_best_class_by_class_is_that_of_the_surest_member(family):
    formula, x = literal(family, TURNS), ragged(side(family))
    out = wrap_clip(formula.base, TURNS, **CLASS)(pixel_values=x, **texts(5)).logits_per_image
    sums = []
    for row, image in enumerate(x):
        probabilities = torch.cat([member["probabilities"] for member in formula.members(image)])
        surest = probabilities.amax(1).argmax()
        assert out[row].argmax() == probabilities[surest].argmax()
        received = out[row].sigmoid() if formula.sigmoid else out[row].exp()
        torch.testing.assert_close(received, probabilities.amax(0), atol=1e-6, rtol=1e-5)
        sums.append(float(received.sum()))
    assert formula.sigmoid or max(sums) > 1 + 1e-3  # no law, where members differ


@torch.no_grad()
def test_probabilities_of_siglip_are_means_of_sigmoids():
    formula, x = literal("siglip", TURNS), ragged()
    out = wrap_clip(formula.base, TURNS, level="probabilities")(pixel_values=x, **texts(5)).logits_per_image
    for row, image in enumerate(x):
        required = torch.stack([member["logits"][0].sigmoid() for member in formula.members(image)]).mean(0)
        torch.testing.assert_close(out[row].sigmoid(), required, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("group", [TURNS, SQUARE], ids=["C4", "D4"])
@torch.no_grad()
def test_pulling_back_by_the_element_itself_would_show(group):
    """SigLIP reads maps by attention, so that it matters where their numbers lie."""
    formula, x = literal("siglip", group), ragged()[:1]
    members = formula.members(x[0])
    for name in ("equitune", "lambda", "attention"):
        model = wrap_clip(formula.base, group, level="spatial", **CLIP_METHODS[name])
        choice, received = literal_choice(model, ""), model(pixel_values=x, **texts(5)).logits_per_image[0]
        torch.testing.assert_close(received, formula.logits(members, "spatial", choice), atol=2e-5, rtol=2e-5)
        assert (received - formula.logits(members, "astray", choice)).abs().max() > 1e-3
