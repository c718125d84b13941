"""Every configuration composes, is classified, and runs small."""

import re
from functools import cache

import pytest
from alpha_weights import write_alpha_weights
from omegaconf import OmegaConf
from open_clip_reference import write_open_clip
from siglip_reference import write_metaclip2, write_siglip
from small_jobs import LABELS, Job, composed

from benchmarks.settings.choices import CONFIGS, check_overrides, options
from benchmarks.settings.identity import classify, leaves
from falip import UserError

EMBEDDED = (
    "rec/shapes", "classification/shapes", "classification/shapes_regions", "classification/shapes_shift",
    "pointcloud/solids", "keypoint/shapes",
)  # fmt: skip
GRIDS = {
    "vit_b32": "ViT-B/32", "vit_b16": "ViT-B/16", "vit_l14": "ViT-L/14", "vit_l14_336": "ViT-L/14@336",
    "metaclip_b16": "ViT-B/16",
}  # fmt: skip
OPEN_CLIP = {
    **dict.fromkeys(("rn50", "rn101", "rn50x4", "rn50x16", "rn50x64"), "resnet"),
    **dict.fromkeys(("laion_b32", "datacomp_b16", "dfn_b16"), "vit"),
}
SUMS = {
    "vit_b16_l14": ("ViT-B/16", "ViT-L/14"), "vit_b32_l14_336": ("ViT-B/32", "ViT-L/14@336"),
    "vit_b16_l14_336": ("ViT-B/16", "ViT-L/14@336"), "vit_b32_b16": ("ViT-B/32", "ViT-B/16"),
    "vit_b32_l14": ("ViT-B/32", "ViT-L/14"), "vit_l14_l14_336": ("ViT-L/14", "ViT-L/14@336"),
    "rn50x16_vit_b16": ("resnet", "ViT-B/16"), "rn50x16_vit_l14": ("resnet", "ViT-L/14"),
    "rn50x16_vit_b32": ("resnet", "ViT-B/32"), "rn50x16_vit_l14_336": ("resnet", "ViT-L/14@336"),
}  # fmt: skip
OTHERS = {"siglip_b16": "siglip", "siglip2_b16": "siglip2", "metaclip2": "metaclip2"}
ALPHA_GRIDS = {"alphaclip_b16": "ViT-B/16", "alphaclip_l14": "ViT-L/14"}
# Tasks on one's own data, whose files have no default.
OWN = {
    "classification/csv": ["task.dataset.file=nowhere.csv"],
    "classification/coco": ["task.dataset.file=nowhere.json"],
    "classification/hub": ["task.dataset.path=./nowhere"],
    "rec/coco": ["task.dataset.instances=nowhere.json", "task.dataset.expressions=nowhere.csv"],
    "rec/csv": ["task.dataset.candidates=nowhere.csv", "task.dataset.expressions=nowhere.csv"],
    "pointcloud/folder": ["task.dataset.folder=nowhere"],
}
CHOICES = [f"{group}={name}" for group in ("backbone", "prompt", "task", "text") for name in options(group)]
CHOICES += [f"+experiment={name}" for name in options("experiment")]


@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_composes_and_every_leaf_of_it_is_identity_or_runtime(choice):
    files = OWN.get(choice.removeprefix("task="), [])
    tree = OmegaConf.to_container(composed([choice, *files]), resolve=True, throw_on_missing=True)
    kinds = {leaf: classify(leaf) for leaf, _ in leaves(tree)}  # pyright: ignore[reportArgumentType]
    assert {"prompt._target_", "task.name", "text.template"} <= kinds.keys()
    assert all(kind == "runtime" for leaf, kind in kinds.items() if leaf.endswith((".root", ".device")))


@pytest.mark.parametrize("name", options("prompt"))
@pytest.mark.parametrize("task", ["rec/shapes", "classification/shapes"])
def test_every_prompt_runs(job, clip_folder, tmp_path, name, task):
    if name.startswith("fgvp_"):
        pytest.importorskip("cv2", reason="FGVP's prompts need OpenCV: pip install opencv-python-headless")
    changes = ["task.dataset.scenes=2"] if task == "rec/shapes" else ["task.dataset.scenes=2", "task.dataset.region=mask"]
    if name.startswith("alpha"):
        write_alpha_weights(clip_folder("small"), tmp_path / "visual.pth")
        changes.append(f"backbone.alpha_weights={tmp_path / 'visual.pth'}")
    one = job(f"prompt={name}", f"task={task}", *changes)
    one.execute()
    info, frame = one.folder.info, one.folder.frame()
    assert info["status"] == "complete" and len(frame) == one.expected
    assert frame["scores"].map(lambda scores: bool((scores == scores).all())).all()
    assert len(info["components"]) == len(frame["component_scores"].iloc[0])


@pytest.mark.parametrize("name", ["foveal", "foveal_tokens", "plain", "crop"])
def test_prompts_run_on_depth_maps(job, name):
    one = job(f"prompt={name}", "task=pointcloud/solids", "task.dataset.samples=2")
    one.execute()
    views = len(one.folder.info["components"])
    assert views == len(one.folder.frame()["component_scores"].iloc[0]) and views % 6 == 0
    assert all(re.search(r"/view[0-5]$", name) for name in one.folder.info["components"])


