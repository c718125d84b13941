"""What commands will cost: what they ask for, and how fast this machine is."""

import pytest

from benchmarks.run.demand import demand
from benchmarks.settings.choices import backbone_names, options
from benchmarks.settings.expansion import expanded
from benchmarks.settings.plan import parser, planned
from benchmarks.settings.tables import TABLES
from benchmarks.speed.encoding import SHAPES, Pace, pace
from benchmarks.speed.forecast import Forecasts, duration, seconds_of
from falip import UserError

SCENES = ("task=rec/shapes", "task.dataset.scenes=6")


def jobs_of(*command):
    (jobs,) = expanded([list(command)])
    return jobs


def counted(*command):
    return demand(jobs_of(*command))


def test_a_region_is_encoded_once_for_each_distinct_view_and_a_plain_picture_once_for_all():
    plain, crop = counted(*SCENES, "prompt=plain"), counted(*SCENES, "prompt=crop")
    assert plain.pictures == plain.views == 6 and crop.views > 2 * 6
    assert counted(*SCENES, "prompt=gradcam").views == 6
    assert counted(*SCENES, "prompt=crop_blur").views == 2 * crop.views
    together = counted(
        "+experiment=table_reclip", "task.dataset.scenes=6", "prompt=plain,crop,blur,crop_blur", "text=default"
    )
    assert together.views == 2 * crop.views + 6, "the parts of a sum that stand alone beside it are shared"


def test_texts_are_those_of_each_phrase_and_of_all_classes():
    one = counted(*SCENES, "prompt=crop")
    assert one.texts == one.queries > 6
    assert (
        counted("+experiment=table_reclip", "task.dataset.scenes=6", "text=default").texts == 2 * one.queries
    )  # shade's too
    solids = counted("task=pointcloud/solids", "task.dataset.samples=5", "prompt=plain")
    assert (solids.queries, solids.pictures, solids.views, solids.texts) == (5, 30, 30, 10)


def test_a_limit_and_a_sum_of_models_count():
    assert counted(*SCENES, "task.limit=2", "prompt=plain").pictures == 2
    both = counted(*SCENES, "backbone=rn50x16_vit_b32", "prompt=crop")
    assert both.towers == {"timm/resnet50x16_clip.openai": 1, "openai/clip-vit-base-patch32": 1}
    paces = dict.fromkeys(both.towers, Pace(0.5, 0.01))
    assert seconds_of(both, paces) == pytest.approx(2 * (both.views * 0.5 + both.texts * 0.01))
    assert seconds_of(both, paces | {"timm/resnet50x16_clip.openai": None}) is None


def test_to_localise_asks_for_every_place_of_the_grid(tmp_path):
    scenes = ("task=keypoint/shapes", "task.dataset.scenes=6", "prompt=keypoint_circle")
    named, placed = counted(*scenes), counted(*scenes, "task.ask=localise", "task.grid=30")
    assert named.views == named.queries == placed.queries < placed.views == 6 * 900
    assert placed.texts == named.texts and placed.disk > named.disk
    cub = ("task=keypoint/cub", f"data_root={tmp_path}", "prompt=crop", "task.limit=100")
    assert counted(*cub).views == 1200 and not counted(*cub).counted
    assert counted(*cub, "task.ask=localise").views == 100 * 900


def test_every_backbone_of_the_tables_has_a_shape():
    used = {option for sweeps in TABLES.values() for sweep in sweeps for option in sweep.backbones}
    assert used <= set(options("backbone"))
    assert {name for option in used for name in backbone_names(option)} <= set(SHAPES)


def test_the_pace_is_measured_and_a_larger_model_is_slower():
    tiny, resnet = pace("tiny", "cpu", 0.2), pace("timm/resnet50_clip.openai", "cpu", 0.2)
    assert tiny and resnet and 0 < tiny.view < resnet.view and 0 < tiny.text < resnet.text
    assert pace("someone/else", "cpu", 0.2) is None


@pytest.mark.parametrize(
    "command, pictures, queries",
    [
        (("task=rec/refcocog", "task.split=test", "task.proposals=detected"), 2600, 9602),
        (("task=rec/refcoco_plus", "task.split=testA", "task.limit=75"), 75, 573),
        (("task=classification/cub", "task.split=test"), 5794, 5794),
        (("task=pointcloud/scanobjectnn", "task.dataset.variant=OBJ_ONLY"), 6 * 581, 581),
        (("task=pointcloud/modelnet40", "task.dataset.projection=v2", "task.limit=9"), 90, 9),
    ],
)
def test_without_the_data_what_is_published_of_the_split_counts(command, pictures, queries, tmp_path):
    wanted = counted(*command, "prompt=plain", f"data_root={tmp_path}")
    assert (wanted.pictures, wanted.queries, wanted.counted) == (pictures, queries, False)
    assert "about" in Forecasts(measured_s=0.1).of(jobs_of(*command, "prompt=plain", f"data_root={tmp_path}"))


# SPair-71k states the pairs of a split, and nobody the pictures of a category.
UNSTATED = {"keypoint/spair"}


@pytest.mark.slow
def test_every_split_of_the_tables_has_a_published_extent(tmp_path):
    for table in TABLES:
        commands = list(planned(parser().parse_args(["--tables", table, "--data-root", str(tmp_path)])).commands())
        for jobs in expanded(commands[::7]):
            if jobs[0].settings["task"]["name"] in UNSTATED:
                with pytest.raises(UserError, match="falip data spair"):
                    demand(jobs)
            else:
                assert demand(jobs).views > 0


def test_a_forecast_says_what_it_cannot_know(tmp_path):
    forecasts = Forecasts(measured_s=0.1)
    assert "6 pictures" in forecasts.of(jobs_of(*SCENES, "prompt=plain")) and "not known" not in forecasts.total()
    said = forecasts.of(jobs_of("task=rec/refcoco", "task.split=train", f"data_root={tmp_path / 'none'}"))
    assert said.startswith("not known: ")
    assert "time not known" in forecasts.of(jobs_of(*SCENES, "backbone=dfn_b16"))
    assert forecasts.total().endswith("; 2 of them not known")


@pytest.mark.parametrize("seconds, said", [(0.2, "1 s"), (89, "89 s"), (600, "10 min"), (7200, "2.0 h")])
def test_durations_are_for_people(seconds, said):
    assert duration(seconds) == said
