"""What is learned through an orbit: by the base, and by the network that weighs members."""

from __future__ import annotations

import pytest
import torch
from small_vision import classifier, images
from wrapped_vision import SQUARE, TURNS, wrap

from hf_equi import EquiForImageClassification, PixelAction

PROBE = torch.tensor([0.3, -1.0, 0.7, 0.2])


def gradients(output, model):
    model.zero_grad()
    output.backward()
    return {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}


def mean_gradients(base, x):
    """Of the members, one after the other."""
    action, total = PixelAction(SQUARE), {}
    for g in range(SQUARE.order):
        for name, part in gradients((base(action.apply(g, x)).logits @ PROBE).sum(), base).items():
            total[name] = total.get(name, 0) + part / SQUARE.order
    return total


@pytest.mark.parametrize("method", ["equitune", "equizero"])
@pytest.mark.parametrize("family", ["resnet-basic", "vit"])
def test_gradients_are_means_of_the_members(family, method):
    """Of equizero too, whose value is that of one member: straight through."""
    base, x = classifier(family), images(2)
    out = wrap(base, SQUARE, method, level="logits")(x)
    received = gradients((out.logits @ PROBE).sum(), base)
    required = mean_gradients(base, x)
    assert set(received) == set(required)
    for name, expected in required.items():
        torch.testing.assert_close(received[name], expected, atol=2e-5, rtol=1e-4)
    if method == "equizero":
        for image, g, logits in zip(x, out.chosen_element.tolist(), out.logits, strict=True):
            member = PixelAction(SQUARE).apply(g, image[None])
            torch.testing.assert_close(logits, base(member).logits[0], atol=1e-6, rtol=1e-5)
        _, chosen = next(iter(required)), out.chosen_element
        assert chosen.shape == (2,)


def test_straight_through_features_by_hand():
    """The value is the chosen member's, the gradient a share of one fourth for each."""
    model = wrap("resnet-basic", TURNS, "equizero")
    features = torch.randn(2, 4, 16, requires_grad=True)
    out = model(orbit_features=features)
    for row, g in enumerate(out.chosen_element.tolist()):
        torch.testing.assert_close(out.image_features[row], features[row, g])
    direction = torch.randn(16)
    (received,) = torch.autograd.grad((out.image_features @ direction).sum(), features)
    torch.testing.assert_close(received, (direction / 4).expand(2, 4, 16))


@pytest.mark.parametrize("method", ["lambda", "attention", "equitune"])
@pytest.mark.parametrize("level", ["features", "probabilities"])
def test_gradients_of_features_by_finite_differences(method, level):
    units = {"lambda_units": 3} if method in {"lambda", "attention"} else {}
    model = wrap("resnet-basic", TURNS, method, level=level, **units).double()
    features = torch.randn(1, 4, 16, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda f: model(orbit_features=f).logits, features)


def test_frozen_features_are_not_trained(tmp_path):
    model = wrap("resnet-basic", TURNS, "lambda", lambda_features="frozen")
    model.save_pretrained(tmp_path)
    for each in (model, EquiForImageClassification.from_pretrained(tmp_path)):
        before = {name: value.clone() for name, value in each.frozen_base.state_dict().items()}
        each.train()
        assert each.base.training
        assert not any(module.training for module in each.frozen_base.modules())
        assert not any(parameter.requires_grad for parameter in each.frozen_base.parameters())
        received = gradients(each(images(2), labels=torch.tensor([0, 1])).loss, each)
        assert not any(name.startswith("frozen_base") for name in received)
        assert any(name.startswith("base") for name in received)
        assert any(name.startswith("lambda_network") for name in received)
        torch.optim.SGD(each.parameters(), lr=0.1).step()
        for name, value in each.frozen_base.state_dict().items():
            assert torch.equal(value, before[name])


def test_weights_come_from_the_frozen_copy():
    model, x = wrap("resnet-basic", TURNS, "lambda", lambda_features="frozen"), images(2)
    with torch.no_grad():
        before = model(x)
        for parameter in model.base.parameters():
            parameter.mul_(1.1)
        after = model(x)
        assert torch.equal(after.group_weights, before.group_weights)
        assert not torch.allclose(after.logits, before.logits, atol=1e-3)
        shared = wrap(model.base, TURNS, "lambda")
        assert not torch.allclose(shared(x).group_weights, before.group_weights, atol=1e-3)


def test_no_gradient_is_kept_where_none_is_wanted():
    model = wrap("resnet-basic", TURNS, "equizero")
    with torch.no_grad():
        assert not model(images(1)).logits.requires_grad
    assert model(images(1)).logits.requires_grad
