"""Image models of SO(2) and O(2): the canonicalizer finds the angle, and the base reads the picture turned back."""

from __future__ import annotations

from math import pi

import pytest
import torch
from small_vision import classifier, clip, images, texts
from transformers import AutoModelForImageClassification, Trainer, TrainingArguments

import hf_equi
from hf_equi import ImageGroup
from hf_equi.canonicalization import CircularHarmonic, FixedPose, GroupConvolution, ModelEnergy, VectorNeurons
from hf_equi.errors import ConfigurationError, GroupError
from hf_equi.groups import O2, SE2, SO2, SO3

GROUPS = (SO2(), O2())
QUARTERS = {SO2(): ImageGroup.rotations(4), O2(): ImageGroup.dihedral(4)}


def small(group):
    kind = ImageGroup.dihedral if group.mirrors else ImageGroup.rotations
    torch.manual_seed(0)
    return CircularHarmonic(group, GroupConvolution(kind(8), channels=4, layers=2))


def wrap(group, canonicalizer=None, **settings):
    return hf_equi.symmetrize(classifier("vit"), group, "canonical", canonicalizer=canonicalizer, **settings)


def brightness(x):
    """The direction in which a picture grows brighter, as an angle."""
    half = x.shape[-1] // 2
    right = x[..., -half:].mean((1, 2, 3)) - x[..., :half].mean((1, 2, 3))
    above = x[..., :half, :].mean((1, 2, 3)) - x[..., -half:, :].mean((1, 2, 3))
    return SO2().exp(torch.atan2(above, right).unsqueeze(-1))


@pytest.mark.parametrize("group", GROUPS, ids=repr)
def test_quarter_turns_are_exact_and_the_base_reads_the_picture_turned_back(group):
    model, x = wrap(group, small(group)), images(3)
    with torch.no_grad():
        out = model(x)
        assert out.canonical_element.shape == (3, 2, 2)
        assert (out.margin, out.identity_share) == (None, None)
        canonical = model.action.invert(out.canonical_element, x)
        torch.testing.assert_close(out.logits, model.base(canonical).logits)
        for g in QUARTERS[group].matrices:
            moved = model(model.action.apply(g, x))
            torch.testing.assert_close(moved.logits, out.logits, atol=1e-4, rtol=0)
            torch.testing.assert_close(moved.canonical_element, g.float() @ out.canonical_element, atol=1e-4, rtol=0)


@pytest.mark.parametrize("group", GROUPS, ids=repr)
def test_lambda_weighs_a_finite_set_around_the_angle(group, tmp_path):
    """Θ = {0°, 30°}: the mean of what the base says of both members, weighted by λ."""
    model = hf_equi.symmetrize(
        classifier("vit"), group, "canonical_lambda", canonicalizer=small(group), theta=["0°", "30°"], level="logits"
    )
    x = images(3)
    with torch.no_grad():
        out = model(x)
        back = group.inverse(out.canonical_element)
        # In one motion: an image that is resampled twice is not the same.
        members = [model.action.apply(theta @ back, x) for theta in group.exp(torch.tensor([[0.0], [pi / 6]]))]
        logits = torch.stack([model.base(member).logits for member in members], 1)
        torch.testing.assert_close(out.logits, (out.group_weights.unsqueeze(-1) * logits).sum(1), atol=1e-4, rtol=0)
        assert out.group_weights.shape == (3, 2)
        turned = model(model.action.apply(QUARTERS[group].matrices[1], x))
        torch.testing.assert_close(turned.logits, out.logits, atol=1e-4, rtol=0)
    model.save_pretrained(tmp_path)
    loaded = AutoModelForImageClassification.from_pretrained(tmp_path)
    assert loaded.config.theta == ["0°", "30°"]
    assert torch.equal(loaded(x).logits, model(x).logits)


STORED = {
    "default": lambda: None,
    "harmonic": lambda: small(SO2()),
    "energy": lambda: CircularHarmonic(SO2(), ModelEnergy(ImageGroup.rotations(8))),
    "rule": lambda: brightness,
}


@pytest.mark.parametrize("name", STORED)
def test_a_model_is_saved_with_its_group_and_canonicalizer(name, tmp_path):
    settings = {"prior_weight": 2.0} if name in ("default", "harmonic") else {}
    model, x = wrap(SO2(), STORED[name](), **settings), images(2)
    model.save_pretrained(tmp_path)
    given = {"canonicalizer": brightness} if name == "rule" else {}
    loaded = AutoModelForImageClassification.from_pretrained(tmp_path, **given)
    assert loaded.group == SO2()
    assert loaded.config.canonicalizer_settings == model.config.canonicalizer_settings
    assert torch.equal(loaded(x).logits, model(x).logits)
    assert torch.equal(loaded.feature_model()(x).pooler_output, model(x).image_features)
    assert loaded.method.needs_training == (name in ("default", "harmonic"))
    assert isinstance(model.select_network, FixedPose if name == "rule" else CircularHarmonic)


