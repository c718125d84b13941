"""Every tower runs all prompts that it can, and says of the others why not; sums of towers are runs like any other."""

import pytest
from omegaconf import DictConfig
from open_clip_reference import write_open_clip
from siglip_reference import write_metaclip2, write_siglip
from small_jobs import LABELS, Job, assert_same_decisions, composed, execute, small_job

from benchmarks.run import one_pass
from benchmarks.settings.choices import options
from falip import UserError

WRITERS = {
    "siglip": write_siglip,
    "siglip2": lambda folder: write_siglip(folder, "siglip2", image_size=128),
    "metaclip2": write_metaclip2,
    "resnet": lambda folder: write_open_clip(folder, "resnet"),
}
PROMPTS = [name for name in options("prompt") if not name.startswith("fgvp_")]
NEEDS_A_CHANNEL = {"alpha", "alpha_blur"}
NEEDS_LAYERS = {"feature_mask", "foveal_all_rows", "foveal_diagonal", "replace_qk", "replace_v"}
NEEDS_LAYERS |= {"unleash_foveal", "unleash_red_circle"}
NEEDS_VALUES = {"maskclip", "maskclip_reduced", "roi_align", "text_region", "text_region_resize", "red_circle_maskclip"}
NEEDS_VALUES |= {"foveal_with_roi_align"}
NEEDS_PATCHES = {"sclip", "naclip", "naclip_full_block", "surgery", "clearclip", "mask_inversion", "foveal_maskclip"}
REFUSED = {
    "siglip": NEEDS_LAYERS | NEEDS_PATCHES | {"gradcam"},
    "metaclip2": set(),
    "resnet": NEEDS_LAYERS | NEEDS_VALUES | NEEDS_PATCHES,
}
EDITS = {"blur", "blur_mask", "crop_blur", "crop_blur_foveal", "foveal_blur", "foveal_red_circle", "grayscale"}
EDITS |= {"red_circle", "red_circle_blur", "red_circle_grey", "shade", "three_circles"}
EDITS |= {"replace_qk", "replace_v", "unleash_red_circle", "keypoint_circle", "marker", "crop_shade", "red_circle_maskclip"}
TASKS = {
    "rec/shapes": "task.dataset.scenes=1",
    "classification/shapes": "task.dataset.scenes=1",
    "pointcloud/solids": "task.dataset.samples=1",
}


@pytest.fixture(scope="module")
def towers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("towers")
    for kind, write in WRITERS.items():
        write(folder / kind)
    return folder


def _tried(kind, task):
    quick = task == "rec/shapes" and kind == "metaclip2"
    return pytest.param(kind, task, marks=() if quick else pytest.mark.slow)


@pytest.mark.parametrize("kind, task", [_tried(kind, task) for kind in REFUSED for task in TASKS])
def test_a_tower_runs_all_prompts_that_it_can(towers, tmp_path, kind, task):
    jobs = {name: small_job(towers / kind, tmp_path, f"task={task}", f"prompt={name}", TASKS[task]) for name in PROMPTS}
    errors = one_pass.execute(list(jobs.values()))
    refused = {name for name, job in jobs.items() if job in errors}
    assert refused == REFUSED[kind] | NEEDS_A_CHANNEL | (EDITS if task == "pointcloud/solids" else set())
    assert all(isinstance(error, UserError) for error in errors.values())
    for name in jobs.keys() - refused:
        info, frame = jobs[name].folder.info, jobs[name].folder.frame()
        assert info["status"] == "complete" and len(frame) == jobs[name].expected
        assert frame["scores"].map(lambda scores: bool((scores == scores).all())).all()


def _sum_of_towers(config: DictConfig, towers) -> DictConfig:
    """A configuration of two towers, a ResNet and another kind, with random weights in their places."""
    for member, kind in zip(config.backbone.members, ("resnet", "siglip2"), strict=True):
        member.name = str(towers / kind)
    return config


def _jobs(towers, results, *overrides, kind: type[Job] = Job) -> list[Job]:
    given = ["backbone=rn50x16_vit_b32", "task.dataset.scenes=5", f"results_root={results}", "runtime.progress=false"]
    prompts = ("foveal", "crop_blur_foveal")
    configs = [composed([*given, *overrides, f"prompt={prompt}"]) for prompt in prompts]
    return [kind(_sum_of_towers(config, towers), LABELS) for config in configs]


class _KilledJob(Job):
    """Ends when it is about to save its second batch."""

    saved = 0

    def save(self, records, components):
        if self.saved:
            raise KeyboardInterrupt
        self.saved += 1
        super().save(records, components)


def test_a_sum_of_a_resnet_and_a_siglip_runs_in_shards_again_and_in_one_pass(towers, tmp_path, forward_passes):
    whole = _jobs(towers, tmp_path / "whole")
    execute(whole)
    cost = len(forward_passes)
    parts = tmp_path / "parts"
    with pytest.raises(KeyboardInterrupt):
        execute(_jobs(towers, parts, "runtime.shard=0/2", "runtime.batch_views=4", kind=_KilledJob))
    for shard in (1, 0):
        execute(_jobs(towers, parts, f"runtime.shard={shard}/2", "runtime.batch_views=4", "runtime.sharing=none"))
    for job, expected in zip(_jobs(towers, parts), whole, strict=True):
        assert job.folder.path.name == expected.folder.path.name
        assert job.folder.info["status"] == "complete"
        assert_same_decisions(job.folder.frame(), expected.folder.frame())
    forward_passes.clear()
    execute([*_jobs(towers, parts), *_jobs(towers, tmp_path / "whole")])
    assert cost and not forward_passes, "what is complete is not computed again"
    names = [one["image_processor"] for one in whole[0].folder.info["identity"]["backbone"]]
    assert names == ["CLIPImageProcessorPil"] * 2
