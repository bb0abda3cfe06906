"""What all networks of point clouds have in common: masks, losses, storage, precisions, and what they refuse."""

from __future__ import annotations

import copy

import pytest
import torch
from small_point_clouds import (
    CATEGORIES,
    CLASSIFIERS,
    SEGMENTERS,
    classifier,
    clouds,
    n_body,
    padding,
    segmenter,
    systems,
)
from torch.nn.functional import cross_entropy
from transformers import AutoConfig, AutoModel

from hf_equi.errors import ActionError, ConfigurationError

NETWORKS = {
    **{f"class {kind}": (classifier, kind) for kind in CLASSIFIERS},
    **{f"parts {kind}": (segmenter, kind) for kind in SEGMENTERS},
    "bodies": (n_body, None),
}


def make(name, **settings):
    create, kind = NETWORKS[name]
    return create(**settings) if kind is None else create(kind, **settings)


def asked(name, batch=3, count=12):
    if name == "bodies":
        return systems(batch, count)
    categories = {"categories": torch.arange(batch) % CATEGORIES} if name.startswith("parts") else {}
    return {"points": clouds(batch, count), **categories}


def said(name, out):
    return torch.cat([out.positions, out.velocities], -1) if name == "bodies" else out.logits


def spoilt(given, mask):
    """Other numbers where clouds are padded."""
    changed = {}
    for key, value in given.items():
        gone = mask == 0 if value.dim() == 2 else (mask == 0).unsqueeze(-1)
        changed[key] = torch.where(gone, torch.nan if key != "charges" else 7.0, value) if value.dim() > 1 else value
    return changed


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_padded_points_never_change_outputs(name, training):
    """Nor gradients, nor statistics of batches: what is said is what each cloud alone would say."""
    mask, given = padding(), asked(name)
    model = make(name, **({} if name == "bodies" else {"dropout": 0.0})).train(training)
    other = copy.deepcopy(model)
    found, changed = model(**given, mask=mask), other(**spoilt(given, mask), mask=mask)
    there = mask > 0 if said(name, found).dim() == 3 else slice(None)
    assert torch.equal(said(name, found)[there], said(name, changed)[there])
    for one in (found, changed):
        said(name, one)[there].square().sum().backward()
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        assert (one.grad is None and two.grad is None) or torch.equal(one.grad, two.grad)
    for one, two in zip(model.buffers(), other.buffers(), strict=True):
        assert torch.equal(one, two)
    if training:
        return
    for row in range(3):
        count = int(mask[row].sum())
        alone = {
            key: value[row : row + 1] if value.dim() == 1 else value[row : row + 1, :count]
            for key, value in given.items()
        }
        expected = said(name, model(**alone))[0]
        assert_close = torch.testing.assert_close
        assert_close(said(name, found)[row, :count] if expected.dim() == 2 else said(name, found)[row], expected)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_order_of_points_does_not_count(name):
    model, given, order = make(name), asked(name), torch.randperm(12)
    turned = {key: value[:, order] if value.dim() > 1 else value for key, value in given.items()}
    expected = said(name, model(**given))
    expected = expected[:, order] if expected.dim() == 3 else expected
    torch.testing.assert_close(said(name, model(**turned)), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "bodies"])
@torch.no_grad()
def test_evaluation_is_the_law_that_training_fits(name):
    """With statistics that are those of the batch, both modes say the same: no shortcut of evaluation differs."""
    model, given = make(name, dropout=0.0).double(), asked(name)
    given = {key: value.double() if value.is_floating_point() else value for key, value in given.items()}
    norms, seen = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm1d)], {}
    for norm in norms:
        norm.register_forward_pre_hook(lambda norm, read: seen.update({norm: read[0].flatten(0, -2)}))
    trained = said(name, model.train()(**given))
    for norm in norms:
        norm.running_mean.copy_(seen[norm].mean(0))
        norm.running_var.copy_(seen[norm].var(0, unbiased=False))
    torch.testing.assert_close(said(name, model.eval()(**given)), trained)


@pytest.mark.parametrize("name", NETWORKS)
def test_it_is_stored_and_found_by_the_auto_class(name, tmp_path):
    model, given = make(name), asked(name)
    model.save_pretrained(tmp_path)
    loaded, information = AutoModel.from_pretrained(tmp_path, output_loading_info=True)
    assert type(loaded) is type(model)
    assert not any(information.values())
    assert torch.equal(said(name, loaded(**given)), said(name, model(**given)))
    assert type(AutoConfig.from_pretrained(tmp_path)) is type(model.config)
    assert type(AutoModel.from_config(model.config)) is type(model)
    out = model(**given)
    assert torch.equal(model(**given, return_dict=False)[0], out.positions if name == "bodies" else out.logits)
    assert out.features is None
    features = model(**given, output_features=True).features
    assert features.shape == (3, model.feature_size)


@pytest.mark.parametrize("name", NETWORKS)
def test_it_computes_in_half_precision(name):
    model, given = make(name).bfloat16(), asked(name)
    out = said(name, model(**given))
    assert out.dtype == torch.bfloat16
    assert (out.float() - said(name, make(name)(**given))).abs().mean() < 0.3


