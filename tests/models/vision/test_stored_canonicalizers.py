"""How image models are saved and loaded with each kind of canonicalizer."""

from __future__ import annotations

import copy

import pytest
import torch
from cached_bases import NAME, cache_base
from small_canonicalizers import COSTS, GIVEN, STORED, Corner, check, wrap
from small_rules import brightest_corner, clockwise
from small_vision import classifier, images
from transformers import AutoModelForImageClassification
from wrapped_vision import TURNS

import hf_equi
from hf_equi.canonicalization import FixedRule, GroupConvolution, OrbitScorer, base
from hf_equi.errors import ConfigurationError


@pytest.fixture(autouse=True)
def _known(monkeypatch):
    monkeypatch.setitem(base._KINDS, "corner", Corner)


@pytest.mark.parametrize("name", [*STORED, *GIVEN])
def test_every_canonicalizer_is_saved_and_loaded(name, tmp_path):
    given = {**STORED, **GIVEN}[name]()
    model, x = wrap(given), images(3)
    with torch.no_grad():
        for weight in model.select_network.parameters():
            weight.mul_(1.5)  # which no new one has
    out = check(model, x)
    assert len(set(out.canonical_element.tolist())) > 1 or name == "other energy"
    model.save_pretrained(tmp_path)
    if name in STORED:
        loaded = AutoModelForImageClassification.from_pretrained(tmp_path)
    else:
        with pytest.raises(ConfigurationError, match="stores its weights but not its code: pass the same canonic"):
            AutoModelForImageClassification.from_pretrained(tmp_path)
        loaded = AutoModelForImageClassification.from_pretrained(tmp_path, canonicalizer=GIVEN[name]())
    assert torch.equal(loaded(x).logits, out.logits)
    own, other = (list(one.select_network.parameters()) for one in (model, loaded))
    assert [weight.requires_grad for weight in own] == [weight.requires_grad for weight in other]
    assert (
        loaded.method.needs_training == model.method.needs_training == (name not in ("energy", "other energy", "rule"))
    )
    card = model.make_card(tmp_path / "README.md")
    assert ("**A canonicalizer of its own.**" in card) == (name in GIVEN)
    assert ("**A choice.** The symmetry is exact unless the two best scores" in card) == (name != "rule")
    assert ("**A rule.** The symmetry is as exact as the rule" in card) == (name == "rule")
    assert ("| prior_weight |" in card) == ("| temperature |" in card) == model.method.needs_training
    assert f"| canonicalizer | {type(model.select_network).__name__} |" in card
    cost = COSTS.get(name, "one pass of the canonicalizer")
    assert f"The model costs one forward pass of the base, and {cost}." in card
    features = loaded.feature_model()
    assert torch.equal(features(x).pooler_output, out.image_features)


def test_one_without_weights_is_loaded_through_the_base(tmp_path):
    cache, kinds = tmp_path / "cache", {"rule": lambda: brightest_corner, "energy": STORED["energy"]}
    cache_base(cache, base=classifier("vit"))
    for name, make in kinds.items():
        model = hf_equi.symmetrize(NAME, TURNS, "canonical", canonicalizer=make(), cache_dir=cache)
        model.save_pretrained(tmp_path / name, save_base=False)
        given = {"canonicalizer": make()} if name == "rule" else {}
        loaded = AutoModelForImageClassification.from_pretrained(tmp_path / name, cache_dir=cache, **given)
        assert torch.equal(loaded(images(3)).logits, check(model, images(3)).logits)
    auto, rule = AutoModelForImageClassification, tmp_path / "rule"
    assert not list(rule.glob("*.safetensors"))
    with pytest.raises(ConfigurationError, match="pass the same canonicalizer again"):
        auto.from_pretrained(rule, cache_dir=cache)
    with pytest.raises(ConfigurationError, match="canonicalizer= does not fit"):
        auto.from_pretrained(rule, cache_dir=cache, canonicalizer=clockwise)
    model = hf_equi.symmetrize(NAME, TURNS, "canonical", cache_dir=cache)
    with pytest.raises(
        ConfigurationError, match="save_base=False stores no weights, but this model has weights besid"
    ):
        model.save_pretrained(tmp_path / "default", save_base=False)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("own", [None, torch.float32, torch.bfloat16], ids=str)
def test_in_half_precision_both_keep_their_dtypes(dtype, own, tmp_path):
    """The canonicalizer is a new one, in float32, or a given one in its own dtype, even for a base in another."""
    held = None if own is None else classifier("resnet-basic").to(own)
    canonicalizer = None if own is None else OrbitScorer(held, TURNS, size=4)
    model = hf_equi.symmetrize(classifier("vit").to(dtype), TURNS, "canonical", canonicalizer=canonicalizer)
    model.save_pretrained(tmp_path)
    loaded, x = AutoModelForImageClassification.from_pretrained(tmp_path), images(3).to(dtype)
    for one in (model, loaded):
        assert {weight.dtype for weight in one.base.parameters()} == {dtype}
        assert {weight.dtype for weight in one.select_network.parameters()} == {own or torch.float32}
    assert held is None or model.select_network.network is held
    with torch.no_grad():
        out, again = model(x), loaded(x)
        assert torch.equal(again.logits, out.logits)
        assert torch.equal(again.margin, out.margin)
        moved = model(x.rot90(1, (2, 3)))
    assert torch.equal(moved.canonical_element, TURNS.product[1, out.canonical_element])
    assert torch.equal(moved.logits, out.logits)


def test_a_damaged_dtype_is_refused(tmp_path):
    wrap(GroupConvolution(TURNS).bfloat16()).save_pretrained(tmp_path)
    place = tmp_path / "config.json"
    place.write_text(place.read_text().replace('"dtype": "bfloat16"', '"dtype": "int8"'))
    with pytest.raises(ConfigurationError, match="canonicalizer_settings: dtype='int8' is not a dtype of weights"):
        AutoModelForImageClassification.from_pretrained(tmp_path)


def test_one_that_does_not_follow_is_refused_when_it_is_loaded(tmp_path):
    wrap(brightest_corner).save_pretrained(tmp_path / "rule")
    wrap(Corner(TURNS)).save_pretrained(tmp_path / "class")
    auto = AutoModelForImageClassification
    with pytest.raises(ConfigurationError, match=r"canonicalizer= does not fit\..*h\(gx\) is not g h\(x\) for 100%"):
        auto.from_pretrained(tmp_path / "rule", canonicalizer=clockwise)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Corner, "scores", lambda self, x: self.scale * x[:, 0, 0, :4])
        with pytest.raises(
            ConfigurationError, match=r"does not fit\..*scores\(gx\)\[gh\] and scores\(x\)\[h\] differ"
        ):
            auto.from_pretrained(tmp_path / "class")


def test_weights_of_another_canonicalizer_are_refused_by_its_argument(tmp_path):
    wrap(GroupConvolution(TURNS)).save_pretrained(tmp_path)
    with pytest.raises(
        ConfigurationError, match="passes canonicalizer=: pass what the model was saved with, or leave"
    ):
        AutoModelForImageClassification.from_pretrained(tmp_path, canonicalizer=brightest_corner)


def test_a_changed_canonicalizer_is_described_anew(tmp_path):
    model = wrap(GroupConvolution(TURNS))
    model.select_network = GroupConvolution(TURNS, channels=3)
    model.save_pretrained(tmp_path)
    assert type(model).from_pretrained(tmp_path).select_network.settings["channels"] == 3
    assert copy.deepcopy(model)(images(1)).logits.shape == (1, 4)
    assert isinstance(wrap(brightest_corner).select_network, FixedRule)
