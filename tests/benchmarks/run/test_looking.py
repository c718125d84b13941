"""The share of attention on regions, from weights made by hand."""

import numpy as np
import torch
from random_clip import picture

from benchmarks.data.samples import Picture
from benchmarks.run.looking import Looked, covered_by
from falip import Compose, Crop, Geometry, Plain, RedCircle, Region, TextRegion
from falip.views import make_views

# Two components, two regions, one pooled token and four patches.
COVERED = np.array([[[0, 1, 0, 0, 0], [0, 0, 1, 1, 0]], [[0, 1, 1, 1, 1], [0, 0, 0, 0, 0]]], bool)
WEIGHTS = torch.tensor(
    [[[0.5, 0.2, 0.1, 0.1, 0.1], [0.0, 0.7, 0.1, 0.1, 0.1]], [[0.1, 0.2, 0.3, 0.3, 0.1], [0.2, 0.2, 0.2, 0.2, 0.2]]]
)


def test_attention_on_a_region_is_the_sum_over_its_tokens():
    found = Looked.of([WEIGHTS, WEIGHTS], COVERED)
    np.testing.assert_allclose(found.on_region[0], [[0.2, 0.7], [0.6, 0.4]], rtol=1e-6)
    np.testing.assert_allclose(found.on_region[1, 0], [0.5, 1.0], rtol=1e-6)
    np.testing.assert_allclose(found.share[0], [0.25, 0.5])
    assert np.isnan(found.on_region[1, 1]).all() and np.isnan(found.share[1, 1]), "a region that the model does not see"


def test_a_read_out_has_none_and_the_regions_of_parts_follow_each_other():
    read = Looked.of([None, WEIGHTS], COVERED)
    assert np.isnan(read.on_region[0]).all() and np.isnan(read.share[0]).all()
    both = Looked.joined([read, Looked.of([None, None], COVERED)])
    assert both.on_region.shape == (2, 4, 2) and both.share.shape == (2, 4)
    np.testing.assert_array_equal(both.on_region[:, :2], read.on_region)
    assert np.isnan(both.on_region[:, 2:]).all()


def test_tiles_of_the_whole_picture_show_the_region_where_it_is_and_those_of_a_cut_out_are_all_of_it():
    geometry = Geometry(64, 16, 6, 4)
    shown = Picture(picture(100, 80), (Region.from_box(10, 10, 50, 40), Region.from_box(60, 5, 95, 70)))

    def covered(prompt):
        return covered_by(make_views(prompt, shown.image, shown.regions, geometry), shown, geometry)

    for prompt in (TextRegion(), Compose([RedCircle(), TextRegion(remove_global=False)])):
        np.testing.assert_array_equal(covered(prompt), covered(Plain()))
    assert covered(Compose([Crop(), TextRegion(remove_global=False)]))[0, :, 1:].all()