@pytest.fixture(scope="module")
def folder(clip_folder, tmp_path_factory):
    """A folder with random weights of that kind."""

    @cache
    def written(kind):
        if kind in set(GRIDS.values()):
            return clip_folder(kind)
        made = tmp_path_factory.mktemp("model")
        if kind == "metaclip2":
            write_metaclip2(made, image_size=224, layers=12)
        elif kind in OTHERS.values():
            write_siglip(made, kind, image_size=224, layers=12)
        else:
            write_open_clip(made, kind)
        return made

    return written


def test_every_backbone_is_tried_here():
    assert {"tiny", *GRIDS, *OPEN_CLIP, *OTHERS, *SUMS, *ALPHA_GRIDS, "alphaclip_b16_l14"} == set(options("backbone"))


@pytest.mark.parametrize("name, kind", sorted((GRIDS | OPEN_CLIP | OTHERS).items()))
def test_every_backbone_of_the_hub_runs_from_a_folder_of_its_shape(folder, tmp_path, name, kind):
    overrides = [
        f"backbone={name}",
        f"backbone.name={folder(kind)}",
        "task.limit=1",
        f"results_root={tmp_path}",
    ]
    one = Job(composed(overrides), LABELS)
    one.execute()
    assert one.folder.info["status"] == "complete"


@pytest.mark.parametrize("name", SUMS)
def test_the_sum_of_two_backbones_runs_from_folders(folder, tmp_path, name):
    config = composed([f"backbone={name}", "task.limit=1", f"results_root={tmp_path}"])
    for member, kind in zip(config.backbone.members, SUMS[name], strict=True):
        member.name = str(folder(kind))
    one = Job(config, LABELS)
    one.execute()
    assert len(one.folder.info["identity"]["backbone"]) == 2


@pytest.mark.parametrize("name", sorted(ALPHA_GRIDS))
def test_every_alpha_clip_runs_over_a_base_of_its_shape(clip_folder, tmp_path, name):
    folder = clip_folder(ALPHA_GRIDS[name])
    config = composed([f"backbone={name}", "prompt=alpha_blur", "task.limit=1", f"results_root={tmp_path}"])
    assert config.backbone.alpha_weights.startswith("data/alphaclip/clip_")
    weights = tmp_path / config.backbone.alpha_weights.rpartition("/")[2]
    write_alpha_weights(folder, weights)
    config.backbone.name, config.backbone.alpha_weights = str(folder), str(weights)
    one = Job(config, LABELS)
    one.execute()
    assert one.folder.info["status"] == "complete"


def test_the_sum_of_two_alpha_clips_has_the_weights_of_each_alone():
    members = composed(["backbone=alphaclip_b16_l14"]).backbone.members
    for member, name in zip(members, ("alphaclip_b16", "alphaclip_l14"), strict=True):
        assert member == composed([f"backbone={name}"]).backbone


def test_alpha_weights_that_are_not_here_say_where_they_come_from(clip_folder):
    config = composed(["backbone=alphaclip_b16", f"backbone.name={clip_folder('ViT-B/16')}", "data_root=/nowhere"])
    with pytest.raises(UserError, match=r"/nowhere/alphaclip/clip_b16_.*SunzeY/AlphaCLIP"):
        _ = Job(config, LABELS).identity


def test_a_backbone_that_is_not_here_says_how_to_get_it():
    with pytest.raises(UserError, match=r"falip data weights --backbone openai/clip-vit-base-patch16"):
        _ = Job(composed(["backbone=vit_b16"]), LABELS).backbones


@pytest.mark.parametrize("name", [name for name in options("task") if name not in {*EMBEDDED, *OWN}])
def test_every_task_on_real_data_names_the_data_folder_where_there_is_none(tmp_path, name):
    rows = ["task.dataset.rows=" + str(tmp_path / "nowhere")] if name.endswith("_rows") else []
    named = r"(falip data|task\.dataset\.rows|task\.sentences\.file|DOMAIN/CLASS)"
    with pytest.raises(UserError, match=rf"{tmp_path}.*{named}"):
        _ = Job(composed([f"task={name}", f"data_root={tmp_path / 'nowhere'}", *rows]), LABELS).identity


@pytest.mark.parametrize("name", OWN)
def test_every_task_on_ones_own_data_names_the_file_that_is_not_there(name):
    with pytest.raises(UserError, match="nowhere"):
        _ = Job(composed([f"task={name}", *OWN[name]]), LABELS).identity


@pytest.mark.parametrize("name", options("experiment"))
def test_every_experiment_gives_its_command_and_sweeps_choices_that_exist(name):
    text = (CONFIGS / "experiment" / f"{name}.yaml").read_text()
    assert f"+experiment={name}" in text
    swept = OmegaConf.create(text)
    assert swept.hydra.mode == "MULTIRUN"
    for key, value in swept.hydra.sweeper.params.items():
        check_overrides([f"{key}={str(value).replace(' ', '')}"])


@pytest.mark.parametrize("choice", [c for c in CHOICES if not c.startswith("+")])
def test_every_configuration_opens_with_a_comment(choice):
    group, _, name = choice.partition("=")
    assert (CONFIGS / group / f"{name}.yaml").read_text().startswith("#")


@pytest.mark.parametrize("name", ["blur", "grayscale", "red_circle", "shade", "foveal_blur", "replace_v"])
def test_prompts_that_edit_colours_refuse_depth_maps(job, name):
    with pytest.raises(UserError, match="edits colours, and a picture of mode 'F'"):
        job(f"prompt={name}", "task=pointcloud/solids", "task.dataset.samples=1").execute()
