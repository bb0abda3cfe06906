"""Image models with `method="canonical"`: each kind of canonicalizer, trained, saved and loaded."""

from __future__ import annotations

import copy

import pytest
import torch
from small_rules import brightest_corner, clockwise
from small_vision import classifier, clip, images, texts
from torch import nn
from transformers import AutoModelForImageClassification, Trainer, TrainingArguments
from wrapped_vision import SQUARE, TURNS

import hf_equi
from hf_equi.canonicalization import FixedRule, GroupConvolution, ModelEnergy, OrbitScorer
from hf_equi.errors import ConfigurationError
from hf_equi.training.parts import parameters_of

LABELS = torch.tensor([0, 1, 2])


def flat(outputs=1):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, outputs))


def text_features():
    return clip("clip").get_text_features(**texts()).pooler_output


STORED = {
    "default": lambda: None,
    "convolution": lambda: GroupConvolution(TURNS, channels=4, layers=2, kernel=5),
    "scorer": lambda: OrbitScorer(classifier("resnet-basic"), TURNS, size=4),
    "energy": lambda: ModelEnergy(TURNS),
    "other energy": lambda: ModelEnergy(TURNS, clip("clip"), text_features=text_features(), energy="largest"),
}
GIVEN = {"network": lambda: OrbitScorer(flat(), TURNS), "rule": lambda: brightest_corner}


def wrap(canonicalizer=None, **settings):
    return hf_equi.symmetrize(classifier("vit"), TURNS, "canonical", canonicalizer=canonicalizer, **settings)


def check(model, x):
    """Invariant, and the element follows the image: so the base read the same image each time."""
    with torch.no_grad():
        out = model(x)
        for g in range(1, 4):
            moved = model(model.action.apply(g, x))
            torch.testing.assert_close(moved.logits, out.logits, atol=1e-5, rtol=0)
            assert torch.equal(moved.canonical_element, model.group.product[g, out.canonical_element])
        canonical = model.action.invert(out.canonical_element, x)
        torch.testing.assert_close(out.logits, model.base(canonical).logits, atol=1e-5, rtol=0)
    return out


@pytest.mark.parametrize("name", [*STORED, *GIVEN])
def test_every_canonicalizer_is_saved_and_loaded(name, tmp_path):
    given = {**STORED, **GIVEN}[name]()
    model, x = wrap(given), images(3)
    out = check(model, x)
    assert len(set(out.canonical_element.tolist())) > 1 or name == "other energy"
    model.save_pretrained(tmp_path)
    if name in STORED:
        loaded = AutoModelForImageClassification.from_pretrained(tmp_path)
    else:
        with pytest.raises(ConfigurationError, match="stores its weights but not its code: pass the same canonic"):
            AutoModelForImageClassification.from_pretrained(tmp_path)
        again = OrbitScorer(nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 1)), TURNS)
        again = brightest_corner if name == "rule" else again
        loaded = AutoModelForImageClassification.from_pretrained(tmp_path, canonicalizer=again)
    assert torch.equal(loaded(x).logits, out.logits)
    own, other = (list(one.select_network.parameters()) for one in (model, loaded))
    assert [weight.requires_grad for weight in own] == [weight.requires_grad for weight in other]
    assert (
        loaded.method.needs_training == model.method.needs_training == (name not in ("energy", "other energy", "rule"))
    )
    card = model.make_card(tmp_path / "README.md")
    assert ("**A canonicalizer of its own.**" in card) == (name in GIVEN)
    assert f"| canonicalizer | {type(model.select_network).__name__} |" in card
    assert ("| prior_weight |" in card) == ("| temperature |" in card) == model.method.needs_training
    assert "forward pass of the base, and one of the canonicalizer." in card
    features = loaded.feature_model()
    assert torch.equal(features(x).pooler_output, out.image_features)


def test_equizero_is_the_energy_whose_model_is_the_base():
    model, x = wrap(ModelEnergy(TURNS, energy="largest")), images(3)
    base = classifier("vit")
    chosen = torch.stack([base(model.action.apply(g, x)).logits.max(-1).values for g in range(4)], 1).argmax(1)
    assert torch.equal(model.group.inverse(chosen), model(x).canonical_element)


