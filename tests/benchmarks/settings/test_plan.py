"""What `make reproduce` asks for: every table as the papers have it."""

from functools import cache

import pytest

from benchmarks.published.figures import load_expectations
from benchmarks.settings.choices import options
from benchmarks.settings.expansion import expanded
from benchmarks.settings.plan import parser, planned
from benchmarks.settings.tables import TABLES


def commands_of(*arguments):
    return list(planned(parser().parse_args(list(arguments))).commands())


@cache
def jobs_of(table):
    return [job for jobs in expanded(commands_of("--tables", table)) for job in jobs]


MANY = ("redcircle_backbones",)  # whose commands take longest to compose


@pytest.mark.parametrize("table", [pytest.param(t, marks=pytest.mark.slow) if t in MANY else t for t in TABLES])
def test_every_table_asks_for_each_of_its_runs_in_a_command_that_composes(table):
    commands = commands_of("--tables", table)
    assert len({tuple(command) for command in commands}) == len(commands)
    for command, jobs in zip(commands, expanded(commands), strict=True):
        fixed = dict(word.split("=", 1) for word in command)
        assert jobs and fixed["backbone"] in options("backbone")
        for job in jobs:
            task = job.settings["task"]
            assert job.labels.experiment == fixed["+experiment"]
            assert job.labels.backbone.partition(",")[0] == fixed["backbone"]
            assert (task["name"], task["split"]) == (fixed["task"], fixed["task.split"])
            assert task.get("proposals", "") == fixed.get("task.proposals", "gt" if fixed["task"].startswith("rec") else "")


PAPERS = {
    "reclip": "reclip_rec.csv",
    "redcircle redcircle_backbones": "red_circle_rec.csv",
    "redcircle_keypoints": "red_circle_keypoints.csv",
    "pointclip": "pointclip.csv",
    "fgvp redcircle": "fgvp_rec.csv",
    "alphaclip_rec reclip redcircle": "alphaclip_rec.csv",
    "alphaclip_imagenet_s": "alphaclip_imagenet_s.csv",
    "rec ablations": "falip_rec.csv",
    "ablations": "falip_ablations.csv",
    "pointcloud": "falip_pointcloud.csv",
    "classification": "falip_classification.csv",
}


def _tried(tables, file):
    """RedCircle's tables have hundreds of commands to compose."""
    return pytest.param(tables, file, marks=pytest.mark.slow if "redcircle" in tables else ())


@pytest.mark.parametrize("tables, file", [_tried(*one) for one in PAPERS.items()])
def test_the_tables_of_a_paper_answer_to_all_its_figures_that_have_a_command(tables, file):
    asked = set()
    for job in (job for table in tables.split() for job in jobs_of(table)):
        task, labels = job.settings["task"], job.labels
        rules = tuple(
            o for o in job.overrides if o.startswith("task.") and not o.startswith(("task.split=", "task.proposals="))
        )
        asked.add(
            (task["name"], task["split"], task.get("proposals", ""), labels.backbone, labels.prompt, labels.text, rules)
        )
    places = {one[:3] for one in asked}
    texts = {(*one[:5], one[6]) for one in asked}
    for e in (e for e in load_expectations() if e.figure.file == file):
        place = (e.task, e.split, e.proposals)
        if e.prompt == "*":
            assert place in places
        elif e.text == "*":
            assert (*place, e.backbone, e.prompt, e.rules) in texts, e
        else:
            assert (*place, e.backbone, e.prompt, e.text, e.rules) in asked, e


def test_what_two_tables_share_is_asked_for_once():
    both = commands_of("--tables", "rec,rec")
    assert both == commands_of("--tables", "rec")


def test_a_backbone_that_is_asked_for_stands_in_for_those_of_all_tables():
    plan = planned(parser().parse_args(["--tables", "reclip,pointclip", "--backbone", "tiny"]))
    commands = list(plan.commands())
    assert all("backbone=tiny" in command for command in commands)
    assert not [need for need in plan.needs() if need.name == "weights"]
    own = planned(parser().parse_args(["--tables", "reclip"]))
    assert {need.backbone for need in own.needs() if need.name == "weights"} == {
        "timm/resnet50x16_clip.openai",
        "openai/clip-vit-base-patch32",
    }


def test_another_backbone_leaves_out_what_needs_a_fourth_channel():
    commands = commands_of("--tables", "alphaclip_imagenet_s", "--backbone", "tiny")
    assert commands and not [command for command in commands if "prompt=alpha" in command]
    assert "prompt=alpha" in commands_of("--tables", "alphaclip_imagenet_s", "--backbone", "alphaclip_b16")[-1]


def test_the_protocol_of_a_table_goes_before_what_the_user_sets():
    command = commands_of("--tables", "reclip", "task.min_area=0.1")[-20]
    assert command[-1] == "task.min_area=0.1"
