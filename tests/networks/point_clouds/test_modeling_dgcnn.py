"""DGCNNs against the published form: features of pairs, their maximum, the maximum and the mean of points."""

from __future__ import annotations

import torch
from small_point_clouds import classifier, clouds, literal_edges, segmenter


def test_it_classifies_as_published():
    model, x = classifier().double(), clouds().double()
    found, each = x, []
    for edge in model.edges:
        found = literal_edges(edge, found, 3)
        each.append(found)
    last = model.last(torch.cat(each, -1))
    torch.testing.assert_close(model(x).logits, model.head(torch.cat([last.amax(1), last.mean(1)], 1)))


def test_parts_read_points_the_cloud_and_its_category():
    model, x, categories = segmenter().double(), clouds().double(), torch.tensor([0, 1, 1])
    turned = x @ model.transform(x, None)
    found, each = turned, []
    for edge in model.edges:
        found = literal_edges(edge, found, 3)
        each.append(found)
    pooled = model.last(torch.cat(each, -1)).amax(1)
    cloud = torch.cat([pooled, model.category(torch.eye(2).double()[categories])], 1)[:, None].expand(-1, 12, -1)
    expected = model.head(model.final(model.layers(torch.cat([cloud, *each], -1))))
    torch.testing.assert_close(model(x, categories=categories).logits, expected)


def test_memory_does_not_grow_with_the_pairs_in_evaluation():
    """A cloud of 2,000 points has 4 million distances, of which a part is held."""
    with torch.no_grad():
        assert classifier()(torch.randn(1, 2000, 3)).logits.isfinite().all()