def test_losses_are_those_of_torch():
    model, points, labels = classifier(label_smoothing=0.2), clouds(), torch.tensor([0, 4, -100])
    out = model(points, labels=labels)
    torch.testing.assert_close(out.loss, cross_entropy(out.logits, labels, label_smoothing=0.2))
    model, mask, labels = segmenter(), padding(), torch.randint(0, 4, (3, 12))
    labels[0, 0] = -100
    out = model(points, mask, torch.tensor([0, 1, 1]), labels)
    counted = (mask > 0) & (labels >= 0)
    torch.testing.assert_close(out.loss, cross_entropy(out.logits[counted], labels[counted]))
    bodies, given = n_body(), systems()
    out = bodies(**given, mask=padding(3, 5, 3), labels=given["velocities"], velocity_labels=given["positions"])
    there = padding(3, 5, 3) > 0
    errors = (
        (out.positions - given["velocities"]).square()[there],
        (out.velocities - given["positions"]).square()[there],
    )
    torch.testing.assert_close(out.loss, errors[0].mean() + errors[1].mean())


def test_new_networks_begin_as_torch_begins_them():
    """And T-nets begin as the identity."""
    torch.manual_seed(0)
    model = CLASSIFIERS["t_nets"](channels=[8, 8, 64])
    for layer in (module for module in model.modules() if isinstance(module, torch.nn.Linear)):
        if type(layer).__name__ == "SmallLinear":
            assert not layer.weight.any()
            assert not layer.bias.any()
            continue
        bound = layer.in_features**-0.5
        assert 0.8 * bound < layer.weight.abs().max() <= bound
    assert torch.equal(model.eval().encoder.of_points(clouds(), None), torch.eye(3).expand(3, 3, 3))
    assert not model(clouds()).penalty.any()


EQUAL = torch.ones(3, 12, 3)
LOST = clouds()
LOST[1, 2, 0] = torch.nan


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"points": clouds()[..., :2]}, r"points= needs the shape \(batch, points, 3\).*received \(3, 12, 2\)"),
        ({"points": torch.zeros(3, 0, 3)}, r"with one point or more; received \(3, 0, 3\)"),
        ({"points": [[0.0, 0.0, 0.0]]}, "points= is a list: pass a tensor"),
        ({"points": clouds().long()}, "points= holds torch.int64: pass floating numbers"),
        ({"points": LOST}, "Sample 1 of points= holds NaN or infinity: leave it out"),
        ({"points": EQUAL}, "Sample 0 of points= has several points that are all equal, so it has no shape"),
        (
            {"points": clouds()[:, :2]},
            "Sample 0 of points= has 2 points, but 3 or more are needed: sample more points",
        ),
        ({"points": clouds(), "mask": padding(least=2)}, "Sample 0 of points= has 2 points"),
        ({"points": clouds(), "mask": torch.zeros(3, 12)}, "Sample 0 of points= has 0 points"),
        ({"points": clouds(), "mask": torch.ones(3, 11)}, r"mask= .*\(3, 12\); received \(3, 11\)"),
        ({"points": clouds(), "mask": [1]}, "received list"),
    ],
)
@pytest.mark.parametrize("kind", ["class", "parts"])
def test_bad_clouds_are_refused_by_name(kind, given, message):
    extra = {} if kind == "class" else {"categories": torch.zeros(3, dtype=torch.long)}
    with pytest.raises(ActionError, match=message):
        make(f"{kind} dgcnn")(**given, **extra)


@pytest.mark.parametrize(
    ("name", "given", "error", "message"),
    [
        ("class dgcnn", {"labels": torch.tensor([0, 1])}, ConfigurationError, r"whole numbers of the shape \(3,\)"),
        ("class dgcnn", {"labels": torch.tensor([0, 1, 5])}, ConfigurationError, "from 0 to 4, or -100 .*received 5"),
        ("class dgcnn", {"labels": torch.full((3,), -100)}, ConfigurationError, "labels= are -100 alone"),
        ("parts dgcnn", {"labels": torch.zeros(3, 11).long()}, ConfigurationError, r"the shape \(3, 12\); received"),
        (
            "parts dgcnn",
            {"categories": None},
            ConfigurationError,
            "reads the category of each cloud: pass categories=",
        ),
        ("parts dgcnn", {"categories": torch.zeros(2).long()}, ConfigurationError, "3 whole numbers, one for each"),
        ("parts dgcnn", {"categories": torch.full((3,), 2)}, ConfigurationError, "numbers from 0 to 1"),
        ("bodies", {"velocities": clouds(3, 4)}, ActionError, r"velocities= has the shape \(3, 4, 3\), but"),
        ("bodies", {"velocities": LOST}, ActionError, "Sample 1 of velocities= holds NaN"),
        ("bodies", {"charges": None}, ConfigurationError, "charges= are needed"),
        (
            "bodies",
            {"charges": torch.ones(3, 12, 1)},
            ActionError,
            r"charges= needs floating numbers of the shape \(3",
        ),
        ("bodies", {"labels": torch.ones(3, 12)}, ConfigurationError, r"labels= are floating numbers of the shape"),
    ],
)
def test_other_bad_inputs_are_refused_by_name(name, given, error, message):
    with pytest.raises(error, match=message):
        make(name)(**{**asked(name), **given})


def test_inputs_that_a_network_does_not_read_are_refused():
    with pytest.raises(ConfigurationError, match="charges= are not read by this network"):
        n_body(use_charges=False)(**systems())
    with pytest.raises(ConfigurationError, match="predicts positions alone"):
        n_body(predict_velocities=False)(**systems(), velocity_labels=systems()["positions"])
    with pytest.raises(ConfigurationError, match="categories= are not read"):
        segmenter(num_categories=0)(clouds(), categories=torch.zeros(3).long())
