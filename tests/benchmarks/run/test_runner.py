from itertools import pairwise

import pytest
import torch

from benchmarks.data.samples import SampleInfo
from benchmarks.run.runtime import Runtime
from benchmarks.settings.subset import subset
from falip import Backbone, UserError

INFOS = [SampleInfo(str(i), 1, 1) for i in range(50)]


def test_a_smaller_subset_is_part_of_a_larger_one():
    sizes = [subset(INFOS, limit) for limit in (1, 5, 10, 20, 50)]
    for smaller, larger in pairwise(sizes):
        assert set(smaller) < set(larger) and larger == sorted(larger)
    assert [len(one) for one in sizes] == [1, 5, 10, 20, 50]


def test_a_subset_is_drawn_from_all_samples_and_from_a_seed():
    assert subset(INFOS, 10) == subset(INFOS, 10) != list(range(10))
    assert subset(INFOS, 10, seed=1) != subset(INFOS, 10)
    assert subset(INFOS, None) == subset(INFOS, 999) == list(range(50))


@pytest.mark.parametrize("limit", [0, -3])
def test_a_subset_without_samples_is_an_error(limit):
    with pytest.raises(UserError, match=f"task.limit={limit}"):
        subset(INFOS, limit)


@pytest.mark.parametrize(
    ("settings", "value"),
    [
        ({"shard": "3/2"}, "shard=3/2"),
        ({"shard": "2/2"}, "shard=2/2"),
        ({"shard": "-1/2"}, "shard=-1/2"),
        ({"shard": "one"}, "shard=one"),
        ({"shard": "1/2/3"}, "shard=1/2/3"),
        ({"batch_views": 0}, "batch_views=0"),
        ({"workers": -1}, "workers=-1"),
        ({"sharing": "frozen"}, "sharing=frozen: choose from exact, none"),
        ({"overwrite": "yes"}, "overwrite=yes"),
        ({"on_error": "ignore"}, "on_error=ignore"),
    ],
)
def test_runtime_settings_without_a_meaning_are_errors_that_show_the_value(settings, value):
    with pytest.raises(UserError, match=f"runtime.{value}"):
        Runtime(**settings)


def test_shards_are_read_as_numbers():
    assert Runtime(shard="3/8").part == (3, 8)


def test_batches_shrink_by_themselves_when_memory_runs_out(job, monkeypatch):
    encode, asked = Backbone.features, []

    def small_memory(self, views, sharing="exact", batch=64):
        asked.append(batch)
        if batch > 8:
            raise torch.OutOfMemoryError("out of memory")
        return encode(self, views, sharing, batch)

    monkeypatch.setattr(Backbone, "features", small_memory)
    one = job("runtime.batch_views=32")
    one.execute()
    assert asked[:3] == [32, 16, 8] and set(asked[3:]) <= {8}
    assert one.folder.info["status"] == "complete"
