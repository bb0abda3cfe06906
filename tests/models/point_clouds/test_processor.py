"""PointCloudProcessor: what it samples, how it commutes with motions, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hf_equi import PointCloudProcessor
from hf_equi.errors import ConfigurationError
from hf_equi.groups import SE3

CLOUD = np.random.default_rng(0).normal(size=(50, 3)) * [1.5, 1.0, 0.6] + 3


def test_clouds_are_centred_and_scaled_and_padded():
    read = PointCloudProcessor(num_points=20)([CLOUD, torch.tensor(CLOUD[:7])], return_tensors="pt")
    assert read["points"].shape == (2, 20, 3)
    assert read["mask"].sum(1).tolist() == [20, 7]
    assert read["points"].dtype == torch.float32
    assert read["points"].sum(1).abs().max() < 1e-5
    torch.testing.assert_close(read["points"].norm(dim=2).amax(1), torch.ones(2))
    first, second = PointCloudProcessor.original(read)
    assert np.abs(first[:, None] - CLOUD).max(2).min(1).max() < 1e-6
    np.testing.assert_allclose(second, CLOUD[:7], atol=1e-6)
    whole = PointCloudProcessor(num_points=None, centre=False, scale=False)(CLOUD)
    assert "mask" not in whole
    np.testing.assert_allclose(whole["points"][0], CLOUD, rtol=1e-6)


def test_sampling_goes_by_the_seed_and_not_by_the_pose():
    processor, turn = PointCloudProcessor(num_points=20), SE3().sample(1, torch.Generator().manual_seed(0))[0].numpy()
    moved = CLOUD @ turn[:3, :3].T + turn[:3, 3]
    one, other = processor([CLOUD, CLOUD[:30]])["points"], processor([moved])["points"]
    np.testing.assert_allclose(other[0], one[0] @ turn[:3, :3].T, atol=1e-5)
    assert np.array_equal(processor([CLOUD[:30]])["points"][0], one[1])
    assert not np.array_equal(processor(CLOUD, seed=1)["points"], processor(CLOUD, seed=2)["points"])
    first = PointCloudProcessor(num_points=3, sampling="first")(CLOUD)
    np.testing.assert_allclose(PointCloudProcessor.original(first)[0], CLOUD[:3], atol=1e-6)


def test_meshes_are_sampled_by_area(tmp_path):
    """Of two triangles, one has three times the area."""
    corners = "0 0 0\n1 0 0\n0 1 0\n5 0 0\n8 0 0\n5 1 0\n"
    (tmp_path / "two.off").write_text(f"OFF\n6 2 0\n{corners}3 0 1 2\n3 3 4 5\n")
    read = PointCloudProcessor(num_points=4000, centre=False, scale=False)(tmp_path / "two.off")["points"][0]
    assert 0.72 < (read[:, 0] > 2).mean() < 0.78
    assert (read[:, 0] + read[:, 1])[read[:, 0] < 2].max() <= 1 + 1e-6
    assert (np.abs(read[:, 2]) < 1e-6).all()
    small = PointCloudProcessor(num_points=3, sampling="first")(tmp_path / "two.off")
    assert small["points"].shape == (1, 3, 3)
    (tmp_path / "flat.off").write_text("OFF\n3 1 0\n0 0 0\n1 0 0\n2 0 0\n3 0 1 2\n")
    with pytest.raises(ConfigurationError, match="faces of a mesh have no area"):
        PointCloudProcessor()(tmp_path / "flat.off")


def test_it_is_stored(tmp_path):
    PointCloudProcessor(num_points=None, sampling="first", seed=3, centre=False).save_pretrained(tmp_path)
    loaded = PointCloudProcessor.from_pretrained(tmp_path)
    assert (loaded.num_points, loaded.sampling, loaded.seed, loaded.centre) == (None, "first", 3, False)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_points": 0}, "num_points=0 is not a number of points"),
        ({"sampling": "poisson"}, "sampling='poisson'"),
        ({"seed": -1}, "seed=-1 is not a seed"),
    ],
)
def test_other_settings_are_refused(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        PointCloudProcessor(**settings)


@pytest.mark.parametrize(
    ("clouds", "message"),
    [
        ([], r"clouds=\[\]: pass files or arrays"),
        (7, "clouds=7: pass files or arrays"),
        ([CLOUD, CLOUD[:, :2]], r"Cloud 1 needs points of the shape \(n, 3\)"),
        ([np.ones((4, 3))], "The points of cloud 0 are all equal"),
        ([np.full((4, 3), np.nan)], "Cloud 0 holds NaN"),
    ],
)
def test_bad_clouds_are_refused_by_name(clouds, message):
    with pytest.raises(ConfigurationError, match=message):
        PointCloudProcessor()(clouds)
