"""Models with an output for each pixel: they turn with the picture, and say what their formulas say."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from literal_dense import channels, exchanged, members, moved, moved_back, pixels, statistics, surest, whole
from small_dense import BASES, CLASSES, SIDE, SQUARE, TURNS, dense, pictures, wrap
from torch.nn.functional import cross_entropy, interpolate, softplus
from transformers import SegformerConfig, SegformerForSemanticSegmentation

from hf_equi import EquiDenseConfig, EquiForDensePrediction, ImageGroup
from hf_equi.canonicalization import FixedPose, FixedRule
from hf_equi.errors import ActionError, ConfigurationError, HfEquiWarning, UnsupportedModelError
from hf_equi.groups import SO2
from hf_equi.testing import assert_equivariant, equivariance_error

PAIRS = [[1, 2], [3, 4]]
GROUPS = {TURNS: range(4), ImageGroup.flips("horizontal"): (0, 4), ImageGroup.flips("vertical"): (0, 6)}
"""Groups, and their elements among those of the square."""


def maps_of(model, x, **given):
    """The output maps, `(B, C, h, w)`."""
    return model.config.kind.maps(model(x, **given))


def check_turns(model, x, some=None, **given):
    """The output moves with the image, for all elements or some."""
    function = partial(maps_of, model, **given)
    assert_equivariant(function, x, model.action, model.output_action, some, tolerance=1e-5)


def brightest(x):
    """A rule for the pose: the quarter whose corner is the brightest."""
    half = x.shape[-1] // 2
    corners = [x[:, :, :half, :half], x[:, :, half:, :half], x[:, :, half:, half:], x[:, :, :half, half:]]
    return torch.stack([corner.mean((1, 2, 3)) for corner in corners], 1).argmax(1)


@pytest.mark.parametrize("family", BASES)
@torch.no_grad()
def test_every_family_turns_with_the_picture_and_is_the_literal_mean(family):
    model, x = wrap(family), pictures(1)
    check_turns(model, x, [1, 4, 7])
    base, x = model.base.double(), x.double()  # where a base says the same of one image and of several
    kind = model.config.kind
    required = members(base, SQUARE, x[0], kind.maps, PAIRS if kind.exchanges else [])
    assert max(float((one - required[0]).abs().max()) for one in required) > 1e-2
    torch.testing.assert_close(maps_of(model, x)[0], torch.stack(required).mean(0), atol=1e-6, rtol=1e-6)
    for group, some in GROUPS.items():
        expected = torch.stack([required[g] for g in some]).mean(0)
        torch.testing.assert_close(maps_of(wrap(base, group), x)[0], expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(
    ("family", "size"),  # that padding, windows and strides cut on one side
    [("segformer", (37, 37)), ("mobilenet_v2", (35, 35)), ("upernet", (30, 30)), ("glpn", (32, 32))],
)
@torch.no_grad()
def test_sizes_that_a_base_pads_or_cuts_on_one_side(family, size):
    model, x = wrap(family), pictures(1, size)
    some, read = [1, 4, 6], model.config.kind.maps
    errors = equivariance_error(lambda one: read(model.base(one)), x, model.action, model.output_action, some)
    assert errors.min() > 1e-2
    check_turns(model, x, some)


@torch.no_grad()
def test_images_that_are_no_squares_under_groups_that_need_none():
    for group in (ImageGroup.flips("both"), ImageGroup.rotations(2)):
        model, x = wrap("segformer", group), pictures(1, (37, 50))
        assert maps_of(model, x).shape == (1, CLASSES, 10, 13)
        check_turns(model, x)


@pytest.mark.parametrize("group", [TURNS, SQUARE], ids=repr)
@torch.no_grad()
def test_every_method_of_segmentation_is_its_formula(group):
    base, x = dense("segformer"), pictures(2)
    orbits = [members(base, group, image, lambda out: out.logits) for image in x]
    laws = [[one.log_softmax(0) for one in orbit] for orbit in orbits]

    def check(required, method, **settings):
        torch.testing.assert_close(
            wrap(base, group, method, **settings)(x).logits, torch.stack(required), atol=1e-5, rtol=1e-5
        )

    def best(loss, places):
        return [surest(orbit, lambda one: loss(one.log_softmax(0)), places) for orbit in orbits]

    def unsure(law):
        return -float(law.exp().amax(0).mean())

    def entropy(law):
        return -float((law.exp() * law).sum(0).mean())

    check([base(image[None]).logits[0] for image in x], "identity")
    check([torch.stack(orbit).mean(0) for orbit in orbits], "equitune")
    check([torch.stack(law).logsumexp(0) - math.log(group.order) for law in laws], "equitune", level="probabilities")
    check(best(unsure, pixels), "equizero")
    check(best(unsure, whole), "equizero", confidence="image")
    check(best(entropy, pixels), "equizero", loss="entropy")
    check(best(entropy, whole), "equizero", loss="entropy", confidence="image")
    model = wrap(base, group, "lambda")
    for orbit, received, weights in zip(orbits, model(x).logits, model(x).group_weights, strict=True):
        own = softplus(model.lambda_network.layers(torch.stack([statistics(one) for one in orbit]))).flatten()
        torch.testing.assert_close(weights, own / own.sum(), atol=1e-5, rtol=1e-5)
        assert weights.max() > 1.1 * weights.min()
        torch.testing.assert_close(
            received, (weights[:, None, None, None] * torch.stack(orbit)).sum(0), atol=1e-5, rtol=1e-5
        )


@torch.no_grad()
def test_what_equizero_took_is_said_for_each_place():
    x = pictures(2)
    out = wrap("segformer", SQUARE, "equizero")(x)
    assert out.chosen_element.shape == out.margin.shape == (2, 8, 8)
    assert out.margin.min() >= 0
    assert len(out.chosen_element.unique()) == 8
    for image, chosen, received in zip(x, out.chosen_element, out.logits, strict=True):
        orbit = torch.stack(members(dense("segformer"), SQUARE, image, lambda one: one.logits))
        expected = orbit.gather(0, chosen.expand(1, CLASSES, -1, -1))[0]
        torch.testing.assert_close(received, expected, atol=1e-5, rtol=1e-5)
    whole_image = wrap("segformer", SQUARE, "equizero", confidence="image")(x)
    assert whole_image.chosen_element.shape == whole_image.margin.shape == (2,)
    points = wrap("vitpose", SQUARE, "equizero")(x)
    assert points.chosen_element.shape == points.margin.shape == (2, CLASSES)


@torch.no_grad()
def test_key_points_are_exchanged_by_mirrors_and_chosen_by_their_peaks():
    base, x = dense("vitpose"), pictures(2)
    orbits = [members(base, SQUARE, image, lambda out: out.heatmaps, PAIRS) for image in x]
    for confidence, places in (("key_point", channels), ("image", whole)):
        model = wrap(base, SQUARE, "equizero", confidence=confidence)
        required = [surest(orbit, lambda one: -float(one.flatten(-2).amax(-1).mean()), places) for orbit in orbits]
        torch.testing.assert_close(model(x).heatmaps, torch.stack(required), atol=1e-5, rtol=1e-5)
    # λ reads a member before its channels are exchanged, so that it sees gx alone.
    model = wrap(base, SQUARE, "lambda")
    own = [base(moved(SQUARE, g, x[:1])).heatmaps[0] for g in range(8)]
    weights = softplus(model.lambda_network.layers(torch.stack([statistics(one) for one in own]))).flatten()
    torch.testing.assert_close(model(x[:1]).group_weights[0], weights / weights.sum(), atol=1e-5, rtol=1e-5)
    check_turns(model, x)
    left = wrap(base, flip_pairs=[])  # which moves pixels alone
    assert (left(x).heatmaps - wrap(base)(x).heatmaps).abs().max() > 1e-2


@torch.no_grad()
def test_a_rule_for_the_pose_costs_one_member():
    base, x = dense("upernet"), pictures(3)
    model = wrap(base, TURNS, "canonical", canonicalizer=FixedRule(brightest, TURNS))
    out, inverses = model(x), [(-int(g)) % 4 for g in brightest(x)]
    assert out.canonical_element.tolist() == brightest(x).tolist()
    for image, g, received in zip(x, inverses, out.logits, strict=True):
        expected = moved_back(TURNS, g, base(moved(TURNS, g, image[None])).logits)[0]
        torch.testing.assert_close(received, expected, atol=1e-5, rtol=1e-5)
    check_turns(model, x)
    assert model.base_forwards == 1


@torch.no_grad()
def test_a_mixture_draws_one_member_that_a_turned_copy_shares():
    base, x = dense("vitpose"), pictures(1)
    model, required = wrap(base, SQUARE, "mixture"), members(base, SQUARE, x[0], lambda out: out.heatmaps, PAIRS)
    counts = torch.zeros(8)
    for seed in range(200):
        received = model(x, seed=seed).heatmaps[0]
        distances = torch.stack([(received - one).abs().max() for one in required])
        assert distances.min() < 1e-5
        counts[distances.argmin()] += 1
        if seed < 3:
            check_turns(model, x, seed=seed)
    assert (counts - 25).square().sum() / 25 < 24.3  # χ² with 7 degrees of freedom, one in a thousand
    assert torch.equal(model(x).heatmaps, model(x, seed=0).heatmaps)
    model.train()
    assert len({float(model(x).heatmaps.sum()) for _ in range(20)}) > 1
    assert torch.equal(model(x, seed=5).heatmaps, model(x, seed=5).heatmaps)


@torch.no_grad()
def test_angles_that_are_no_quarter_turns_are_nearly_exact():
    smooth = interpolate(pictures(1, (4, 4)), size=(SIDE, SIDE), mode="bilinear")
    model = wrap("segformer", ImageGroup.rotations(8))
    quarter = equivariance_error(lambda x: maps_of(model, x), smooth, model.action, model.output_action, [2])
    assert quarter.max() < 1e-5
    base = equivariance_error(lambda x: model.base(x).logits, smooth, model.action, model.output_action, [1])
    eighth = equivariance_error(lambda x: maps_of(model, x), smooth, model.action, model.output_action, [1])
    assert 1e-5 < eighth.max() < 0.5 * base.max()


@torch.no_grad()
def test_a_continuous_group_moves_outputs_back_by_its_matrices():
    def pose(x):
        angles = brightest(x) * (math.pi / 2)
        rows = torch.stack([angles.cos(), -angles.sin(), angles.sin(), angles.cos()], -1)
        return rows.view(-1, 2, 2).to(x)

    base, x = dense("glpn"), pictures(2)
    continuous = wrap(base, SO2(), "canonical", canonicalizer=FixedPose(pose, SO2()))(x)
    finite = wrap(base, TURNS, "canonical", canonicalizer=FixedRule(brightest, TURNS))(x)
    torch.testing.assert_close(continuous.predicted_depth, finite.predicted_depth, atol=1e-5, rtol=1e-5)
    assert continuous.predicted_depth.shape == (2, SIDE, SIDE)


@torch.no_grad()
def test_other_outputs_and_other_inputs_of_a_base():
    x = pictures(2)
    model = wrap("zoedepth", TURNS)
    required = torch.stack([model.base(moved(TURNS, g, x)).domain_logits for g in range(4)]).mean(0)
    torch.testing.assert_close(model(x).domain_logits, required, atol=1e-5, rtol=1e-5)
    model, prompt = wrap("prompt_depth", TURNS), pictures(2, (12, 12))[:, :1].abs() + 0.5
    base = model.base
    turned = [base(moved(TURNS, g, x), prompt_depth=moved(TURNS, g, prompt)).predicted_depth for g in range(4)]
    required = torch.stack([moved_back(TURNS, g, one) for g, one in enumerate(turned)]).mean(0)
    received = model(x, prompt_depth=prompt).predicted_depth
    torch.testing.assert_close(received, required, atol=1e-5, rtol=1e-5)
    assert (received - model(x).predicted_depth).abs().max() > 1e-2


@torch.no_grad()
def test_one_class_that_is_present_or_absent():
    sizes = {"depths": [1] * 4, "hidden_sizes": [8] * 4, "num_attention_heads": [1] * 4, "decoder_hidden_size": 8}
    base = SegformerForSemanticSegmentation(SegformerConfig(**sizes, num_labels=1)).eval()
    x, labels = pictures(2), (pictures(2)[:, 0] > 0).long()
    labels[:, :5] = 255
    orbit = torch.stack([torch.stack(members(base, TURNS, image, lambda out: out.logits)) for image in x])
    model = wrap(base, TURNS, level="probabilities")
    torch.testing.assert_close(model(x).logits.sigmoid(), orbit.sigmoid().mean(1), atol=1e-6, rtol=1e-5)
    assert model(x).logits.shape == (2, 1, 8, 8)
    alone = wrap(base, TURNS, "identity")
    torch.testing.assert_close(alone(x, labels=labels).loss, base(x, labels=labels).loss)


@pytest.mark.parametrize("family", [name for name in BASES if name not in ("zoedepth", "dpt-depth", "vitpose")])
@torch.no_grad()
def test_the_loss_of_the_identity_is_that_of_the_base(family):
    """Without the auxiliary head, which some bases have."""
    base, x = dense(family), pictures(2)
    kind = wrap(base, TURNS, "identity").config.kind
    labels = {
        "segmentation": x.mean(1).mul(40).long() % CLASSES,
        "depth": x[:, 0].abs() + 0.5,
        "key_points": x[:, :1, ::2, ::2].repeat(1, CLASSES, 1, 1),
    }[kind.name]
    if kind.label_loss(base) is None:
        with pytest.raises(ConfigurationError, match=rf"labels=: {type(base).__name__} has no loss. Compute one from"):
            wrap(base, TURNS)(x, labels=labels)
        return
    if kind.name == "segmentation":
        labels[x[:, 0] > 1] = 255
    if getattr(base, "auxiliary_head", None) is not None:
        base.config.auxiliary_loss_weight = 0.0
    torch.testing.assert_close(wrap(base, TURNS, "identity")(x, labels=labels).loss, base(x, labels=labels).loss)


def test_a_loss_is_that_of_the_combined_output_and_labels_stay_where_they_are():
    x, labels = pictures(2), pictures(2).mean(1).mul(40).long() % CLASSES
    rule = FixedRule(brightest, TURNS)
    for model in (wrap("segformer", TURNS), wrap("segformer", TURNS, "canonical", canonicalizer=rule)):
        out = model(x, labels=labels)
        resized = interpolate(out.logits, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
        torch.testing.assert_close(out.loss, cross_entropy(resized, labels))
        turned = model(moved(TURNS, 1, x), labels=moved(TURNS, 1, labels))
        torch.testing.assert_close(turned.loss, out.loss, atol=1e-5, rtol=1e-5)
    weights = torch.rand(2, CLASSES, 16, 16)
    model, heat = wrap("sapiens", TURNS), torch.rand(2, CLASSES, 16, 16)
    out = model(x, labels=heat, label_weights=weights)
    torch.testing.assert_close(out.loss, (weights * (out.heatmaps - heat).square()).sum() / weights.sum())


def test_an_auxiliary_head_does_not_train_and_that_is_said():
    model, x = wrap("upernet", TURNS), pictures(2)
    labels = x.mean(1).mul(40).long() % CLASSES
    model(x, labels=labels)  # an evaluation
    with pytest.warns(HfEquiWarning, match="auxiliary head of UperNetForSemanticSegmentation does not train"):
        model.train()(x, labels=labels).loss.backward()
    heads = {name: weight.grad for name, weight in model.base.named_parameters() if "head" in name}
    assert all((grad is None) == ("auxiliary" in name) for name, grad in heads.items())
    model.base.auxiliary_head.requires_grad_(False)
    model(x, labels=labels)


def test_only_the_canonicalizer_trains_with_task_weight_0():
    model = wrap("segformer", TURNS, "canonical", task_weight=0.0).train()
    out = model(pictures(2))
    assert out.logits is None
    out.loss.backward()
    assert all(weight.grad is None for weight in model.base.parameters())
    assert any(weight.grad is not None for weight in model.select_network.parameters())


def test_a_graph_of_a_mixture_is_refused():
    with pytest.raises(UnsupportedModelError, match=r"cannot draw .*: export another method than 'mixture'"):
        torch.export.export(wrap("vitpose", TURNS, "mixture"), (), {"pixel_values": pictures(1)}, strict=False)


class Silent(torch.nn.Module):
    """Stands in for a base that must not run."""

    def forward(self, *args, **kwargs):
        raise AssertionError("the base ran")


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"pixel_values": pictures(1, (32, 48))}, ActionError, "must be square; received H = 32, W = 48"),
        ({"pixel_values": None}, ConfigurationError, "EquiForDensePrediction needs pixel_values"),
        ({"pixel_values": pictures(1)[0]}, ActionError, "four axes"),
        ({"pixel_values": [[1.0]]}, ActionError, "pixel_values= is a list"),
        (
            {"labels": torch.zeros(2, 8, 8).long()},
            ActionError,
            r"must have the shape \(2, 32, 32\); received \(2, 8, 8\)",
        ),
        ({"labels": torch.zeros(1, 32, 32).long()}, ActionError, r"must have the shape \(2, 32, 32\)"),
        ({"labels": torch.zeros(2, 32, 32)}, ActionError, r"numbers of classes; received torch.float32.*labels.long"),
        (
            {"labels": torch.full((2, 32, 32), 5)},
            ActionError,
            "classes 5 to 5, but the model has 5, .* 255 for pixels",
        ),
        ({"labels": torch.full((2, 32, 32), -1)}, ActionError, "classes -1 to -1"),
        (
            {"label_weights": torch.ones(2)},
            ConfigurationError,
            "label_weights: these weigh labels, but there are none",
        ),
        ({"seed": 3}, ConfigurationError, "seed=3: the method 'equitune' draws nothing"),
        ({"seed": "x"}, ConfigurationError, "seed='x' is not a seed"),
        (
            {"flip_pairs": torch.tensor([[0, 1]])},
            ConfigurationError,
            r"flip_pairs= is an argument of the base.*unwrap",
        ),
        ({"pixel_mask": torch.ones(2, 32, 32)}, ConfigurationError, "pixel_mask= is .* unknown how it moves"),
        ({"output_attentions": True}, ConfigurationError, "returns only scores"),
    ],
)
def test_what_is_refused_before_the_base_runs(given, error, message):
    model = wrap("segformer", TURNS)
    model.base.segformer = Silent()
    with pytest.raises(error, match=message):
        model(**{"pixel_values": pictures(2), **given})


def test_labels_of_another_kind_are_refused_before_the_base_runs():
    for family, labels, message in (
        ("glpn", torch.zeros(2, 16, 16), r"shape \(2, 32, 32\); received \(2, 16, 16\)"),
        ("sapiens", torch.zeros(2, 4, 16, 16), r"shape \(2, 5, 'h', 'w'\); received \(2, 4, 16, 16\)"),
        ("sapiens", torch.zeros(2, 16, 16), r"received \(2, 16, 16\)"),
    ):
        model = wrap(family, TURNS)
        model.base.forward = Silent().forward
        with pytest.raises(ActionError, match=message):
            model(pictures(2), labels=labels)
    with pytest.raises(ActionError, match=r"must have the shape \(2, 5, 16, 16\); received \(2, 5, 8, 8\)"):
        wrap("sapiens", TURNS)(pictures(2), labels=torch.zeros(2, 5, 8, 8))


def test_a_config_that_says_another_output_than_the_base_has():
    base = dense("dpt")
    config = EquiDenseConfig(base_config=base.config, group=TURNS.to_dict(), predicts="depth")
    with pytest.raises(ConfigurationError, match="predicts='depth', but DPTForSemanticSegmentation segments images"):
        EquiForDensePrediction(config, base)


def test_a_literal_exchange_is_that_of_the_action():
    model, maps = wrap("vitpose"), torch.randn(CLASSES, 6, 6)
    for g in range(8):
        expected = moved(SQUARE, g, exchanged(SQUARE, g, maps, PAIRS))
        torch.testing.assert_close(model.output_action.apply(g, maps[None])[0], expected)
