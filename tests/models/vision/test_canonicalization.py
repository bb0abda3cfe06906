"""Image models with `method="canonical"`: what they compute, and how they are trained."""

from __future__ import annotations

import pytest
import torch
from small_canonicalizers import check, text_features, wrap
from small_rules import brightest_corner, clockwise
from small_vision import classifier, clip, images, texts
from torch import nn
from transformers import Trainer, TrainingArguments
from wrapped_vision import SQUARE, TURNS

import hf_equi
from hf_equi.canonicalization import GroupConvolution, ModelEnergy, OrbitScorer
from hf_equi.errors import ConfigurationError
from hf_equi.training.parts import parameters_of

LABELS = torch.tensor([0, 1, 2])


def flat(outputs=1):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, outputs))


def test_the_networks_read_as_many_images_as_the_card_says():
    """One by the base, and one by the network for each turn, which for the energy of the base is the base again."""
    scorer = OrbitScorer(classifier("resnet-basic"), TURNS, size=4)
    for canonicalizer, asked, rows in ((None, None, [3]), (ModelEnergy(TURNS), None, [12, 3]), (scorer, scorer, [3])):
        read, scored = [], []
        model = wrap(canonicalizer)
        model.base.vit.register_forward_pre_hook(lambda _, args, read=read: read.append(len(args[0])))
        if asked is not None:
            asked.network.register_forward_pre_hook(lambda _, args, scored=scored: scored.append(len(args[0])))
        with torch.no_grad():
            model(images(3))
        assert (read, scored) == (rows, [] if asked is None else [12])


def test_equizero_is_the_energy_whose_model_is_the_base():
    model, x = wrap(ModelEnergy(TURNS, energy="largest")), images(3)
    plain = classifier("vit")
    chosen = torch.stack([plain(model.action.apply(g, x)).logits.max(-1).values for g in range(4)], 1).argmax(1)
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
    evaluated = model.eval()(pixel_values=x, **asked)
    torch.testing.assert_close(evaluated.loss, 2 * evaluated.prior_loss)


CLIP = {
    "rule": lambda: brightest_corner,
    "scorer": lambda: OrbitScorer(classifier("resnet-basic"), TURNS, size=4),
    "energy": lambda: ModelEnergy(TURNS, text_features=text_features()),
    "energy of a classifier": lambda: ModelEnergy(TURNS, classifier("resnet-basic")),
}


@pytest.mark.parametrize("name", CLIP)
@torch.no_grad()
def test_a_clip_takes_every_canonicalizer(name, tmp_path):
    model = hf_equi.symmetrize(clip("clip"), TURNS, "canonical", canonicalizer=CLIP[name]())
    x, asked = images(3), texts()
    out = model(pixel_values=x, **asked)
    for g in range(1, 4):
        moved = model(pixel_values=model.action.apply(g, x), **asked)
        torch.testing.assert_close(moved.logits_per_image, out.logits_per_image, atol=1e-5, rtol=0)
        assert torch.equal(moved.canonical_element, TURNS.product[g, out.canonical_element])
    canonical = model.action.invert(out.canonical_element, x)
    read = model.base(pixel_values=canonical, **asked)
    torch.testing.assert_close(out.logits_per_image, read.logits_per_image, atol=1e-5, rtol=0)
    if name == "energy":  # that of the similarities to the texts, by the base
        members = [model.base(pixel_values=model.action.invert(h, x), **asked).logits_per_image for h in range(4)]
        likely = torch.stack(members, 1).logsumexp(-1)
        assert torch.equal(likely.argmax(1), out.canonical_element)
        best = likely.topk(2, 1).values
        torch.testing.assert_close(out.margin, best[:, 0] - best[:, 1], atol=1e-4, rtol=0)
    model.save_pretrained(tmp_path)
    given = {"canonicalizer": brightest_corner} if name == "rule" else {}
    loaded = hf_equi.EquiCLIPModel.from_pretrained(tmp_path, **given)
    assert torch.equal(loaded(pixel_values=x, **asked).logits_per_image, out.logits_per_image)


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
    with pytest.raises(ConfigurationError, match=r"No labels .* because config.task_weight=0\.5 weighs"):
        model(x)
    model.config.task_weight = 1.0
    with pytest.raises(ConfigurationError, match=r"No labels .* because what selects members trains by a loss"):
        model(x)
    with torch.no_grad():
        assert model(x).loss is None
    model.select_network.requires_grad_(False)  # the base alone
    assert model(x).loss is None
    model.config.task_weight = 0.5
    torch.testing.assert_close(model(x, labels=LABELS).loss, 0.5 * evaluated.loss)


@pytest.mark.parametrize("level", ["features", "logits", "probabilities", "spatial"])
def test_every_level_takes_the_canonical_member(level):
    as_logits = {} if level != "probabilities" else {"link": lambda logits: logits.log_softmax(-1)}
    check(wrap(level=level), images(3), **as_logits)
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


def test_the_trainer_keeps_the_best_canonicalizer_without_labels(tmp_path):
    """By the loss that trains it: the prior with its weight, and the contrast."""
    scorer = OrbitScorer(classifier("resnet-basic"), TURNS, size=4, contrast_weight=2.0)
    model = hf_equi.symmetrize(
        classifier("vit"), TURNS, "canonical", canonicalizer=scorer, task_weight=0.0, prior_weight=3.0
    )
    steps = {"eval_strategy": "steps", "eval_steps": 1, "save_strategy": "steps", "save_steps": 1}
    arguments = TrainingArguments(
        tmp_path, max_steps=3, label_names=["pixel_values"], report_to=[], use_cpu=True, disable_tqdm=True,
        load_best_model_at_end=True, per_device_eval_batch_size=4, **steps,
    )  # fmt: skip
    worse = torch.optim.SGD(scorer.parameters(), 0.1, maximize=True)
    data = Rows(labelled=False)
    trainer = Trainer(model, arguments, train_dataset=data, eval_dataset=data, optimizers=(worse, None))
    trainer.train()
    losses = [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry]
    assert min(losses) < losses[-1]
    assert trainer.evaluate()["eval_loss"] == pytest.approx(min(losses))
    with torch.no_grad():
        model.eval()
        scores, own = scorer(data.x)
        alone = model(data.x)
        torch.testing.assert_close(alone.loss, (3.0 * -scores.log_softmax(1)[:, 0] + own).mean())
        assert float(alone.loss) == pytest.approx(min(losses))
        labels = torch.arange(8) % 4
        torch.testing.assert_close(
            model(data.x, labels=labels).loss, nn.functional.cross_entropy(alone.logits, labels)
        )
    trainer.label_names = ["labels"]  # by default
    torch.testing.assert_close(torch.tensor(trainer.predict(data).predictions), alone.logits, atol=1e-5, rtol=1e-5)
    model.config.task_weight = 1.0
    assert model(data.x).loss is None


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


def test_weights_that_are_changed_later_are_checked_too():
    model, given = wrap().train(), {"pixel_values": images(3), "labels": LABELS}
    for name in ("task_weight", "prior_weight"):
        usual = getattr(model.config, name)
        setattr(model.config, name, -1.0)
        with pytest.raises(ConfigurationError, match=f"{name}=-1.0 is not a weight"):
            model(**given)
        setattr(model.config, name, usual)
    model.config.task_weight = model.config.prior_weight = 0.0
    with pytest.raises(ConfigurationError, match="task_weight=0 and prior_weight=0 leave no loss"):
        model(**given)


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