def test_a_clip_canonicalizes_its_images():
    model = hf_equi.symmetrize(clip("clip"), SQUARE, "canonical", prior_weight=2.0)
    x, asked = images(3), texts()
    with torch.no_grad():
        out, moved = model(pixel_values=x, **asked), model(pixel_values=x.rot90(1, (2, 3)).flip(-1), **asked)
    torch.testing.assert_close(out.logits_per_image, moved.logits_per_image, atol=1e-5, rtol=0)
    assert out.identity_share == (out.canonical_element == 0).float().mean()
    model.train()
    trained = model(pixel_values=x, text_features=text_features(), labels=LABELS)
    task = nn.functional.cross_entropy(trained.logits_per_image, LABELS)
    torch.testing.assert_close(trained.loss, task + 2 * trained.prior_loss)
    model.config.task_weight = 0.0
    alone = model(pixel_values=x)
    torch.testing.assert_close(alone.loss, 2 * alone.prior_loss)
    assert alone.logits_per_image is None


def test_losses_by_hand():
    model, x = wrap(task_weight=0.5, prior_weight=3.0), images(3)
    evaluated = model(x, labels=LABELS)
    torch.testing.assert_close(evaluated.loss, nn.functional.cross_entropy(evaluated.logits, LABELS))
    model.select_network.eval()  # with the same statistics
    scores = model.select_network.scores(x)
    prior = -scores.log_softmax(1)[:, 0].mean()
    torch.testing.assert_close(evaluated.prior_loss, prior)
    model.train()
    model.select_network.eval()
    trained = model(x, labels=LABELS)
    torch.testing.assert_close(trained.loss, 0.5 * evaluated.loss + 3 * prior)
    assert model(x).loss is None
    model.select_network.requires_grad_(False)  # the base alone
    torch.testing.assert_close(model(x, labels=LABELS).loss, 0.5 * evaluated.loss)


@pytest.mark.parametrize("level", ["features", "logits", "probabilities", "spatial"])
def test_every_level_takes_the_canonical_member(level):
    check(wrap(level=level), images(2)) if level in ("features", "logits") else wrap(level=level)(images(2))
    model = wrap(level=level).train()
    model(images(3), labels=LABELS).loss.backward()
    assert all(weight.grad.abs().max() > 0 for weight in model.select_network.parameters() if weight.dim() > 1)


class Rows(torch.utils.data.Dataset):
    """Images, with labels or without."""

    def __init__(self, labelled):
        self.x, self.labelled = images(8), labelled

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return {"pixel_values": self.x[index], **({"labels": index % 4} if self.labelled else {})}


def run(model, folder, data, **settings):
    arguments = TrainingArguments(
        folder,
        max_steps=2,
        per_device_train_batch_size=4,
        report_to=[],
        use_cpu=True,
        save_strategy="no",
        disable_tqdm=True,
        learning_rate=1e-2,
    )
    trainer = Trainer(model, arguments, train_dataset=data, **settings)
    trainer.train()
    return trainer


def changed(model, before):
    return {name.split(".")[0] for name, weight in model.named_parameters() if not torch.equal(weight, before[name])}


def weights(model):
    return {name: weight.clone() for name, weight in model.named_parameters()}


def test_the_trainer_trains_the_canonicalizer_alone_without_labels(tmp_path):
    model = wrap(task_weight=0.0)
    model.base.requires_grad_(False)
    runs = []
    model.base.register_forward_pre_hook(lambda *_: runs.append(1))
    model.base.vit.register_forward_pre_hook(lambda *_: runs.append(1))
    before, prior = weights(model), float(model(images(8)).prior_loss)
    runs.clear()
    run(model, tmp_path, Rows(labelled=False))
    assert not runs, "the base ran"
    assert changed(model, before) == {"select_network"}
    assert model.eval()(images(8)).prior_loss < prior


