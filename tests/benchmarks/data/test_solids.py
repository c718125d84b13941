"""The embedded benchmark's clouds as a data set."""

import numpy as np
import pytest
import torch

from benchmarks.data.solids import Solids
from benchmarks.embedded.clouds import SOLIDS, solid_cloud
from falip.depth import depth_maps
from falip.errors import UserError


def test_samples_are_the_depth_maps_of_the_clouds():
    dataset = Solids(samples=20)
    assert [info.regions for info in dataset.index] == [6] * 20
    for i in (0, 13):
        sample = dataset.load(i)
        points, label = solid_cloud(i)
        assert sample.id == dataset.index[i].id
        assert (sample.queries[0].label, sample.queries[0].text) == (label, SOLIDS[label])
        shown = np.stack([np.asarray(picture.image) for picture in sample.pictures])
        np.testing.assert_array_equal(shown, depth_maps(torch.from_numpy(points)[None])[0].numpy())
        assert all(picture.regions[0].mask is not None for picture in sample.pictures)


def test_fewer_samples_are_the_first_of_more():
    few, more = Solids(samples=3), Solids(samples=5)
    assert list(few.index) == list(more.index)[:3]
    assert few.identity != more.identity
    assert Solids(samples=3).identity == few.identity != Solids(samples=3, projection="v2").identity


def test_values_that_are_not_offered_are_refused():
    with pytest.raises(UserError, match=r"task\.split=train"):
        Solids(split="train")
    with pytest.raises(UserError, match=r"task\.dataset\.samples is 0"):
        Solids(samples=0)
