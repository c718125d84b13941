"""Evaluation clouds of solids."""

import numpy as np
import pytest

from benchmarks.embedded import clouds, solids
from benchmarks.embedded.clouds import SOLID_CLOUDS, SOLIDS, solid_cloud


@pytest.mark.parametrize("index", range(20))
def test_a_cloud_lies_in_the_unit_sphere_about_its_mean(index: int):
    points, label = solid_cloud(index)
    assert points.shape == (1024, 3)
    assert points.dtype == np.float32
    assert 0.999 < np.linalg.norm(points, axis=1).max() <= 1
    assert np.abs(points.mean(0)).max() < 1e-5
    assert label == index % len(SOLIDS)


def test_a_cloud_depends_on_its_index_alone():
    assert np.array_equal(solid_cloud(7)[0], solid_cloud(7)[0])
    assert not np.array_equal(solid_cloud(7)[0], solid_cloud(7 + len(SOLIDS))[0])
    assert SOLID_CLOUDS >= 500
    assert SOLID_CLOUDS % len(SOLIDS) == 0


def test_solids_stand_upright_along_y():
    cone, _ = solid_cloud(SOLIDS.index("cone"))
    radius = np.hypot(cone[:, 0], cone[:, 2])
    top = cone[:, 1] > np.quantile(cone[:, 1], 0.9)
    assert radius[top].mean() < 0.5 * radius[~top].mean()
    table, _ = solid_cloud(SOLIDS.index("table"))
    assert (table[:, 1] > 0).sum() > 0.5 * len(table)


def test_points_cover_a_surface_evenly():
    ball, _ = solid_cloud(SOLIDS.index("ball"))
    assert 0.4 < (ball[:, 1] > 0).mean() < 0.6
    assert 0.4 < (np.abs(ball[:, 1]) < 0.5).mean() < 0.6


def test_training_names_the_same_solids_by_other_code():
    assert clouds.SOLIDS == solids.SOLIDS
    for module in (clouds, solids):
        source = module.__loader__.get_source(module.__name__)  # pyright: ignore[reportAttributeAccessIssue, reportOptionalMemberAccess]
        assert "depth_maps" not in source
    assert "clouds" not in {name for name in vars(solids) if not name.startswith("_")}
