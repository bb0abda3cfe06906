"""PointNets against products written out."""

from __future__ import annotations

import torch
from small_point_clouds import classifier, clouds, segmenter


def test_without_t_nets_it_is_a_maximum_of_features():
    model, x = classifier("point_net"), clouds()
    found = x
    for part in (model.encoder.first, model.encoder.rest):
        for linear, norm in zip(part.linears, part.norms, strict=True):
            y = found @ linear.weight.T
            y = (y - norm.running_mean) / (norm.running_var + norm.eps).sqrt() * norm.weight + norm.bias
            found = y.relu()
    out = model(x, output_features=True)
    torch.testing.assert_close(out.features, found.amax(1))
    torch.testing.assert_close(out.logits, model.head(found.amax(1)))
    assert out.penalty is None


def test_t_nets_turn_points_and_features_and_add_to_the_loss():
    model, x = classifier("t_nets"), clouds()
    plain = classifier("point_net")
    plain.load_state_dict(model.state_dict(), strict=False)
    plain.encoder.of_points, plain.encoder.of_features = model.encoder.of_points, model.encoder.of_features
    torch.testing.assert_close(plain(x).logits, model(x).logits)
    turned = x @ model.encoder.of_points(x, None)
    matrix = model.encoder.of_features(model.encoder.first(turned), None)
    out, labels = model(x), torch.tensor([0, 1, 2])
    apart = (matrix @ matrix.mT - torch.eye(8)).square().sum((1, 2))
    torch.testing.assert_close(out.penalty, 0.001 * apart)
    loss = torch.nn.functional.cross_entropy(out.logits, labels) + out.penalty.mean()
    torch.testing.assert_close(model(x, labels=labels).loss, loss)


def test_one_point_and_clouds_on_a_line_have_a_class():
    line = torch.linspace(0, 1, 9)[None, :, None] * torch.tensor([1.0, 2.0, 3.0])
    for cloud in (torch.ones(1, 1, 3), line, torch.cat([line, torch.rand(1, 9, 1)], 2)[..., :3]):
        assert classifier("t_nets")(cloud).logits.isfinite().all()


def test_parts_read_the_category():
    model, x = segmenter("point_net"), clouds()
    one, other = (model(x, categories=torch.full((3,), number)).logits for number in (0, 1))
    assert not torch.equal(one, other)
    assert one.shape == (3, 12, 4)
