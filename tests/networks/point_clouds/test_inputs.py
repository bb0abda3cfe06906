"""Clouds as networks read them; `test_modeling_point_clouds.py` has what they refuse."""

from __future__ import annotations

import pytest
import torch

from hf_equi.errors import ActionError, ConfigurationError
from hf_equi.networks.point_clouds.inputs import check_categories, check_labels, check_vectors, read_cloud


def test_padding_becomes_zero_and_one_point_is_a_cloud():
    points, kept = read_cloud(torch.tensor([[[1.0, 2.0, 3.0], [torch.nan] * 3]]), torch.tensor([[1, 0]]))
    assert points.tolist() == [[[1.0, 2.0, 3.0], [0.0] * 3]]
    assert kept.tolist() == [[True, False]]
    points, kept = read_cloud(torch.ones(2, 1, 3))
    assert kept is None
    assert points.shape == (2, 1, 3)


def test_equal_points_are_looked_for_among_those_there_are():
    points = torch.tensor([[[1.0] * 3, [1.0] * 3, [2.0] * 3]])
    read_cloud(points)
    read_cloud(points, torch.tensor([[1, 0, 1]]))
    with pytest.raises(ActionError, match=r"Sample 0 of x= has several points that are all equal"):
        read_cloud(points, torch.tensor([[1, 1, 0]]), name="x")


def test_vectors_belong_to_points():
    points, kept = torch.ones(1, 2, 3), torch.tensor([[True, False]])
    assert check_vectors(torch.full((1, 2, 3), 5.0), points, kept, "v").tolist() == [[[5.0] * 3, [0.0] * 3]]
    with pytest.raises(ActionError, match=r"v= holds torch\.int64"):
        check_vectors(points.long(), points, None, "v")


def test_labels_and_categories_are_whole_numbers():
    check_labels(torch.tensor([0, -100]), (2,), 1)
    check_categories(torch.tensor([0, 1]), 2, 2)
    check_categories(None, 2, 0)
    for labels in (torch.tensor([0.0, 1.0]), torch.tensor([True, False]), [0, 1]):
        with pytest.raises(ConfigurationError, match="labels= are whole numbers"):
            check_labels(labels, (2,), 2)
        with pytest.raises(ConfigurationError, match="categories= are 2 whole numbers"):
            check_categories(labels, 2, 2)
