import dataclasses
import json

import pytest
from omegaconf import OmegaConf
from small_jobs import composed

import falip
from benchmarks.settings.building import build
from benchmarks.settings.identity import classify, describe, leaves, run_id
from falip import UserError

FROZEN_IDENTITY = {
    "task": {
        "name": "rec/refcoco", "split": "testA", "proposals": "gt", "iou_threshold": 0.5, "iou_strict": True,
        "min_area": 0.0, "type": "ReferringExpressions", "version": 1,
        "dataset": {"name": "refcoco", "split": "testA", "files": {"refcoco_testa.jsonl": "0" * 64}},
    },
    "backbone": [{"weights": "f" * 64, "dtype": "float32", "resize": "squash", "image_processor": "CLIPImageProcessorPil"}],
    "prompt": {"type": "Foveal", "version": 1, "alpha": 0.2, "sigma": 100.0, "layers": 4},
    "text": {"type": "TextProtocol", "template": "a photo of {}", "subtract": 0, "seed": 0, "leave_out_own": False},
    "approximation": "none",
    "limit": None,
    "limit_seed": None,
}  # fmt: skip

# These ids must never change: they name the runs that people have on disk. Where a test here fails, the change it
# reports would make everyone compute everything again; raise a `version` only where numbers move.
FROZEN_IDS = {
    "whole": "dfbeeedf132c",
    "foveal": "17e461883759",
    "plain": "a155e74cc3f4",
    "crop_blur": "55ed58b4843b",
    "red_circle": "d3c2f963f6b9",
}

# Another value for each leaf that can move a number.
OTHER_VALUES = {
    "task.name": "rec/others",
    "task.proposals": "detected",
    "task.template": "'this is {}'",
    "task.iou_threshold": "0.6",
    "task.iou_strict": "false",
    "task.min_area": "0.01",
    "task.limit": "3",
    "task.dataset.scenes": "7",
    "backbone.resize": "crop",
    "backbone.dtype": "bfloat16",
    "backbone.precision": "released",
    "backbone.image_size": 96,
    "prompt.alpha": "0.3",
    "prompt.sigma": "10.0",
    "prompt.layers": "2",
    "prompt.region_form": "tokens",
    "prompt.mask_form": "diagonal",
    "text.template": "'this is {}'",
    "text.subtract": "5",
    "text.seed": "1",
    "text.leave_out_own": "true",
    "text.relations": "true",
    "approximation": "frozen",
    "metrics.attention": "true",
}
# Chosen by name, or with one value only.
NO_OTHER = {
    "task._target_",
    "task.split",
    "task.dataset._target_",
    "task.dataset.split",
    "backbone.name",
    "backbone.alpha_weights",  # a file, of which the hash counts
    "prompt._target_",
}


def test_frozen_identities_keep_their_ids():
    assert run_id(FROZEN_IDENTITY) == FROZEN_IDS["whole"]


@pytest.mark.parametrize("prompt", ["foveal", "plain", "crop_blur", "red_circle"])
def test_frozen_prompts_keep_their_ids(prompt):
    config = OmegaConf.to_container(composed([f"prompt={prompt}"]).prompt)
    assert run_id(describe(build(config, "prompt"))) == FROZEN_IDS[prompt]


def test_the_order_of_keys_does_not_matter_and_values_do():
    turned = json.loads(json.dumps(FROZEN_IDENTITY))
    assert run_id(dict(reversed(turned.items()))) == run_id(FROZEN_IDENTITY)
    turned["task"]["dataset"]["files"]["refcoco_testa.jsonl"] = "1" * 64
    assert run_id(turned) != run_id(FROZEN_IDENTITY)


def test_a_leaf_that_nobody_has_classified_is_an_error():
    with pytest.raises(UserError, match=r"temperature.*settings\.identity"):
        classify("temperature")
    assert classify("runtime.shard") == "runtime" and classify("prompt.alpha") == "identity"
    assert classify("task.dataset.root") == "runtime"


def test_an_alternative_is_known_for_every_identity_leaf():
    tree = OmegaConf.to_container(composed(), resolve=True)
    found = {leaf for leaf, _ in leaves(tree) if classify(leaf) == "identity"}  # pyright: ignore[reportArgumentType]
    assert found == OTHER_VALUES.keys() | NO_OTHER


@pytest.mark.parametrize("leaf", OTHER_VALUES)
def test_every_identity_leaf_changes_the_id(job, leaf):
    assert run_id(job(f"{leaf}={OTHER_VALUES[leaf]}").identity) != run_id(job().identity)


@pytest.mark.parametrize(
    "overrides",
    [
        ["data_root=/elsewhere"],
        ["results_root=elsewhere"],
        [
            "runtime.batch_views=3",
            "runtime.workers=0",
            "runtime.shard=1/3",
            "runtime.sharing=none",
            "runtime.progress=true",
        ],
        ["runtime.overwrite=always", "runtime.on_error=record", "runtime.dry_run=true"],
        ["prompt.sigma=100", "task.min_area=0"],  # whole numbers where the default says 100.0
        ["task.limit=null"],
    ],
)
def test_places_pace_and_spelling_do_not_change_the_id(job, overrides):
    assert run_id(job(*overrides).identity) == run_id(job().identity)


def test_a_copy_of_the_backbone_elsewhere_is_the_same_backbone(job, clip_folder, tmp_path):
    import shutil

    copy = shutil.copytree(clip_folder("small"), tmp_path / "copy")
    assert run_id(job(f"backbone.name={copy}").identity) == run_id(job().identity)


def test_every_parameter_of_a_prompt_and_its_version_is_described_names_are_not():
    tree = describe(falip.Ensemble([falip.Foveal(layers=[8, 9]), falip.Crop(name="cut")]))
    assert tree["version"] == 1 and tree["prompts"][0]["layers"] == [8, 9]
    assert "name" not in tree["prompts"][1]
    fields = {field.name for field in dataclasses.fields(falip.Foveal)} - {"name"}
    assert fields | {"type", "version"} == set(tree["prompts"][0])


def test_two_classes_of_one_name_are_told_apart():
    @dataclasses.dataclass(frozen=True)
    class Plain:
        text_template: str | None = None
        version = 1

    assert describe(Plain())["type"] != describe(falip.Plain())["type"]


def test_what_cannot_be_described_is_an_error_that_says_how():
    with pytest.raises(UserError, match="frozen dataclass"):
        describe(object())