def test_the_contrast_alone_trains_the_canonicalizer(tmp_path):
    model, x = wrap(OrbitScorer(flat(4), TURNS, size=4), task_weight=0.0, prior_weight=0.0), images(8)
    model.base.requires_grad_(False)
    torch.testing.assert_close(model.train()(x).loss, model.select_network(x)[1].mean())
    before, contrast = weights(model), model.select_network(x)[1].mean()
    run(model, tmp_path, Rows(labelled=False))
    assert changed(model, before) == {"select_network"}
    assert model.select_network(x)[1].mean() < contrast
    model.select_network.requires_grad_(False)
    with pytest.raises(ConfigurationError, match="canonicalizer alone, but no part of it is trained: unfreeze"):
        model.train()(x)


def test_the_trainer_trains_both_at_two_rates_and_the_base_alone(tmp_path):
    model = wrap()
    parts = [
        {"params": parameters_of(model, part), "lr": rate} for part, rate in (("canonicalizer", 1e-2), ("base", 1e-4))
    ]
    before = weights(model)
    trainer = run(model, tmp_path, Rows(labelled=True), optimizers=(torch.optim.AdamW(parts), None))
    assert changed(model, before) == {"base", "select_network"}
    assert {name for name in trainer.evaluate(Rows(labelled=True)) if "loss" in name} == {"eval_loss"}
    before = weights(model)
    for weight in parameters_of(model, "canonicalizer"):
        weight.requires_grad_(False)
    run(model, tmp_path, Rows(labelled=True))
    assert changed(model, before) == {"base"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"canonicalizer": GroupConvolution(SQUARE)}, "is of ImageGroup.dihedral"),
        ({"canonicalizer": clockwise}, r"for element 1 \(90°\), h\(gx\) is not g h\(x\) for 100% of the inputs"),
        ({"canonicalizer": nn.Flatten()}, "OrbitScorer"),
        ({"canonicalizer": "upright"}, "cannot be called"),
        ({"task_weight": -1.0}, "task_weight=-1.0 is not a weight"),
        ({"task_weight": 0.0, "prior_weight": 0.0}, "leave no loss"),
        ({"canonicalizer": ModelEnergy(TURNS), "task_weight": 0.0}, "but a ModelEnergy is not trained"),
        ({"canonicalizer": brightest_corner, "relaxation": "gumbel"}, "relaxation: a FixedRule is not trained"),
        ({"temperature": -1.0}, "temperature=-1.0 is out of range"),
        ({"relaxation": "hard"}, "relaxation='hard' is not known"),
        ({"loss": "entropy"}, "loss: the method 'canonical' does not use"),
        ({"prior_wieght": 1.0}, "prior_wieght= is not known. Did you mean prior_weight=|prior_wieght: only used"),
    ],
)
def test_bad_settings_are_refused_before_anything_runs(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        hf_equi.symmetrize(classifier("vit"), TURNS, "canonical", **settings)


def test_other_methods_have_no_canonicalizer(tmp_path):
    with pytest.raises(ConfigurationError, match="canonicalizer, prior_weight: the method 'equitune' does not use"):
        hf_equi.symmetrize(classifier("vit"), TURNS, canonicalizer=brightest_corner, prior_weight=1.0)
    model = hf_equi.symmetrize(classifier("vit"), TURNS)
    model.save_pretrained(tmp_path)
    with pytest.raises(ConfigurationError, match="the method 'equitune' does not use one"):
        type(model).from_pretrained(tmp_path, canonicalizer=brightest_corner)


def test_images_that_cannot_be_turned_and_lost_scores_are_refused():
    model = wrap()
    with pytest.raises(hf_equi.errors.ActionError, match="must be square"):
        model(images(1, (32, 24)))
    x = images(2)
    x[1] = torch.nan
    with pytest.raises(ConfigurationError, match="scores of sample 1 are NaN"):
        model(x)
    with pytest.raises(ConfigurationError, match="by images: pass pixel_values"):
        wrap(task_weight=0.0).train()(None)


def test_a_changed_canonicalizer_is_described_anew(tmp_path):
    model = wrap(GroupConvolution(TURNS))
    model.select_network = GroupConvolution(TURNS, channels=3)
    model.save_pretrained(tmp_path)
    assert type(model).from_pretrained(tmp_path).select_network.settings["channels"] == 3
    assert copy.deepcopy(model)(images(1)).logits.shape == (1, 4)
    assert isinstance(wrap(brightest_corner).select_network, FixedRule)