def test_the_card_says_what_an_angle_is_worth(tmp_path):
    card = wrap(SO2(), small(SO2())).make_card(tmp_path / "README.md")
    assert "so2" in card
    assert "`SO2()`: the rotations by all angles." in card
    assert "**An angle.** The canonicalizer finds the angle of an image exactly only" in card
    assert "| canonicalizer | CircularHarmonic |" in card
    assert "temperature" not in card
    assert "one forward pass of the base, and one pass of the canonicalizer." in card
    energy = wrap(SO2(), CircularHarmonic(SO2(), ModelEnergy(ImageGroup.rotations(8))))
    assert any("and 8 passes of the base, for its energy." in limit for limit in energy.card_kind.limits(energy))
    rule = wrap(SO2(), brightness)
    assert any("**A rule.** The symmetry is as exact as the rule" in limit for limit in rule.card_kind.limits(rule))
    assert "prior_weight" not in rule.card_kind.config_settings(rule)
    assert "products with a mirror" in wrap(O2(), small(O2())).make_card(tmp_path / "README.md")


@pytest.mark.parametrize("group", GROUPS, ids=repr)
def test_the_prior_trains_the_canonicalizer_alone(group, tmp_path):
    """The prior is that of the design, and its gradient turns pictures towards the identity."""
    model, x = wrap(group, small(group), task_weight=0.0, prior_weight=3.0), images(8)
    model.base.requires_grad_(False)
    model.train()
    out = model(x)
    far = (out.canonical_element - torch.eye(2)).square().sum((1, 2)).mean()
    torch.testing.assert_close(out.prior_loss, far)
    torch.testing.assert_close(out.loss, 3 * far)
    assert out.logits is None
    arguments = TrainingArguments(
        tmp_path, max_steps=12, per_device_train_batch_size=8, report_to=[], use_cpu=True, save_strategy="no",
        disable_tqdm=True, learning_rate=1e-2,
    )  # fmt: skip
    Trainer(model, arguments, train_dataset=[{"pixel_values": one} for one in x]).train()
    assert model(x).prior_loss < far


def test_the_task_trains_both_through_the_angle():
    model, x = wrap(O2(), small(O2()), prior_weight=0.0).train(), images(4)
    model(x, labels=torch.tensor([0, 1, 2, 3])).loss.backward()
    for part in (model.base, model.select_network):
        assert all(weight.grad.isfinite().all() for weight in part.parameters() if weight.grad is not None)
        assert max(weight.grad.abs().max() for weight in part.parameters() if weight.grad is not None) > 0


def test_a_clip_canonicalizes_by_any_angle():
    model, x = hf_equi.symmetrize(clip("clip"), SO2(), "canonical", canonicalizer=small(SO2())), images(2)
    with torch.no_grad():
        out, moved = (model(pixel_values=one, **texts()) for one in (x, x.rot90(1, (2, 3))))
    torch.testing.assert_close(out.logits_per_image, moved.logits_per_image, atol=1e-3, rtol=0)


@pytest.mark.parametrize("method", ["equitune", "equizero", "lambda", "attention", "identity"])
def test_methods_that_list_an_orbit_are_refused(method):
    with pytest.raises(ConfigurationError, match=r"SO2\(\) has infinitely many elements: choose a finite subgroup, I"):
        hf_equi.symmetrize(classifier("vit"), SO2(), method)


@pytest.mark.parametrize(
    ("group", "settings", "message"),
    [
        (SO2(), {"canonicalizer": GroupConvolution(ImageGroup.rotations(4))}, "is of ImageGroup.rot.*model is of SO2"),
        (O2(), {"canonicalizer": small(SO2())}, r"is of SO2\(\), but the model is of O2\(\)"),
        (SO2(), {"canonicalizer": lambda x: brightness(x).mT}, r"g = \[\[.*h\(gx\) and g h\(x\) differ by up to [12]"),
        (SO2(), {"canonicalizer": lambda x: x}, r"input, \(2, 2, 2\) floating numbers; received \(2, 3, 32, 32\)"),
        (SO2(), {"canonicalizer": "upright"}, "cannot be called"),
        (SO2(), {"level": "spatial"}, "level='spatial' moves feature maps back, and SO2"),
        (SO2(), {"temperature": 2.0}, "temperature= and relaxation= say how the choice"),
        (SO2(), {"relaxation": "gumbel"}, "temperature= and relaxation= say how the choice"),
        (SE2(), {}, "must be of the class ImageGroup, SO2 or O2, not SE2"),
        (SO3(), {"canonicalizer": VectorNeurons(SO3())}, "must be of the class ImageGroup, SO2 or O2, not SO3"),
    ],
)
def test_bad_settings_are_refused_by_name(group, settings, message):
    with pytest.raises(ConfigurationError, match=message):
        wrap(group, **settings)


def test_bad_images_are_refused_by_name():
    model, x = wrap(SO2(), small(SO2())), images(2)
    with pytest.raises(hf_equi.errors.ActionError, match="must be square"):
        model(images(1, (32, 24)))
    x[1] = torch.nan
    with pytest.raises(ConfigurationError, match="pose of sample 1 is NaN"):
        model(x)
    with pytest.raises(ConfigurationError, match="so the features of an orbit cannot be listed"):
        model.get_orbit_features(images(1))
    with pytest.raises(GroupError, match=r"must be of the class ImageGroup, SO2 or O2; the config holds SO3\(\)"):
        type(model.config)(group=SO3().to_dict())
